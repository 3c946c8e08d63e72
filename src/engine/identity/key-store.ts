// In charge of: keys of our own as rows of `_millrace.api_keys`: made, rotated, revoked, listed. Every change is made on the session of a
// transaction that the caller began as `millrace_admin`, so that what is recorded about it stands or falls with it.
import { randomBytes } from 'node:crypto';
import type { PoolClient } from 'pg';
import { Fault } from '../../base/errors.ts';
import { checkWish, invalidKey, type KeyWish } from './key-scope.ts';
import { digestOf, endingOf, newKeyText } from './key-text.ts';

/** A key without what opens anything. */
export interface IssuedKey {
  /** Twelve hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly role: string;
  /** Its last four characters. */
  readonly ending: string;
  readonly services: readonly string[];
  readonly tables: readonly string[];
  readonly addresses: readonly string[];
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** The id of the key that a rotation put in its place. */
  readonly replacedBy: string | null;
  /** To the minute. */
  readonly lastUsedAt: Date | null;
}

/** A new key: the only time that its text is seen. */
export interface NewKey {
  readonly text: string;
  readonly key: IssuedKey;
}

/** Keys that open something at the same time. Every process holds all of them. */
export const maxKeys = 10_000;
export const defaultOverlapSeconds = 86_400;
export const maxOverlapSeconds = 90 * 86_400;

const idShape = /^[0-9a-f]{12}$/;
const columns = `id, name, role, ending, services, tables, addresses, created_at as "createdAt", created_by as "createdBy",
  expires_at as "expiresAt", revoked_at as "revokedAt", replaced_by as "replacedBy", last_used_at as "lastUsedAt"`;
const isActive = 'revoked_at is null and (expires_at is null or expires_at > $1)';

/**
 * @throws Fault `invalid_key` for a wish that cannot be, or a role that no request may have; `key_name_taken`; `too_many_keys`.
 */
export async function createKey(
  client: PoolClient,
  wish: KeyWish,
  by: string,
  nowMs: number,
): Promise<NewKey> {
  const checked = checkWish(wish);
  const now = new Date(nowMs);
  await lock(client);
  await checkRole(client, checked.role);
  const { rows } = await client.query<{ taken: boolean; count: number }>(
    `select count(*)::int as count, coalesce(bool_or(name = $2 and replaced_by is null), false) as taken
     from _millrace.api_keys where ${isActive}`,
    [now, checked.name],
  );
  const { taken, count } = rows[0]!;
  if (taken)
    throw conflict(
      'key_name_taken',
      `There is a key "${checked.name}" already.`,
      'Take another name, or replace the key with `millrace keys rotate`.',
    );
  if (count >= maxKeys)
    throw conflict('too_many_keys', `There are ${count} keys already, which is as many as can be.`);
  const { expiresInSeconds } = checked;
  const expiresAt = expiresInSeconds === undefined ? null : new Date(nowMs + expiresInSeconds * 1000);
  return insert(client, { ...checked, createdAt: now, expiresAt }, by);
}

/**
 * A new key with the name, role and scope of another, which stays valid for `overlapSeconds` more, or until its own end.
 * It lives as long as the old one was made for.
 * @throws Fault `no_such_key`; `key_ended` when it was revoked, has expired or was replaced before.
 */
export async function rotateKey(
  client: PoolClient,
  id: string,
  overlapSeconds: number,
  by: string,
  nowMs: number,
): Promise<NewKey & { readonly old: IssuedKey }> {
  if (!(overlapSeconds >= 0 && overlapSeconds <= maxOverlapSeconds))
    throw invalidKey(
      `An overlap of ${overlapSeconds} s cannot be.`,
      `It is ${maxOverlapSeconds / 86_400} days at most.`,
    );
  await lock(client);
  const old = await findKey(client, id);
  const ended = endOf(old, nowMs);
  if (ended !== undefined)
    throw conflict('key_ended', `The key ${id} ("${old.name}") ${ended}.`, 'Make a new one.');
  if (old.replacedBy !== null)
    throw conflict(
      'key_ended',
      `The key ${id} ("${old.name}") was replaced before.`,
      `Rotate ${old.replacedBy}.`,
    );
  // A role may have been taken away from requests since.
  await checkRole(client, old.role);
  const livesMs = old.expiresAt === null ? undefined : old.expiresAt.getTime() - old.createdAt.getTime();
  const made = await insert(
    client,
    {
      ...old,
      createdAt: new Date(nowMs),
      expiresAt: livesMs === undefined ? null : new Date(nowMs + livesMs),
    },
    by,
  );
  const { rows } = await client.query<IssuedKey>(
    `update _millrace.api_keys set replaced_by = $2, expires_at = least(expires_at, $3::timestamptz)
     where id = $1 returning ${columns}`,
    [id, made.key.id, new Date(nowMs + overlapSeconds * 1000)],
  );
  return { ...made, old: rows[0]! };
}

