// In charge of: what an application asked of a user, from the redirect to the code: rows of auth.oauth_authorizations.
// Source: supabase/auth internal/models/oauth_authorization.go.
import { createHash, randomInt, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Tx } from '../transaction.ts';
import { timeMs } from '../user.ts';

export interface Authorization {
  readonly id: string;
  /** What the page for consent gets. */
  readonly authorization_id: string;
  readonly client_id: string;
  /** Whoever opened it first, signed in. */
  readonly user_id: string | null;
  readonly redirect_uri: string;
  readonly scope: string;
  readonly state: string | null;
  readonly resource: string | null;
  readonly code_challenge: string | null;
  readonly code_challenge_method: 's256' | 'plain' | null;
  readonly nonce: string | null;
  readonly status: 'pending' | 'approved' | 'denied' | 'expired';
  readonly authorization_code: string | null;
  readonly expires_at: string;
}

export interface NewAuthorization {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scope: string;
  readonly state: string;
  readonly resource: string;
  readonly codeChallenge: string;
  readonly codeChallengeMethod: string;
  readonly nonce: string;
  readonly ttlSeconds: number;
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const idLength = 32;
/** What nobody asks for any more is taken away by who comes next, some at a time. */
const cleanedAtOnce = 100;

/** Gives the authorization's name. @throws what Postgres says of values that are too long */
export async function insertAuthorization(tx: Tx, asked: NewAuthorization, nowMs: number): Promise<string> {
  const name = Array.from({ length: idLength }, () => alphabet[randomInt(alphabet.length)]).join('');
  await tx.query(
    `insert into auth.oauth_authorizations (id, authorization_id, client_id, redirect_uri, scope, state, resource, code_challenge,
       code_challenge_method, nonce, response_type, status, created_at, expires_at)
     values ($1, $2, $3, $4, $5, nullif($6, ''), nullif($7, ''), $8, lower($9)::auth.code_challenge_method, nullif($10, ''), 'code',
       'pending', $11, $12)`,
    [
      randomUUID(),
      name,
      asked.clientId,
      asked.redirectUri,
      asked.scope,
      asked.state,
      asked.resource,
      asked.codeChallenge,
      asked.codeChallengeMethod,
      asked.nonce,
      new Date(nowMs).toISOString(),
      new Date(nowMs + asked.ttlSeconds * 1000).toISOString(),
    ],
  );
  return name;
}

/** Anybody can ask without being asked who they are, so what ran out a day ago does not stay; upstream keeps it. */
export async function cleanAuthorizations(tx: Tx, nowMs: number): Promise<void> {
  await tx.query(
    `delete from auth.oauth_authorizations where id in (select id from auth.oauth_authorizations
       where expires_at < $1 limit ${cleanedAtOnce} for update skip locked)`,
    [new Date(nowMs - 24 * 60 * 60 * 1000).toISOString()],
  );
}

/** Takes the row's lock; undefined: somebody else has it, or there is none. Nobody waits with a connection in hand. */
export async function lockAuthorization(tx: Tx, name: string): Promise<Authorization | undefined> {
  const { rows } = await tx.query<Authorization>(
    'select * from auth.oauth_authorizations where authorization_id = $1 for update skip locked',
    [name],
  );
  return rows[0];
}

/** The one that was approved with this code. */
export async function findByCode(tx: Tx, code: string): Promise<Authorization | undefined> {
  const { rows } = await tx.query<Authorization>(
    "select * from auth.oauth_authorizations where authorization_code = $1 and status = 'approved'",
    [code],
  );
  return rows[0];
}

export async function setUser(tx: Tx, { id }: Authorization, userId: string): Promise<void> {
  await tx.query('update auth.oauth_authorizations set user_id = $2 where id = $1', [id, userId]);
}

/** Gives the code. */
export async function approve(tx: Tx, { id }: Authorization, nowMs: number): Promise<string> {
  const code = randomUUID();
  await tx.query(
    `update auth.oauth_authorizations set status = 'approved', approved_at = $2, authorization_code = $3 where id = $1`,
    [id, new Date(nowMs).toISOString(), code],
  );
  return code;
}

export async function setStatus(tx: Tx, { id }: Authorization, status: 'denied' | 'expired'): Promise<void> {
  await tx.query('update auth.oauth_authorizations set status = $2 where id = $1', [id, status]);
}

/** With the row goes its code. */
export async function deleteAuthorization(tx: Tx, { id }: Authorization): Promise<void> {
  await tx.query('delete from auth.oauth_authorizations where id = $1', [id]);
}

export const isExpired = ({ expires_at }: Authorization, nowMs: number) => nowMs > timeMs(expires_at);

/** Why a verifier does not fit, in upstream's words; undefined when it does. Source: internal/security/pkce.go. */
export function verifierComplaint(authorization: Authorization, verifier: string): string | undefined {
  const { code_challenge: challenge, code_challenge_method: method } = authorization;
  if (challenge === null || challenge === '') return undefined;
  if (verifier === '') return 'code_verifier is required when PKCE challenge is present';
  if (method === null) return 'code challenge method not supported';
  const [given, kept] = [
    Buffer.from(method === 'plain' ? verifier : createHash('sha256').update(verifier).digest('base64url')),
    Buffer.from(challenge),
  ];
  const fits = given.length === kept.length && timingSafeEqual(given, kept);
  return fits ? undefined : 'code challenge does not match previously saved code verifier';
}
