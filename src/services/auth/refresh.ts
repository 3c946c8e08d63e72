// In charge of: a refresh token for a new pair, once. A second use within the reuse interval, or of the token that came before the present one,
// gets what the first use got; any other ends the session's tokens, because somebody else has them.
// Source: supabase/auth internal/tokens/service.go `RefreshTokenGrant`.
import type { Fault } from '../../base/errors.ts';
import { delay } from '../../base/time.ts';
import { makeAccessToken } from './access-tokens.ts';
import { record } from './audit.ts';
import type { Visit } from './context.ts';
import { authFault, badRequest, OAuthRefused } from './errors.ts';
import type { Issued } from './issue.ts';
import {
  deleteToken,
  findActiveToken,
  findToken,
  insertToken,
  lockToken,
  type RefreshToken,
  revokeFamily,
  revokeToken,
} from './refresh-tokens.ts';
import { userAgentOf } from './request.ts';
import { findSession, lockSession, type Session, validityOf } from './sessions.ts';
import { refuseOlderSession } from './single-session.ts';
import { inTransaction, type Tx, withTables } from './transaction.ts';
import { isBanned, timeMs, type User } from './user.ts';
import { findUserById, updateUser } from './users.ts';

/** How long a refresh waits for others of the same token. Source: `retryLoopDuration`. */
const maxWaitMs = 5_000;
const minPauseMs = 10;
const pauseSpreadMs = 20;

type Outcome =
  | { readonly kind: 'issued'; readonly issued: Issued }
  /** What was written stays; the client is refused. */
  | { readonly kind: 'refused'; readonly fault: Fault }
  /** Somebody else is at it: again in a moment, without a connection in hand meanwhile. */
  | { readonly kind: 'busy' };

/**
 * `clientId`: the application that asks, where it is one that the user signs in to with this project.
 * @throws Fault 400 refresh_token_not_found, refresh_token_already_used, session_not_found, session_expired, user_banned; 409 conflict;
 * OAuthRefused invalid_client for the session of somebody else
 */
export async function refresh(visit: Visit, token: string, clientId?: string): Promise<Issued> {
  const { auth } = visit;
  const startedMs = auth.now();
  do {
    await check(visit, token, startedMs);
    const outcome = await inTransaction(auth.db, (tx) =>
      swap(tx, visit, { text: token, clientId, startedMs }),
    );
    if (outcome.kind === 'issued') return outcome.issued;
    if (outcome.kind === 'refused') throw outcome.fault;
    await delay(minPauseMs + Math.random() * pauseSpreadMs, auth.signal);
  } while (auth.now() - startedMs < maxWaitMs);
  throw authFault(
    409,
    'conflict',
    'Too many concurrent token refresh requests on the same session or refresh token',
  );
}

/** What can be said without a lock. */
async function check(visit: Visit, text: string, startedMs: number): Promise<void> {
  const { auth, config } = visit;
  await withTables(auth.db, async (tx) => {
    const token = await findToken(tx, text);
    const user = token && (await findUserById(tx, token.user_id));
    if (token === undefined || user === undefined)
      throw badRequest('refresh_token_not_found', 'Invalid Refresh Token: Refresh Token Not Found');
    if (isBanned(user, auth.now())) throw badRequest('user_banned', 'Invalid Refresh Token: User Banned');
    const session = token.session_id === null ? undefined : await findSession(tx, token.session_id);
    if (session === undefined) {
      // From before there were sessions.
      await deleteToken(tx, token.id);
      throw badRequest('session_not_found', 'Invalid Refresh Token: No Valid Session Found');
    }
    const validity = validityOf(session, user, config, startedMs, token.updated_at);
    if (validity !== 'valid') throw badRequest('session_expired', expired[validity]);
  });
}

const expired = {
  expired: 'Invalid Refresh Token: Session Expired',
  inactive: 'Invalid Refresh Token: Session Expired (Inactivity)',
  low_aal: 'Invalid Refresh Token: Session Expired (Low AAL: User Needs MFA Verification)',
} as const;

interface Asked {
  readonly text: string;
  readonly clientId: string | undefined;
  readonly startedMs: number;
}

