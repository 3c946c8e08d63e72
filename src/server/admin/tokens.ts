// In charge of: operator tokens: making, finding, revoking. The database keeps their hashes only.
import { createHash, randomBytes } from 'node:crypto';
import type { PoolClient } from 'pg';
import { errorCode, Fault } from '../../base/errors.ts';
import type { Db } from '../../engine/db/db.ts';
import type { Operator, Scope } from './env.ts';

/** A token as it is listed. */
export interface OperatorToken {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly created_at: string;
  readonly created_by: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly last_used_at: string | null;
}

export type Verdict =
  | { readonly kind: 'operator'; readonly operator: Operator }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'revoked'; readonly name: string }
  | { readonly kind: 'expired'; readonly name: string };

export const tokenPrefix = 'mro_';
const randomByteCount = 24;
const tokenShape = /^mro_[0-9a-f]{48}$/;
export const tokenNameShape = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;
/** More in use than this is a mistake of some script. */
export const maxTokensInUse = 200;
const maxTokensListed = 500;

export function hasTokenShape(text: string): boolean {
  return tokenShape.test(text);
}

export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** Whom a token stands for. The use is noted at most once a minute, so that a scraper does not write with each scrape. */
export async function findToken(db: Pick<Db, 'asOwner'>, hash: Buffer): Promise<Verdict> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<{ id: string; name: string; scopes: Scope[]; revoked: boolean; expired: boolean }>(
      `with found as (
         select id, name, scopes, last_used_at, revoked_at is not null as revoked, coalesce(expires_at <= now(), false) as expired
         from _millrace.operator_tokens where hash = $1),
       used as (
         update _millrace.operator_tokens as token set last_used_at = now() from found
         where token.id = found.id and not found.revoked and not found.expired
           and coalesce(found.last_used_at < now() - interval '1 minute', true))
       select id::text, name, scopes, revoked, expired from found`,
      [hash],
    ),
  );
  const row = rows[0];
  if (row === undefined) return { kind: 'unknown' };
  if (row.revoked) return { kind: 'revoked', name: row.name };
  if (row.expired) return { kind: 'expired', name: row.name };
  return {
    kind: 'operator',
    operator: { name: row.name, via: `token:${row.id}`, scopes: new Set(row.scopes) },
  };
}

/** In the order in which they were made; those that open nothing any more are among them. */
export async function listTokens(db: Pick<Db, 'asOwner'>): Promise<readonly OperatorToken[]> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<OperatorToken>(
      `select ${columns} from _millrace.operator_tokens order by operator_tokens.id desc limit $1`,
      [maxTokensListed],
    ),
  );
  return rows;
}

export interface NewToken {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Undefined: it does not end by itself. */
  readonly days: number | undefined;
}

/**
 * Makes a token in the transaction of `client`. The text is given once and kept nowhere.
 * @throws Fault 409 when the name is in use, or too many tokens are.
 */
export async function createToken(
  client: Pick<PoolClient, 'query'>,
  { name, scopes, days }: NewToken,
  by: string,
): Promise<{ readonly token: string; readonly listed: OperatorToken }> {
  const { rows: counted } = await client.query<{ count: number }>(
    `select count(*)::int as count from _millrace.operator_tokens
     where revoked_at is null and (expires_at is null or expires_at > now())`,
  );
  if (counted[0]!.count >= maxTokensInUse) {
    throw new Fault({
      status: 409,
      code: 'too_many_tokens',
      message: `There are ${maxTokensInUse} operator tokens in use already.`,
      hint: 'Revoke some: millrace operators list, millrace operators revoke ID.',
    });
  }
  const token = `${tokenPrefix}${randomBytes(randomByteCount).toString('hex')}`;
  try {
    const { rows } = await client.query<OperatorToken>(
      `insert into _millrace.operator_tokens (name, hash, scopes, created_by, expires_at)
       values ($1, $2, $3, $4, now() + make_interval(days => $5)) returning ${columns}`,
      [name, hashToken(token), scopes, by, days ?? null],
    );
    return { token, listed: rows[0]! };
  } catch (error) {
    if (errorCode(error) !== '23505') throw error;
    throw new Fault(
      {
        status: 409,
        code: 'name_taken',
        message: `There is an operator token with the name "${name}" that is not revoked.`,
        hint: 'Choose another name, or revoke that one first.',
      },
      error,
    );
  }
}

/** Ends a token in the transaction of `client`. Undefined when there is none with this id; revoking twice changes nothing. */
export async function revokeToken(
  client: Pick<PoolClient, 'query'>,
  id: bigint,
): Promise<{ readonly listed: OperatorToken; readonly changed: boolean } | undefined> {
  const { rows } = await client.query<OperatorToken>(
    `update _millrace.operator_tokens set revoked_at = now() where id = $1 and revoked_at is null returning ${columns}`,
    [id.toString()],
  );
  if (rows[0] !== undefined) return { listed: rows[0], changed: true };
  const known = await client.query<OperatorToken>(
    `select ${columns} from _millrace.operator_tokens where id = $1`,
    [id.toString()],
  );
  return known.rows[0] && { listed: known.rows[0], changed: false };
}

const time = (column: string) =>
  `to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ${column}`;
const columns = `id::text, name, scopes, ${time('created_at')}, created_by, ${time('expires_at')}, ${time('revoked_at')}, ${time('last_used_at')}`;
