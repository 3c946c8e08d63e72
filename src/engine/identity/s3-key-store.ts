// In charge of: access keys for clients of S3: made, listed, revoked, and found when a request is signed by one. Who signs has the secret itself, so it is kept
// wrapped by the master key, and removed with the key. Changes are made on the session of a transaction that the caller began as `millrace_admin`.
import { randomBytes } from 'node:crypto';
import type { PoolClient } from 'pg';
import { Fault } from '../../base/errors.ts';
import type { Db } from '../db/db.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Caller } from './caller.ts';
import { checkWish, invalidKey } from './key-scope.ts';
import { checkRole } from './key-store.ts';

/** A key without its secret. */
export interface S3Key {
  /** The access key id: 32 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** Null for a user's. */
  readonly role: string | null;
  readonly userId: string | null;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** To the minute. */
  readonly lastUsedAt: Date | null;
}

export interface S3KeyWish {
  readonly name: string;
  /** One of both. */
  readonly role: string | undefined;
  readonly userId: string | undefined;
  /** Undefined: it does not expire. */
  readonly expiresInSeconds: number | undefined;
}

export const maxS3Keys = 10_000;
/** Ended keys stay in the list for this long. */
const keepEndedDays = 90;
const purpose = 'access key';
const idShape = /^[0-9a-f]{32}$/;
const userShape = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const columns = `id, name, role, user_id::text as "userId", created_at as "createdAt", created_by as "createdBy",
  expires_at as "expiresAt", revoked_at as "revokedAt", last_used_at as "lastUsedAt"`;
const isActive = 'revoked_at is null and (expires_at is null or expires_at > now())';

/** Before the transaction that makes a key for a user. @throws Fault `invalid_key` for one who is not there, or is banned */
export async function checkUser(db: Pick<Db, 'asOwner'>, userId: string): Promise<void> {
  if (!userShape.test(userId) || (await findUser(db, userId)) === undefined)
    throw invalidKey(`There is no user "${userId}".`, 'A user is named by the id in auth.users.');
}

/**
 * The only time that its secret is seen.
 * @throws Fault `invalid_key` for a wish that cannot be, or a role that no request may have; `key_name_taken`; `too_many_keys`
 */
export async function createS3Key(
  client: PoolClient,
  secrets: Pick<Secrets, 'put' | 'remove'>,
  { name, role, userId, expiresInSeconds }: S3KeyWish,
  by: string,
): Promise<{ readonly key: S3Key; readonly secret: string }> {
  checkWish({ name, role: role ?? '', services: [], tables: [], addresses: [], expiresInSeconds });
  if ((role === undefined) === (userId === undefined))
    throw invalidKey('A key has the rights of a role, or of a user.', 'Say one of both.');
  await client.query('lock table _millrace.s3_access_keys in share row exclusive mode');
  if (role !== undefined) await checkRole(client, role);
  await forgetEnded(client, secrets);
  const { rows: counted } = await client.query<{ taken: boolean; count: number }>(
    `select count(*)::int as count, coalesce(bool_or(name = $1), false) as taken from _millrace.s3_access_keys where ${isActive}`,
    [name],
  );
  const { taken, count } = counted[0]!;
  if (taken) throw conflict('key_name_taken', `There is an access key "${name}" already.`);
  if (count >= maxS3Keys)
    throw conflict('too_many_keys', `There are ${count} access keys already, which is as many as can be.`);
  const id = randomBytes(16).toString('hex');
  const secret = randomBytes(32).toString('hex');
  await secrets.put(client, purpose, id, Buffer.from(secret));
  const { rows } = await client.query<S3Key>(
    `insert into _millrace.s3_access_keys (id, name, role, user_id, created_by, expires_at)
     values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6)) returning ${columns}`,
    [id, name, role ?? null, userId ?? null, by, expiresInSeconds ?? null],
  );
  return { key: rows[0]!, secret };
}

/** By name, the newest of a name first. */
export async function listS3Keys(client: PoolClient): Promise<readonly S3Key[]> {
  const { rows } = await client.query<S3Key>(
    `select ${columns} from _millrace.s3_access_keys order by name, created_at desc, id limit $1`,
    [2 * maxS3Keys],
  );
  return rows;
}

