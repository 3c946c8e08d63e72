// In charge of: refresh tokens in their table: each opens one new one, which remembers it as its parent. Source: supabase/auth
// internal/models/refresh_token.go, internal/crypto `SecureAlphanumeric`.
import { randomInt } from 'node:crypto';
import type { Tx } from './transaction.ts';
import { nilId } from './user.ts';

export interface RefreshToken {
  readonly id: string;
  readonly token: string;
  readonly user_id: string;
  readonly revoked: boolean;
  readonly created_at: string;
  readonly updated_at: string;
  readonly parent: string | null;
  readonly session_id: string | null;
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const length = 12;

/** Source: supabase/auth internal/api/token_refresh.go `legacyRefreshTokenPattern`. */
export const isPlainToken = (text: string): boolean => /^[a-z0-9]{12}$/.test(text);

/** Tokens of this length are of this kind; longer ones are signed. Source: supabase/auth internal/models/user.go `FindUserWithRefreshToken`. */
export const isPlainLength = (text: string): boolean => text.length === length;

/** 60 random bits. */
function makeToken(): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

export async function findToken(tx: Tx, token: string): Promise<RefreshToken | undefined> {
  const { rows } = await tx.query<RefreshToken>('select * from auth.refresh_tokens where token = $1', [
    token,
  ]);
  return rows[0];
}

/** Takes the row's lock and reads it; undefined: somebody else has it, or it is gone. */
export async function lockToken(tx: Tx, token: string): Promise<RefreshToken | undefined> {
  const { rows } = await tx.query<RefreshToken>(
    'select * from auth.refresh_tokens where token = $1 for update skip locked',
    [token],
  );
  return rows[0];
}

export async function insertToken(
  tx: Tx,
  facts: { readonly userId: string; readonly sessionId: string; readonly parent: string | undefined },
  nowMs: number,
): Promise<string> {
  const token = makeToken();
  await tx.query(
    `insert into auth.refresh_tokens (instance_id, token, user_id, session_id, parent, revoked, created_at, updated_at)
     values ('${nilId}', $1, $2, $3, $4, false, $5, $5)`,
    [token, facts.userId, facts.sessionId, facts.parent ?? null, new Date(nowMs).toISOString()],
  );
  return token;
}

/** From now on the reuse interval runs. */
export async function revokeToken(tx: Tx, id: string, nowMs: number): Promise<void> {
  await tx.query('update auth.refresh_tokens set revoked = true, updated_at = $2 where id = $1', [
    id,
    new Date(nowMs).toISOString(),
  ]);
}

/** The one that is good now: the last that was made and not revoked. */
export async function findActiveToken(tx: Tx, sessionId: string): Promise<RefreshToken | undefined> {
  const { rows } = await tx.query<RefreshToken>(
    'select * from auth.refresh_tokens where session_id = $1 and revoked is false order by id desc limit 1',
    [sessionId],
  );
  return rows[0];
}

/** Whether none of the session came after it. */
export async function isNewest(tx: Tx, { id, session_id }: RefreshToken): Promise<boolean> {
  const { rowCount } = await tx.query(
    'select from auth.refresh_tokens where session_id = $1 and id > $2 limit 1',
    [session_id, id],
  );
  return rowCount === 0;
}

/** Everything of the session, by whoever it was got. */
export async function revokeFamily(tx: Tx, sessionId: string, nowMs: number): Promise<void> {
  await tx.query(
    'update auth.refresh_tokens set revoked = true, updated_at = $2 where session_id = $1 and revoked = false',
    [sessionId, new Date(nowMs).toISOString()],
  );
}

export async function deleteToken(tx: Tx, id: string): Promise<void> {
  await tx.query('delete from auth.refresh_tokens where id = $1', [id]);
}
