// In charge of: what users have allowed which application: rows of auth.oauth_consents. Source: supabase/auth internal/models/oauth_consent.go.
import { randomUUID } from 'node:crypto';
import type { Tx } from '../transaction.ts';

export interface Consent {
  readonly id: string;
  readonly user_id: string;
  readonly client_id: string;
  /** With spaces between them. */
  readonly scopes: string;
  readonly granted_at: string;
}

export async function findConsent(tx: Tx, userId: string, clientId: string): Promise<Consent | undefined> {
  const { rows } = await tx.query<Consent>(
    'select * from auth.oauth_consents where user_id = $1 and client_id = $2 and revoked_at is null',
    [userId, clientId],
  );
  return rows[0];
}

/** The last one first. */
export async function listConsents(tx: Tx, userId: string, limit: number): Promise<readonly Consent[]> {
  const { rows } = await tx.query<Consent>(
    'select * from auth.oauth_consents where user_id = $1 and revoked_at is null order by granted_at desc limit $2',
    [userId, limit],
  );
  return rows;
}

/** In the place of whatever there was, withdrawn ones included. */
export async function keepConsent(
  tx: Tx,
  facts: { readonly userId: string; readonly clientId: string; readonly scopes: readonly string[] },
  nowMs: number,
): Promise<void> {
  await tx.query(
    `insert into auth.oauth_consents (id, user_id, client_id, scopes, granted_at) values ($1, $2, $3, $4, $5)
     on conflict on constraint oauth_consents_user_client_unique
     do update set scopes = excluded.scopes, granted_at = excluded.granted_at, revoked_at = null`,
    [randomUUID(), facts.userId, facts.clientId, facts.scopes.join(' '), new Date(nowMs).toISOString()],
  );
}

/** False: there was none. What the application got ends with it: its sessions, and their refresh tokens with them. */
export async function revokeConsent(
  tx: Tx,
  userId: string,
  clientId: string,
  nowMs: number,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update auth.oauth_consents set revoked_at = greatest($3, granted_at)
     where user_id = $1 and client_id = $2 and revoked_at is null`,
    [userId, clientId, new Date(nowMs).toISOString()],
  );
  if (rowCount === 0) return false;
  // A code that was not used yet would open a session after all. First: one that is being used holds its row, and its session is there to be
  // seen once that is let go.
  await tx.query('delete from auth.oauth_authorizations where user_id = $1 and client_id = $2', [
    userId,
    clientId,
  ]);
  await tx.query('delete from auth.sessions where user_id = $1 and oauth_client_id = $2', [userId, clientId]);
  return true;
}
