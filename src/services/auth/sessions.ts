// In charge of: where users are signed in: one row for each, with how they signed in. Source: supabase/auth internal/models/{sessions,amr}.go.
import { randomUUID } from 'node:crypto';
import type { AuthSettings } from './settings.ts';
import type { Tx } from './transaction.ts';
import { hasVerifiedFactor, timeMs, type User } from './user.ts';

export type Aal = 'aal1' | 'aal2' | 'aal3';

/** How somebody signed in: the `method` of an `amr` entry. Source: supabase/auth internal/models/factor.go. */
export type AuthenticationMethod =
  | 'oauth'
  | 'password'
  | 'otp'
  | 'totp'
  | 'recovery'
  | 'invite'
  | 'sso/saml'
  | 'magiclink'
  | 'email/signup'
  | 'email_change'
  | 'token_refresh'
  | 'anonymous'
  | 'mfa/phone'
  | 'mfa/webauthn'
  /** Of ours: a recovery code. */
  | 'mfa/recovery_code'
  | 'web3'
  | 'oauth_provider/authorization_code'
  | 'passkey';

export interface Session {
  readonly id: string;
  readonly user_id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly factor_id: string | null;
  readonly aal: Aal | null;
  readonly not_after: string | null;
  readonly refreshed_at: string | null;
  readonly user_agent: string | null;
  readonly ip: string | null;
  readonly tag: string | null;
  readonly oauth_client_id: string | null;
  readonly refresh_token_hmac_key: string | null;
  readonly refresh_token_counter: string | null;
  readonly scopes: string | null;
  readonly amr: readonly Amr[];
}

export interface Amr {
  readonly authentication_method: string;
  readonly updated_at: string;
}

const columns = `s.*, coalesce((select json_agg(json_build_object('authentication_method', c.authentication_method,
  'updated_at', c.updated_at)) from auth.mfa_amr_claims c where c.session_id = s.id), '[]') as amr`;

export async function findSession(tx: Tx, id: string): Promise<Session | undefined> {
  const { rows } = await tx.query<Session>(`select ${columns} from auth.sessions s where s.id = $1`, [id]);
  return rows[0];
}

/** A user's, the newest first. */
export async function listSessions(tx: Tx, userId: string, limit: number): Promise<readonly Session[]> {
  const { rows } = await tx.query<Session>(
    `select ${columns} from auth.sessions s where s.user_id = $1 order by s.created_at desc, s.id limit $2`,
    [userId, limit],
  );
  return rows;
}

/** Takes the row's lock; false: somebody else has it, or it is gone. Nobody waits for a lock with a connection in hand. */
export async function lockSession(tx: Tx, id: string): Promise<boolean> {
  const { rowCount } = await tx.query('select from auth.sessions where id = $1 for update skip locked', [id]);
  return rowCount === 1;
}

/** One that the user signs in to with this project, and what it may see. */
export interface SessionOfApplication {
  readonly clientId: string;
  readonly scopes: string;
}

export interface NewSession {
  readonly userId: string;
  readonly userAgent: string;
  readonly address: string;
  readonly notAfter?: string | undefined;
  readonly tag?: string | undefined;
  readonly factorId?: string | undefined;
  readonly application?: SessionOfApplication | undefined;
  /** Of its refresh tokens, where these are signed. */
  readonly key?: string | undefined;
}

export async function insertSession(tx: Tx, session: NewSession, nowMs: number): Promise<string> {
  const id = randomUUID();
  await tx.query(
    `insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip, not_after, tag, factor_id,
       oauth_client_id, scopes, refresh_token_hmac_key, refresh_token_counter)
     values ($1, $2, $3, $3, 'aal1', nullif($4, ''), nullif($5, '')::inet, $6, $7, $8, $9, $10, $11, $12)`,
    [
      id,
      session.userId,
      new Date(nowMs).toISOString(),
      session.userAgent,
      session.address,
      session.notAfter ?? null,
      session.tag ?? null,
      session.factorId ?? null,
      session.application?.clientId ?? null,
      session.application?.scopes ?? null,
      session.key ?? null,
      session.key === undefined ? null : 0,
    ],
  );
  return id;
}

