// In charge of: a refresh token for a new pair, once. A second use within the reuse interval, or of the token that came before the present one,
// gets what the first use got; any other ends the session's tokens, because somebody else has them.
// Source: supabase/auth internal/tokens/service.go `RefreshTokenGrant`.
import type { Fault } from '../../base/errors.ts';
import { delay } from '../../base/time.ts';
import { makeAccessToken } from './access-tokens.ts';
import type { Visit } from './context.ts';
import { authFault, badRequest, OAuthRefused } from './errors.ts';
import type { Issued } from './issue.ts';
import { nextOfPlain } from './refresh-plain.ts';
import { nextOfSigned } from './refresh-signed.ts';
import { deleteToken, findToken, isPlainLength, lockToken, type RefreshToken } from './refresh-tokens.ts';
import { userAgentOf } from './request.ts';
import { type SessionKey, sessionKeyOf } from './session-key.ts';
import { findSession, lockSession, type Session, validityOf } from './sessions.ts';
import { isSignedBy, parseSignedToken, type SignedToken } from './signed-refresh-tokens.ts';
import { refuseOlderSession } from './single-session.ts';
import { inTransaction, type Tx, withTables } from './transaction.ts';
import { isBanned, type User } from './user.ts';
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
 * @throws Fault 400 refresh_token_not_found, refresh_token_already_used, session_not_found, session_expired, user_banned, validation_failed;
 * 409 conflict; OAuthRefused invalid_client for the session of somebody else
 */
export async function refresh(visit: Visit, token: string, clientId?: string): Promise<Issued> {
  const { auth } = visit;
  const startedMs = auth.now();
  // The tabs of a browser wake up together. Each that tries for itself costs the one that is at it its time, until all have waited too long.
  using _ = await auth.refreshTurns.take(parseSignedToken(token)?.sessionId ?? token, maxWaitMs, auth.signal);
  do {
    await check(visit, token, startedMs);
    const outcome = await inTransaction(auth.refreshDb, (tx) =>
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

/** A token of either kind, and whose it is. */
type Presented = { readonly user: User } & (
  | { readonly kind: 'plain'; readonly token: RefreshToken; readonly session: Session | undefined }
  | {
      readonly kind: 'signed';
      readonly token: SignedToken;
      readonly session: Session;
      readonly key: SessionKey;
    }
);

/** Undefined: there is no such token, or (when it is to be locked) somebody else has it. */
async function findPresented(
  tx: Tx,
  visit: Visit,
  text: string,
  locked: boolean,
): Promise<Presented | undefined> {
  if (isPlainLength(text)) {
    const token = await (locked ? lockToken : findToken)(tx, text);
    const { session_id: id = null } = token ?? {};
    if (token === undefined || (locked && (id === null || !(await lockSession(tx, id))))) return undefined;
    const session = id === null ? undefined : await findSession(tx, id);
    const user = await findUserById(tx, token.user_id);
    return user && { kind: 'plain', token, session, user };
  }
  const signed = parseSignedToken(text);
  if (signed === undefined || (locked && !(await lockSession(tx, signed.sessionId)))) return undefined;
  const session = await findSession(tx, signed.sessionId);
  const key = session && sessionKeyOf(visit, session);
  // As if there were no such session: somebody has made it up.
  if (session === undefined || key === undefined || !isSignedBy(signed, key.key)) return undefined;
  const user = await findUserById(tx, session.user_id);
  return user && { kind: 'signed', token: signed, session, key, user };
}

/** Of which session a text is a refresh token; undefined: of none. */
export async function sessionOfRefreshToken(tx: Tx, visit: Visit, text: string): Promise<string | undefined> {
  return (await findPresented(tx, visit, text, false))?.session?.id;
}

/** What can be said without a lock. */
async function check(visit: Visit, text: string, startedMs: number): Promise<void> {
  const { auth, config } = visit;
  await withTables(auth.db, async (tx) => {
    const found = await findPresented(tx, visit, text, false);
    if (found === undefined)
      throw badRequest('refresh_token_not_found', 'Invalid Refresh Token: Refresh Token Not Found');
    const { user, session } = found;
    if (isBanned(user, auth.now())) throw badRequest('user_banned', 'Invalid Refresh Token: User Banned');
    if (session === undefined) {
      // From before there were sessions.
      if (found.kind === 'plain') await deleteToken(tx, found.token.id);
      throw badRequest('session_not_found', 'Invalid Refresh Token: No Valid Session Found');
    }
    const validity = validityOf(session, user, config, startedMs, timeOf(found));
    if (validity !== 'valid') throw badRequest('session_expired', expired[validity]);
  });
}

const timeOf = (found: Presented) => (found.kind === 'plain' ? found.token.updated_at : undefined);

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
  const found = await findPresented(tx, visit, text, true);
  if (found?.session === undefined) return { kind: 'busy' };
  const { user, session } = found;
  refuseOtherClient(session, clientId);
  if (config.singlePerUser) {
    const verdict = await refuseOlderSession(tx, visit, {
      user,
      session,
      tokenTime: timeOf(found),
      startedMs,
    });
    if (verdict !== undefined) return verdict;
  }
  const next =
    found.kind === 'plain'
      ? await nextOfPlain(tx, visit, { session, user, token: found.token })
      : await nextOfSigned(tx, visit, { ...found, startedMs });
  if (next.kind === 'refused') return next;
  if (next.kind === 'stolen') {
    auth.observe({ kind: 'auth.refresh_token_reused', level: 'warn', session: session.id, user: user.id });
    const fault = badRequest('refresh_token_already_used', 'Invalid Refresh Token: Already Used');
    return { kind: 'refused', fault };
  }
  const fresh = await refreshed(tx, visit, session);
  const signedIn = next.touchesUser ? await updateUser(tx, user.id, {}, auth.now()) : user;
  const { token: accessToken, expiresAt } = await makeAccessToken(
    tx,
    visit,
    signedIn,
    fresh,
    'token_refresh',
  );
  visit.headersOut.push(['sb-auth-user-id', user.id], ['sb-auth-session-id', session.id], ...next.headers);
  return {
    kind: 'issued',
    issued: { accessToken, expiresAt, refreshToken: next.token, user: signedIn },
  };
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