/** Ends a key, and its secret is gone. `changed` is false when it was revoked before. @throws Fault `no_such_key` */
export async function revokeS3Key(
  client: PoolClient,
  secrets: Pick<Secrets, 'remove'>,
  id: string,
): Promise<{ readonly key: S3Key; readonly changed: boolean }> {
  if (!idShape.test(id)) throw noSuchKey(id);
  const text = `select ${columns} from _millrace.s3_access_keys where id = $1 for update`;
  const [before] = (await client.query<S3Key>(text, [id])).rows;
  if (before === undefined) throw noSuchKey(id);
  if (before.revokedAt !== null) return { key: before, changed: false };
  const { rows } = await client.query<S3Key>(
    `update _millrace.s3_access_keys set revoked_at = now() where id = $1 returning ${columns}`,
    [id],
  );
  await secrets.remove(client, purpose, id);
  return { key: rows[0]!, changed: true };
}

export interface FoundS3Key {
  readonly secret: string;
  /** Whose rights it has now, once its signature is seen to be right. Undefined: the user is gone, or is banned. */
  readonly caller: () => Promise<Caller | undefined>;
}

/** Asked for each request: a key that was revoked anywhere signs nothing from then on. Undefined: there is none that counts. */
export async function findS3Key(
  db: Pick<Db, 'asOwner'>,
  secrets: Pick<Secrets, 'find'>,
  id: string,
): Promise<FoundS3Key | undefined> {
  if (!idShape.test(id)) return undefined;
  const found = await db.asOwner('millrace_admin', async (client) => {
    const { rows } = await client.query<Pick<S3Key, 'role' | 'userId'> & { readonly isUnnoted: boolean }>(
      `select role, user_id::text as "userId", coalesce(last_used_at < now() - interval '1 minute', true) as "isUnnoted"
       from _millrace.s3_access_keys where id = $1 and ${isActive}`,
      [id],
    );
    const secret = rows[0] && (await secrets.find(client, purpose, id));
    return secret && { ...rows[0]!, secret: secret.toString() };
  });
  if (found === undefined) return undefined;
  const { secret, role, userId, isUnnoted } = found;
  return {
    secret,
    async caller() {
      if (isUnnoted) await noteUse(db, id);
      if (role !== null) return { role, claims: JSON.stringify({ role }), subject: undefined, by: 'key' };
      return findUser(db, userId!);
    },
  };
}

async function noteUse(db: Pick<Db, 'asOwner'>, id: string): Promise<void> {
  await db.asOwner('millrace_admin', (client) =>
    client.query('update _millrace.s3_access_keys set last_used_at = now() where id = $1', [id]),
  );
}

/** What a user's own token would say now; undefined for one who could have none. Source: supabase/auth internal/tokens/service.go `AccessTokenClaims`. */
async function findUser(db: Pick<Db, 'asOwner'>, userId: string): Promise<Caller | undefined> {
  const { rows } = await db.asOwner('supabase_auth_admin', (client) =>
    client.query<{ role: string; claims: string }>(
      `select role, jsonb_build_object('aud', aud, 'sub', id, 'role', role, 'email', coalesce(email, ''), 'phone', coalesce(phone, ''),
         'app_metadata', coalesce(raw_app_meta_data, '{}'), 'user_metadata', coalesce(raw_user_meta_data, '{}'),
         'is_anonymous', is_anonymous)::text as claims
       from auth.users where id = $1 and deleted_at is null and (banned_until is null or banned_until <= now())`,
      [userId],
    ),
  );
  const [user] = rows;
  return user && { role: user.role, claims: user.claims, subject: userId, by: 'token' };
}

async function forgetEnded(client: PoolClient, secrets: Pick<Secrets, 'remove'>): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `delete from _millrace.s3_access_keys
     where least(revoked_at, expires_at) < now() - make_interval(days => $1) returning id`,
    [keepEndedDays],
  );
  for (const { id } of rows) await secrets.remove(client, purpose, id);
}

function noSuchKey(id: string): Fault {
  return new Fault({
    status: 404,
    code: 'no_such_key',
    message: `There is no access key "${id}".`,
    hint: '`millrace s3-keys list` shows all.',
  });
}

function conflict(code: string, message: string): Fault {
  return new Fault({
    status: 409,
    code,
    message,
    hint: '`millrace s3-keys revoke` ends one that is not needed any more.',
  });
}
