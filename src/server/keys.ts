// In charge of: the project's keys and secrets as they stand at start, and where the public development ones are refused.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, OperatorError } from '../base/errors.ts';
import type { ValuesOf } from '../base/settings.ts';
import {
  developmentDatabasePassword,
  developmentJwtSecret,
  developmentPublishableKey,
  developmentS3Keys,
  developmentSecretKey,
  developmentSigningKey,
} from '../engine/identity/development-secrets.ts';
import { type ApiKeys, signLegacyKey } from '../engine/identity/keys.ts';
import { type JSONWebKeySet, type JWK, publicJwk } from '../engine/identity/tokens.ts';
import { isLoopbackHost } from './development-door.ts';
import type { serverSettings } from './settings.ts';

export interface ProjectSecrets {
  readonly keys: ApiKeys;
  readonly jwtSecret: string;
  readonly jwks: JSONWebKeySet;
  /** The private half of the key that signs tokens; undefined: the secret signs them. */
  readonly signingKey: JWK | undefined;
  readonly databasePassword: string;
  /** What signs requests of S3; undefined: there is no such key. */
  readonly s3: S3Keys | undefined;
  /** Names of the secrets that are the public development ones. */
  readonly development: readonly string[];
}

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** @param folder the `supabase` folder, for `signing_keys_path`. */
export async function loadSecrets(
  settings: ValuesOf<typeof serverSettings>,
  folder: string,
): Promise<ProjectSecrets> {
  const jwtSecret = settings.jwtSecret || developmentJwtSecret;
  if (jwtSecret.length < minSecretLength) {
    throw new OperatorError(
      `The JWT secret has ${jwtSecret.length} characters; it must have ${minSecretLength} or more.`,
      'Set MILLRACE_JWT_SECRET, for instance to the output of `openssl rand -hex 32`.',
    );
  }
  const signingKeys = settings.signingKeysPath
    ? await readSigningKeys(join(folder, settings.signingKeysPath))
    : [developmentSigningKey];
  const keys: ApiKeys = {
    publishable: settings.publishableKey || developmentPublishableKey,
    secret: settings.secretKey || developmentSecretKey,
    anon: settings.anonKey || (await signLegacyKey('anon', jwtSecret)),
    serviceRole: settings.serviceRoleKey || (await signLegacyKey('service_role', jwtSecret)),
  };
  const databasePassword = settings.databasePassword || developmentDatabasePassword;
  refusePublicPassword(databasePassword, settings.databaseHost);
  const s3 = readS3Keys(settings, jwtSecret);
  const development = [
    jwtSecret === developmentJwtSecret && 'the JWT secret (MILLRACE_JWT_SECRET)',
    keys.publishable === developmentPublishableKey && 'the publishable key (SUPABASE_PUBLISHABLE_KEY)',
    keys.secret === developmentSecretKey && 'the secret key (SUPABASE_SECRET_KEY)',
    databasePassword === developmentDatabasePassword && 'the database password (MILLRACE_DB_PASSWORD)',
    s3?.secretAccessKey === developmentS3Keys.secretAccessKey &&
      'the S3 access key (S3_PROTOCOL_ACCESS_KEY_ID, S3_PROTOCOL_ACCESS_KEY_SECRET)',
  ].filter((name) => name !== false);
  // The development signing key's private half is public too: it verifies nothing once a real secret is set.
  const trusted = settings.signingKeysPath || jwtSecret === developmentJwtSecret ? signingKeys : [];
  return {
    keys,
    jwtSecret,
    jwks: { keys: trusted.map(publicJwk) },
    signingKey: trusted.find(isForSigning),
    databasePassword,
    s3,
    development,
  };
}

const minSecretLength = 16;

/** The public pair opens every file: it is none once a real secret is set. @throws OperatorError for half a pair */
function readS3Keys(
  { s3AccessKeyId, s3AccessKeySecret }: ValuesOf<typeof serverSettings>,
  jwtSecret: string,
): S3Keys | undefined {
  if (s3AccessKeyId === '' && s3AccessKeySecret === '')
    return jwtSecret === developmentJwtSecret ? developmentS3Keys : undefined;
  if (s3AccessKeyId !== '' && s3AccessKeySecret.length >= minSecretLength)
    return { accessKeyId: s3AccessKeyId, secretAccessKey: s3AccessKeySecret };
  throw new OperatorError(
    `An S3 access key needs an id, and a secret of ${minSecretLength} characters or more.`,
    'Set S3_PROTOCOL_ACCESS_KEY_ID and S3_PROTOCOL_ACCESS_KEY_SECRET both; `millrace keys new` prints a pair.',
  );
}

/** Source: supabase/auth internal/conf/jwk.go `GetSigningJwk`: the key whose `key_ops` has `sign`. */
function isForSigning({ key_ops: uses, d }: JWK): boolean {
  return d !== undefined && (uses === undefined || uses.includes('sign'));
}

async function readSigningKeys(path: string): Promise<readonly JWK[]> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new OperatorError(
      `The signing keys in "${path}" cannot be read: ${errorMessage(error)}.`,
      'Correct [auth].signing_keys_path.',
      error,
    );
  }
  const isKey = (key: unknown): key is JWK => typeof key === 'object' && key !== null && 'kty' in key;
  if (!Array.isArray(parsed) || !parsed.every(isKey)) {
    throw new OperatorError(`"${path}" must hold an array of JWKs.`, 'supabase gen signing-key writes one.');
  }
  return parsed;
}

/** The database port is a door of its own: behind it role postgres is above every policy. @throws OperatorError */
function refusePublicPassword(password: string, host: string): void {
  if (password !== developmentDatabasePassword || isLoopbackHost(host)) return;
  throw new OperatorError(
    `A database port on "${host}", where other machines can connect, refuses the public development password of role postgres.`,
    'Set MILLRACE_DB_PASSWORD; `millrace keys new` prints one, with the other secrets.',
  );
}

/**
 * The public constants open the project to anybody who can reach it.
 * @throws OperatorError when they are in use and `where` says that others can.
 */
export function refuseDevelopmentSecrets(secrets: ProjectSecrets, where: string | undefined): void {
  if (where === undefined || secrets.development.length === 0) return;
  throw new OperatorError(
    `${where} refuses the public development secrets, and these are still in use: ${secrets.development.join(', ')}.`,
    'Make your own: `millrace keys new` prints a set of environment variables.',
  );
}
