// In charge of: signing keys as rows of `_millrace.signing_keys`, and how they go from one state to the next. Every change is made on the
// session of a transaction that the caller began as `millrace_admin`, so that what is recorded about it stands or falls with it.
// Source: supabase/supabase apps/docs/content/guides/auth/signing-keys.mdx "Lifetime of a signing key".
import type { PoolClient } from 'pg';
import { Fault } from '../../base/errors.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { newSigningKey, type SigningAlgorithm, type SigningKey } from './signing.ts';

export type SigningKeyStatus = 'standby' | 'current' | 'previous' | 'revoked';

export interface SigningKeyFacts {
  /** The `kid`; for the JWT secret, which tokens do not name, `legacy`. */
  readonly id: string;
  readonly algorithm: SigningAlgorithm;
  readonly status: SigningKeyStatus;
  /** The project's JWT secret, with which the legacy API keys stand and fall. */
  readonly isLegacy: boolean;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly changedAt: Date;
}

export const legacyId = 'legacy';
export const maxSigningKeys = 50;
/**
 * How long a key is announced before it signs: whoever fetched `/.well-known/jwks.json` just before keeps it for ten minutes, and the
 * client libraries for ten more. Source: the guide above, "Public key discovery and caching"; supabase/auth internal/api/jwks.go.
 */
export const announcedSeconds = 20 * 60;
export const secretPurpose = 'signing key';

const columns = `key.id, key.algorithm, key.status, key.is_legacy as "isLegacy", key.created_at as "createdAt",
  key.created_by as "createdBy", key.changed_at as "changedAt"`;

/** By age; what was revoked last comes last. */
export async function listSigningKeys(client: PoolClient): Promise<readonly SigningKeyFacts[]> {
  const { rows } = await client.query<SigningKeyFacts>(
    `select ${columns} from _millrace.signing_keys as key
     order by array_position(array['standby', 'current', 'previous', 'revoked'], key.status), key.created_at desc, key.id limit $1`,
    [maxSigningKeys + 1],
  );
  return rows;
}

/**
 * The first keys of a database that has none. A new project signs by ES256; one that had people before there was a key goes on with the JWT
 * secret, by which others may verify its tokens, and an ES256 key stands by. False when there were keys.
 * Source: the guide above, "Getting started".
 */
export async function makeFirstKeys(
  client: PoolClient,
  secrets: Secrets,
  { hasPeople, nowMs }: { readonly hasPeople: boolean; readonly nowMs: number },
): Promise<boolean> {
  await lock(client);
  if ((await listSigningKeys(client)).length > 0) return false;
  const at = new Date(nowMs);
  const made = await newSigningKey('ES256');
  await insert(client, {
    id: legacyId,
    algorithm: 'HS256',
    status: hasPeople ? 'current' : 'previous',
    isLegacy: true,
    createdAt: at,
    createdBy: 'start',
  });
  await keep(client, secrets, made, hasPeople ? 'standby' : 'current', 'start', at);
  return true;
}

/** Announces a key that is to sign next. @throws Fault `standby_exists`, `too_many_signing_keys`, `signing_key_exists` */
export async function addStandby(
  client: PoolClient,
  secrets: Secrets,
  key: SigningKey,
  by: string,
  nowMs: number,
): Promise<SigningKeyFacts> {
  await lock(client);
  const keys = await listSigningKeys(client);
  refuseSecondStandby(keys);
  if (keys.length >= maxSigningKeys)
    throw conflict(
      'too_many_signing_keys',
      `There are ${keys.length} signing keys already.`,
      'Delete revoked ones.',
    );
  if (keys.some(({ id }) => id === key.kid))
    throw conflict(
      'signing_key_exists',
      `There is a signing key "${key.kid}" already.`,
      'Give the other one another "kid".',
    );
  return keep(client, secrets, key, 'standby', by, new Date(nowMs));
}

/**
 * The key that stands by signs from now on; the one that signed until now still verifies. `hurried`: also when it was not announced for
 * `announcedSeconds`, so that others who verify tokens by the published keys may not know it yet.
 * @throws Fault `no_standby`, `standby_too_new`
 */
export async function rotateSigningKeys(
  client: PoolClient,
  { hurried, nowMs }: { readonly hurried: boolean; readonly nowMs: number },
): Promise<{ readonly current: SigningKeyFacts; readonly previous: SigningKeyFacts | undefined }> {
  await lock(client);
  const keys = await listSigningKeys(client);
  const standby = keys.find(({ status }) => status === 'standby');
  if (standby === undefined)
    throw conflict(
      'no_standby',
      'There is no signing key that stands by.',
      'Make one with `millrace signing-keys standby`.',
    );
  const leftSeconds = Math.ceil(announcedSeconds - (nowMs - standby.changedAt.getTime()) / 1000);
  // Who verifies by the secret does not fetch it.
  if (!hurried && leftSeconds > 0 && standby.algorithm !== 'HS256')
    throw conflict(
      'standby_too_new',
      `The key "${standby.id}" stands by for less than ${announcedSeconds / 60} minutes: whoever keeps the published keys for a while may not know it yet.`,
      `Wait ${Math.ceil(leftSeconds / 60)} more minutes, or say that it is to be now: --now.`,
    );
  const current = keys.find(({ status }) => status === 'current');
  const previous = current && (await setStatus(client, current.id, 'previous', nowMs));
  return { current: await setStatus(client, standby.id, 'current', nowMs), previous };
}

