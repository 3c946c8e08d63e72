// In charge of: `millrace keys`: the project's own keys, `keys new`, and the way to the keys that were made here.
import { createHash, randomBytes } from 'node:crypto';
import { OperatorError } from '../../../base/errors.ts';
import { signLegacyKey } from '../../../engine/identity/keys.ts';
import type { Invocation } from '../command.ts';
import { prepare } from '../prepare.ts';
import { issuedKeyActions } from './issued-keys.ts';

export async function keys(invocation: Invocation): Promise<number> {
  const [action, ...more] = invocation.options.rest;
  if (action === 'new' && more.length === 0) return printNewKeys();
  if (action !== undefined && more.length <= 1 && Object.hasOwn(issuedKeyActions, action))
    return issuedKeyActions[action]!(invocation, more[0]);
  if (action !== undefined)
    throw new OperatorError(
      `"${[action, ...more].join(' ')}" is nothing that keys does.`,
      `Try \`millrace keys\`, \`millrace keys new\`, or keys ${Object.keys(issuedKeyActions).join(', ')}.`,
    );
  const { secrets } = await prepare(invocation);
  const rows = {
    PUBLISHABLE_KEY: secrets.keys.publishable,
    SECRET_KEY: secrets.keys.secret,
    ANON_KEY: secrets.keys.anon,
    SERVICE_ROLE_KEY: secrets.keys.serviceRole,
    JWT_SECRET: secrets.jwtSecret,
    ...(secrets.s3 && {
      S3_PROTOCOL_ACCESS_KEY_ID: secrets.s3.accessKeyId,
      S3_PROTOCOL_ACCESS_KEY_SECRET: secrets.s3.secretAccessKey,
    }),
  };
  if (invocation.options.json) console.log(JSON.stringify(rows));
  else for (const [name, value] of Object.entries(rows)) console.log(`${name}=${value}`);
  return 0;
}

/** A set of secrets as environment variables, ready for a file. Nothing is stored here. */
async function printNewKeys(): Promise<number> {
  const jwtSecret = randomBytes(32).toString('hex');
  console.log(`MILLRACE_JWT_SECRET=${jwtSecret}`);
  console.log(`SUPABASE_PUBLISHABLE_KEY=${newOpaqueKey('publishable')}`);
  console.log(`SUPABASE_SECRET_KEY=${newOpaqueKey('secret')}`);
  console.log(`ANON_KEY=${await signLegacyKey('anon', jwtSecret)}`);
  console.log(`SERVICE_ROLE_KEY=${await signLegacyKey('service_role', jwtSecret)}`);
  console.log(`S3_PROTOCOL_ACCESS_KEY_ID=${randomBytes(16).toString('hex')}`);
  console.log(`S3_PROTOCOL_ACCESS_KEY_SECRET=${randomBytes(32).toString('hex')}`);
  console.log(`MILLRACE_DB_PASSWORD=${randomBytes(24).toString('base64url')}`);
  return 0;
}

/** `sb_<kind>_<22 random>_<8 of a checksum>`, the shape that clients and secret scanners know. */
function newOpaqueKey(kind: 'publishable' | 'secret'): string {
  const body = `sb_${kind}_${randomBytes(17).toString('base64url').slice(0, 22)}`;
  return `${body}_${createHash('sha256').update(body).digest('base64url').slice(0, 8)}`;
}
