// In charge of: codes that are sent by mail or text message, of which only a hash is kept.
// Source: supabase/auth internal/models/one_time_token.go.
import { randomUUID } from 'node:crypto';
import type { Tx } from './transaction.ts';

export type TokenKind =
  | 'confirmation_token'
  | 'reauthentication_token'
  | 'recovery_token'
  | 'email_change_token_new'
  | 'email_change_token_current'
  | 'phone_change_token';

/** A user has one of each kind; a new one ends the old. */
export async function storeToken(
  tx: Tx,
  token: {
    readonly userId: string;
    readonly kind: TokenKind;
    readonly hash: string;
    readonly relatesTo: string;
  },
  nowMs: number,
): Promise<void> {
  const at = new Date(nowMs).toISOString();
  await tx.query(
    `insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at)
     values ($1, $2, $3, $4, lower($5), $6::timestamptz at time zone 'utc', $6::timestamptz at time zone 'utc')
     on conflict (user_id, token_type) do update
     set id = excluded.id, token_hash = excluded.token_hash, relates_to = excluded.relates_to,
       created_at = excluded.created_at, updated_at = excluded.updated_at`,
    [randomUUID(), token.userId, token.kind, token.hash, token.relatesTo, at],
  );
}

/** Whatever was sent to the user is good for nothing any more. */
export async function clearTokens(tx: Tx, userId: string): Promise<void> {
  await tx.query('delete from auth.one_time_tokens where user_id = $1', [userId]);
}