/**
 * What the key has signed is refused from now on. `changed` is false when it was revoked before.
 * @throws Fault `no_such_signing_key`; `signing_key_in_use`; `legacy_keys_end` for the JWT secret unless `endsLegacyKeys`.
 */
export async function revokeSigningKey(
  client: PoolClient,
  id: string,
  { endsLegacyKeys, nowMs }: { readonly endsLegacyKeys: boolean; readonly nowMs: number },
): Promise<{ readonly key: SigningKeyFacts; readonly changed: boolean }> {
  await lock(client);
  const key = await findKey(client, id);
  if (key.status === 'revoked') return { key, changed: false };
  if (key.status === 'current')
    throw conflict(
      'signing_key_in_use',
      `The key "${id}" signs tokens now.`,
      'Put another in its place first: `millrace signing-keys rotate`, in an emergency with --now.',
    );
  if (key.isLegacy && !endsLegacyKeys)
    throw conflict(
      'legacy_keys_end',
      'The legacy API keys (anon, service_role) are signed by the JWT secret and would end with it.',
      'Go over to the publishable and the secret key, then say so: --end-legacy-keys.',
    );
  return { key: await setStatus(client, id, 'revoked', nowMs), changed: true };
}

/** Takes a key back that was replaced or revoked: it verifies, and the next rotation makes it sign. @throws Fault `no_such_signing_key`, `signing_key_in_use`, `standby_exists` */
export async function standBy(
  client: PoolClient,
  id: string,
  nowMs: number,
): Promise<{ readonly key: SigningKeyFacts; readonly changed: boolean }> {
  await lock(client);
  const key = await findKey(client, id);
  if (key.status === 'standby') return { key, changed: false };
  if (key.status === 'current') throw conflict('signing_key_in_use', `The key "${id}" signs tokens now.`);
  refuseSecondStandby(await listSigningKeys(client));
  return { key: await setStatus(client, id, 'standby', nowMs), changed: true };
}

/** Destroys a revoked key for good. @throws Fault `no_such_signing_key`, `signing_key_not_revoked` */
export async function deleteSigningKey(
  client: PoolClient,
  secrets: Secrets,
  id: string,
): Promise<SigningKeyFacts> {
  await lock(client);
  const key = await findKey(client, id);
  if (key.status !== 'revoked' || key.isLegacy)
    throw conflict(
      'signing_key_not_revoked',
      key.isLegacy
        ? 'The JWT secret is a setting, and is not kept here.'
        : `The key "${id}" is ${key.status}.`,
      key.isLegacy ? null : 'Revoke it first; that can be taken back, this cannot.',
    );
  await client.query('delete from _millrace.signing_keys where id = $1', [id]);
  await secrets.remove(client, secretPurpose, id);
  return key;
}

async function keep(
  client: PoolClient,
  secrets: Secrets,
  key: SigningKey,
  status: SigningKeyStatus,
  createdBy: string,
  createdAt: Date,
): Promise<SigningKeyFacts> {
  // Sound: only the JWT secret has no name, and it is never kept.
  const id = key.kid!;
  await secrets.put(client, secretPurpose, id, Buffer.from(JSON.stringify(key.whole)));
  return insert(client, { id, algorithm: key.algorithm, status, isLegacy: false, createdAt, createdBy });
}

async function insert(
  client: PoolClient,
  { id, algorithm, status, isLegacy, createdAt, createdBy }: Omit<SigningKeyFacts, 'changedAt'>,
): Promise<SigningKeyFacts> {
  const { rows } = await client.query<SigningKeyFacts>(
    `insert into _millrace.signing_keys as key (id, algorithm, status, is_legacy, created_at, created_by, changed_at)
     values ($1, $2, $3, $4, $5, $6, $5) returning ${columns}`,
    [id, algorithm, status, isLegacy, createdAt, createdBy],
  );
  return rows[0]!;
}

async function setStatus(
  client: PoolClient,
  id: string,
  status: SigningKeyStatus,
  nowMs: number,
): Promise<SigningKeyFacts> {
  const { rows } = await client.query<SigningKeyFacts>(
    `update _millrace.signing_keys as key set status = $2, changed_at = $3 where id = $1 returning ${columns}`,
    [id, status, new Date(nowMs)],
  );
  return rows[0]!;
}

/** One change at a time; reads go on. */
async function lock(client: PoolClient): Promise<void> {
  await client.query('lock table _millrace.signing_keys in share row exclusive mode');
}

async function findKey(client: PoolClient, id: string): Promise<SigningKeyFacts> {
  const found = (await listSigningKeys(client)).find((key) => key.id === id);
  if (found !== undefined) return found;
  throw new Fault({
    status: 404,
    code: 'no_such_signing_key',
    message: `There is no signing key "${id}".`,
    hint: '`millrace signing-keys list` shows all.',
  });
}

function refuseSecondStandby(keys: readonly SigningKeyFacts[]): void {
  const standby = keys.find(({ status }) => status === 'standby');
  if (standby !== undefined)
    throw conflict(
      'standby_exists',
      `The key "${standby.id}" stands by already.`,
      'Rotate to it, or revoke it: nothing is signed by it yet.',
    );
}

function conflict(code: string, message: string, hint: string | null = null): Fault {
  return new Fault({ status: 409, code, message, hint });
}