/** Ends a key at once. `changed` is false when it was revoked before. @throws Fault `no_such_key` */
export async function revokeKey(
  client: PoolClient,
  id: string,
  nowMs: number,
): Promise<{ readonly key: IssuedKey; readonly changed: boolean }> {
  await lock(client);
  const before = await findKey(client, id);
  if (before.revokedAt !== null) return { key: before, changed: false };
  const { rows } = await client.query<IssuedKey>(
    `update _millrace.api_keys set revoked_at = $2 where id = $1 returning ${columns}`,
    [id, new Date(nowMs)],
  );
  return { key: rows[0]!, changed: true };
}

/** All that are kept, by name, the newest of a name first. */
export async function listKeys(client: PoolClient): Promise<readonly IssuedKey[]> {
  const { rows } = await client.query<IssuedKey>(
    `select ${columns} from _millrace.api_keys order by name, created_at desc, id limit $1`,
    [2 * maxKeys],
  );
  return rows;
}

/** Why a key opens nothing any more; undefined while it does. */
export function endOf(
  { revokedAt, expiresAt }: Pick<IssuedKey, 'revokedAt' | 'expiresAt'>,
  nowMs: number,
): string | undefined {
  if (revokedAt !== null) return `was revoked at ${revokedAt.toISOString()}`;
  if (expiresAt !== null && expiresAt.getTime() <= nowMs) return `expired at ${expiresAt.toISOString()}`;
  return undefined;
}

async function insert(
  client: PoolClient,
  facts: Pick<IssuedKey, 'name' | 'role' | 'services' | 'tables' | 'addresses' | 'createdAt' | 'expiresAt'>,
  by: string,
): Promise<NewKey> {
  const text = newKeyText();
  const { rows } = await client.query<IssuedKey>(
    `insert into _millrace.api_keys
       (id, name, role, digest, ending, services, tables, addresses, created_at, created_by, expires_at)
     values ($1, $2, $3, decode($4, 'hex'), $5, $6, $7, $8, $9, $10, $11) returning ${columns}`,
    [
      randomBytes(6).toString('hex'),
      facts.name,
      facts.role,
      digestOf(text),
      endingOf(text),
      facts.services,
      facts.tables,
      facts.addresses,
      facts.createdAt,
      by,
      facts.expiresAt,
    ],
  );
  return { text, key: rows[0]! };
}

/** One change at a time, so that a name and the number of keys are counted right; reads go on. */
async function lock(client: PoolClient): Promise<void> {
  await client.query('lock table _millrace.api_keys in share row exclusive mode');
}

async function findKey(client: PoolClient, id: string): Promise<IssuedKey> {
  // A NUL byte cannot even be asked for.
  if (!idShape.test(id)) noSuchKey(id);
  const { rows } = await client.query<IssuedKey>(`select ${columns} from _millrace.api_keys where id = $1`, [
    id,
  ]);
  return rows[0] ?? noSuchKey(id);
}

/**
 * Requests log in as `authenticator`: a role that it may not become would refuse every request of the key.
 * PostgreSQL's own roles (`pg_…`) are rights to give, and nobody to be. Before PostgreSQL 16 there is no right to SET apart from membership. Source: PostgreSQL 16 release notes, "Privileges".
 */
export async function checkRole(client: PoolClient, role: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select rolname as name from pg_catalog.pg_roles
     where rolname <> 'authenticator' and rolname !~ '^pg_' and not rolsuper and pg_catalog.pg_has_role('authenticator', oid,
       case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
     order by rolname`,
  );
  const roles = rows.map(({ name }) => name);
  if (roles.includes(role)) return;
  throw invalidKey(
    `Requests cannot have the role "${role}".`,
    `Roles that authenticator may become: ${roles.join(', ')}. Another needs \`grant … to authenticator\`.`,
  );
}

function noSuchKey(id: string): never {
  throw new Fault({
    status: 404,
    code: 'no_such_key',
    message: `There is no key "${id}".`,
    hint: '`millrace keys list` shows all.',
  });
}

function conflict(code: string, message: string, hint: string | null = null): Fault {
  return new Fault({ status: 409, code, message, hint });
}
