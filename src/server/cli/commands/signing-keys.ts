// In charge of: `millrace signing-keys list | standby | rotate | revoke | delete`: the keys that sign tokens, over the operator plane of the running backend.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { ShownSigningKey } from '../../admin/signing-keys.ts';
import type { Invocation } from '../command.ts';
import { ask, operatorClientOf } from '../operator-client.ts';
import { renderTable } from '../table.ts';

export async function signingKeys(invocation: Invocation): Promise<number> {
  const [action = 'list', subject, ...more] = invocation.options.rest;
  if (more.length === 0 && Object.hasOwn(actions, action)) return actions[action]!(invocation, subject);
  throw new OperatorError(
    `"${invocation.options.rest.join(' ')}" is nothing that signing-keys does.`,
    `Try signing-keys ${Object.keys(actions).join(', ')}.`,
  );
}

const actions: Readonly<
  Record<string, (invocation: Invocation, subject: string | undefined) => Promise<number>>
> = { list, standby, rotate, revoke, delete: remove };

async function list(invocation: Invocation, subject: string | undefined): Promise<number> {
  refuseSubject('list', subject);
  const { keys } = await call<{ readonly keys: readonly ShownSigningKey[] }>(invocation, 'GET', '');
  console.log(invocation.options.json ? JSON.stringify(keys) : renderKeys(keys));
  return 0;
}

/** A new key, one from a file, or with an id one that was replaced or revoked. */
async function standby(invocation: Invocation, subject: string | undefined): Promise<number> {
  const { algorithm, importFile, json } = invocation.options;
  if (subject !== undefined && (algorithm !== undefined || importFile !== undefined))
    throw new OperatorError(
      `The key "${subject}" is there already.`,
      'With an id, standby takes a key back that was replaced or revoked; leave --algorithm and --import out.',
    );
  const key = await (subject === undefined
    ? call<ShownSigningKey>(invocation, 'POST', '', {
        ...(algorithm === undefined ? {} : { algorithm }),
        ...(importFile === undefined ? {} : { private_jwk: await readJwk(invocation, importFile) }),
      })
    : call<ShownSigningKey>(invocation, 'POST', `/${encodeURIComponent(subject)}/standby`));
  say(
    json,
    key,
    `The ${key.algorithm} key ${key.id} stands by: it is published and verifies. \`millrace signing-keys rotate\` makes it sign.`,
  );
  return 0;
}

async function rotate(invocation: Invocation, subject: string | undefined): Promise<number> {
  refuseSubject('rotate', subject);
  const { now, json } = invocation.options;
  const rotated = await call<{
    readonly current: ShownSigningKey;
    readonly previous: ShownSigningKey | null;
  }>(invocation, 'POST', '/rotate', now ? { now } : {});
  const { current, previous } = rotated;
  const before =
    previous === null
      ? ''
      : ` ${previous.id} still verifies; revoke it when the tokens that it signed have ended.`;
  say(json, rotated, `The ${current.algorithm} key ${current.id} signs from now on.${before}`);
  return 0;
}

async function revoke(invocation: Invocation, subject: string | undefined): Promise<number> {
  const { endLegacyKeys, json } = invocation.options;
  const path = `/${encodeURIComponent(named('revoke', subject))}/revoke`;
  const key = await call<ShownSigningKey>(
    invocation,
    'POST',
    path,
    endLegacyKeys ? { end_legacy_keys: true } : {},
  );
  say(json, key, `Revoked ${key.id}. What it has signed is refused from now on.`);
  return 0;
}

async function remove(invocation: Invocation, subject: string | undefined): Promise<number> {
  const path = `/${encodeURIComponent(named('delete', subject))}`;
  const key = await call<ShownSigningKey>(invocation, 'DELETE', path);
  say(invocation.options.json, key, `Deleted ${key.id}. It cannot be taken back.`);
  return 0;
}

/** Sound: the answers are those of admin/signing-keys.ts. */
async function call<T>(invocation: Invocation, method: string, path: string, body?: unknown): Promise<T> {
  return (await ask(await operatorClientOf(invocation), method, `/signing-keys${path}`, body)) as T;
}

function say(json: boolean, value: unknown, sentence: string): void {
  console.log(json ? JSON.stringify(value) : sentence);
}

function named(action: string, subject: string | undefined): string {
  if (subject !== undefined) return subject;
  throw new OperatorError(
    'Which signing key is meant?',
    `Give its id: \`millrace signing-keys ${action} ID\`.`,
  );
}

function refuseSubject(action: string, subject: string | undefined): void {
  if (subject !== undefined)
    throw new OperatorError(
      `"${subject}" is nothing that ${action} takes.`,
      `Try \`millrace signing-keys ${action}\`.`,
    );
}

/** One JWK, or the first of the array that `supabase gen signing-key` writes. */
async function readJwk({ currentFolder }: Invocation, file: string): Promise<unknown> {
  const path = resolve(currentFolder, file);
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(value) ? value[0] : value;
  } catch (error) {
    // The parser's message quotes what it read, which may be the key.
    const why = error instanceof SyntaxError ? 'it is no JSON' : errorMessage(error);
    throw new OperatorError(
      `The signing key in "${path}" cannot be read: ${why}.`,
      '`supabase gen signing-key` writes one.',
    );
  }
}

function renderKeys(keys: readonly ShownSigningKey[]): string {
  return renderTable(
    ['ID', 'ALGORITHM', 'STATUS', 'SINCE', 'MADE BY', 'WHAT IT IS'],
    keys.map(({ id, algorithm, status, changed_at: since, created_by: by, is_legacy: isLegacy }) => [
      id,
      algorithm,
      status,
      since === null ? '' : `${since.slice(0, 16).replace('T', ' ')}Z`,
      by,
      isLegacy ? `the JWT secret; ${sentences[status]}` : sentences[status],
    ]),
  );
}

const sentences: Readonly<Record<ShownSigningKey['status'], string>> = {
  standby: 'published, verifies, signs next',
  current: 'signs',
  previous: 'verifies',
  revoked: 'opens nothing',
};