async function swap(tx: Tx, visit: Visit, { text, clientId, startedMs }: Asked): Promise<Outcome> {
  const { auth, config } = visit;
  const token = await lockToken(tx, text);
  if (token?.session_id == null || !(await lockSession(tx, token.session_id))) return { kind: 'busy' };
  const session = await findSession(tx, token.session_id);
  const user = await findUserById(tx, token.user_id);
  if (session === undefined || user === undefined) return { kind: 'busy' };
  refuseOtherClient(session, clientId);
  if (config.singlePerUser) {
    const verdict = await refuseOlderSession(tx, visit, { user, session, token, startedMs });
    if (verdict !== undefined) return verdict;
  }
  const nowMs = auth.now();
  const next = token.revoked ? await reuse(tx, visit, token, session) : { kind: 'swap' as const };
  if (next.kind === 'stolen') {
    if (config.rotation) await revokeFamily(tx, session.id, nowMs);
    auth.observe({ kind: 'auth.refresh_token_reused', level: 'warn', session: session.id, user: user.id });
    const fault = badRequest('refresh_token_already_used', 'Invalid Refresh Token: Already Used');
    return { kind: 'refused', fault };
  }
  await record(tx, visit, user, 'token_refreshed');
  const refreshToken = next.kind === 'active' ? next.token : await grantNext(tx, visit, user, session, token);
  const fresh = await refreshed(tx, visit, session);
  const signedIn = next.kind === 'active' ? user : await updateUser(tx, user.id, {}, nowMs);
  const { token: accessToken, expiresAt } = await makeAccessToken(
    tx,
    visit,
    signedIn,
    fresh,
    'token_refresh',
  );
  visit.headersOut.push(
    ['sb-auth-user-id', user.id],
    ['sb-auth-session-id', session.id],
    ['sb-auth-refresh-token-prefix', refreshToken.slice(0, 5)],
  );
  return { kind: 'issued', issued: { accessToken, expiresAt, refreshToken, user: signedIn } };
}

/** A stolen refresh token is worth nothing to another application, nor to whoever is none. */
function refuseOtherClient({ oauth_client_id: owner }: Session, clientId: string | undefined): void {
  if ((owner ?? undefined) === clientId) return;
  if (owner === null)
    throw new OAuthRefused('invalid_client', 'Client authentication not allowed for non-OAuth session');
  throw new OAuthRefused(
    'invalid_client',
    clientId === undefined
      ? 'Client authentication required for OAuth session'
      : "Client does not match the session's OAuth client",
  );
}

type Reuse =
  | { readonly kind: 'active'; readonly token: string }
  | { readonly kind: 'swap' }
  | { readonly kind: 'stolen' };

/** A revoked token again: by a client that lost the answer, by its second tab, or by somebody else. */
async function reuse(tx: Tx, { auth, config }: Visit, token: RefreshToken, session: Session): Promise<Reuse> {
  const active = await findActiveToken(tx, session.id);
  // The whole family was revoked. Upstream lets the last of it through for one more reuse interval, which whoever stole it would be glad of.
  if (active === undefined) return { kind: 'stolen' };
  if (active.parent === token.token) return { kind: 'active', token: active.token };
  const untilMs = timeMs(token.updated_at) + config.reuseIntervalSeconds * 1000;
  return auth.now() > untilMs ? { kind: 'stolen' } : { kind: 'swap' };
}

async function grantNext(
  tx: Tx,
  visit: Visit,
  user: User,
  session: Session,
  token: RefreshToken,
): Promise<string> {
  const nowMs = visit.auth.now();
  await record(tx, visit, user, 'token_revoked');
  await revokeToken(tx, token.id, nowMs);
  return insertToken(tx, { userId: user.id, sessionId: session.id, parent: token.token }, nowMs);
}

/** The column is a time without a zone, in UTC. */
async function refreshed(tx: Tx, visit: Visit, session: Session): Promise<Session> {
  const at = new Date(visit.auth.now()).toISOString();
  const agent = userAgentOf(visit);
  await tx.query(
    `update auth.sessions set refreshed_at = $2::timestamptz at time zone 'utc', user_agent = nullif($3, ''), ip = nullif($4, '')::inet,
       updated_at = $2 where id = $1`,
    [session.id, at, agent, visit.request.address],
  );
  return { ...session, refreshed_at: at, user_agent: agent };
}