/** Each method once; when it is used again, its time is the last one. */
export async function addMethod(
  tx: Tx,
  sessionId: string,
  method: AuthenticationMethod,
  nowMs: number,
): Promise<void> {
  await tx.query(
    `insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method) values ($1, $2, $3, $3, $4)
     on conflict on constraint mfa_amr_claims_session_id_authentication_method_pkey do update set updated_at = excluded.updated_at`,
    [randomUUID(), sessionId, new Date(nowMs).toISOString(), method],
  );
}

/** Ends all sessions of a user, one, or all but one. Their refresh tokens go with them. */
export async function endSessions(tx: Tx, userId: string): Promise<void> {
  await tx.query('delete from auth.sessions where user_id = $1', [userId]);
}
export async function endSession(tx: Tx, id: string): Promise<void> {
  await tx.query('delete from auth.sessions where id = $1', [id]);
}
export async function endOtherSessions(tx: Tx, id: string, userId: string): Promise<void> {
  await tx.query('delete from auth.sessions where id <> $1 and user_id = $2', [id, userId]);
}

export interface AmrClaim {
  readonly method: string;
  readonly timestamp: number;
  readonly provider?: string;
}

const secondFactors: ReadonlySet<string> = new Set([
  'totp',
  'mfa/phone',
  'mfa/webauthn',
  'mfa/recovery_code',
]);

/** What the methods of a session amount to, the last one first. Source: internal/models/sessions.go `CalculateAALAndAMR`. */
export function assuranceOf(
  session: Session,
  user: User,
): { readonly aal: Aal; readonly amr: readonly AmrClaim[] } {
  const amr = session.amr
    .map(({ authentication_method: method, updated_at }): AmrClaim => {
      const timestamp = Math.floor(timeMs(updated_at) / 1000);
      const [only, ...more] = user.identities;
      const isSso = method === 'sso/saml' && only !== undefined && more.length === 0;
      if (!isSso || !only.provider.startsWith('sso:')) return { method, timestamp };
      return { method, timestamp, provider: only.provider.slice('sso:'.length) };
    })
    .sort((a, b) => b.timestamp - a.timestamp);
  return { aal: amr.some(({ method }) => secondFactors.has(method)) ? 'aal2' : 'aal1', amr };
}

export const highestAal = (user: User): Aal => (hasVerifiedFactor(user) ? 'aal2' : 'aal1');

/** Whether the user came by a link or a code of a mail: who has forgotten a password cannot be asked for it. */
export function isRecovery(session: Session | undefined): boolean {
  return (
    session?.amr.some(({ authentication_method }) => recoveryMethods.has(authentication_method)) ?? false
  );
}
const recoveryMethods: ReadonlySet<string> = new Set(['otp', 'magiclink', 'recovery']);

/** When a session was last alive. Source: internal/models/sessions.go `LastRefreshedAt`. */
export function lastRefreshedMs(session: Session, tokenTime?: string): number {
  if (session.refreshed_at !== null) return timeMs(session.refreshed_at);
  const createdMs = timeMs(session.created_at);
  return tokenTime === undefined ? createdMs : Math.max(createdMs, timeMs(tokenTime));
}

export type Validity = 'valid' | 'expired' | 'inactive' | 'low_aal';

/** Source: internal/models/sessions.go `CheckValidity`. */
export function validityOf(
  session: Session,
  user: User,
  config: Pick<AuthSettings, 'timeboxSeconds' | 'inactivitySeconds' | 'lowAalSeconds'>,
  nowMs: number,
  tokenTime?: string,
): Validity {
  const createdMs = timeMs(session.created_at);
  const isOver = (fromMs: number, seconds: number) => seconds > 0 && nowMs > fromMs + seconds * 1000;
  if (session.not_after !== null && nowMs > timeMs(session.not_after)) return 'expired';
  if (isOver(createdMs, config.timeboxSeconds)) return 'expired';
  if (isOver(lastRefreshedMs(session, tokenTime), config.inactivitySeconds)) return 'inactive';
  if ((session.aal ?? 'aal1') < highestAal(user) && isOver(createdMs, config.lowAalSeconds)) return 'low_aal';
  return 'valid';
}
