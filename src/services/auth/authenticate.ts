// In charge of: who asks, for the paths that want to know: a user with a session, or an administrator.
// Source: supabase/auth internal/api/auth.go, internal/api/middleware.go `requireAdminCredentials`, internal/api/helpers.go `requestAud`.
import { type Actor, adminActor } from './audit.ts';
import type { Visit } from './context.ts';
import { authFault, badRequest, forbidden } from './errors.ts';
import type { JsonObject } from './go-json.ts';
import { findSession, type Session, validityOf } from './sessions.ts';
import { withTables } from './transaction.ts';
import { isBanned, nilId, type User } from './user.ts';
import { findUserById } from './users.ts';

export interface SignedIn {
  readonly user: User;
  /** Undefined for a token that names none: one that somebody else made with the project's key. */
  readonly session: Session | undefined;
  readonly claims: JsonObject;
}

/**
 * The user, in a session of their own. What an application got for itself is no such thing: with a token for a name and an address it could
 * otherwise set a password, or register a passkey, and keep the account after the user has withdrawn what they allowed it. Upstream does not
 * look (CWE-269).
 * @throws Fault 401 no_authorization, 403 bad_jwt, user_not_found, session_not_found, user_banned
 */
export async function requireUser(visit: Visit): Promise<SignedIn> {
  const signedIn = await requireUserOrApplication(visit);
  if (signedIn.session?.oauth_client_id != null)
    throw forbidden('bad_jwt', 'The token of an application cannot answer for its user');
  return signedIn;
}

/** For what an application may do as well: see whose token it has, and give it back. @throws as above */
export async function requireUserOrApplication(visit: Visit): Promise<SignedIn> {
  const signedIn = await loadUser(visit, claimsOfToken(visit));
  if (isBanned(signedIn.user, visit.auth.now())) throw forbidden('user_banned', 'User is banned');
  return signedIn;
}

/** @throws Fault 401 no_authorization, 403 bad_jwt, not_admin, and for a user's token whose session has ended */
export async function requireAdmin(visit: Visit): Promise<Actor> {
  const claims = claimsOfToken(visit);
  const { config, auth } = visit;
  // Without this a token would go on working after its session was ended; a key has no session.
  if (typeof claims.session_id === 'string' && claims.session_id !== '' && claims.session_id !== nilId) {
    const { user, session } = await loadUser(visit, claims);
    if (session && validityOf(session, user, config, auth.now()) !== 'valid')
      throw forbidden('session_expired', 'Session is no longer valid');
  }
  const role = typeof claims.role === 'string' ? claims.role : '';
  if (!config.adminRoles.includes(role)) throw forbidden('not_admin', 'User not allowed');
  return adminActor(role);
}

/** The audience that a request is about: as its header says, or its token, or the usual one. */
export function audienceOf({ request, config }: Visit, claims?: JsonObject): string {
  const named = request.headers['x-jwt-aud'];
  if (named) return named;
  const isAdmin = claims !== undefined && config.adminRoles.includes(String(claims.role));
  return (claims && !isAdmin && firstAudience(claims)) || config.jwtAudience;
}

export function firstAudience({ aud }: JsonObject): string {
  const first: unknown = Array.isArray(aud) ? aud[0] : aud;
  return typeof first === 'string' ? first : '';
}

/** What the gateway verified; an API key alone stands for a token of its role, as upstream's gateway makes it one. */
export function claimsOfToken({ request }: Visit): JsonObject {
  if (request.refused) throw request.refused;
  const { caller, headers } = request;
  // A legacy key in `apikey` alone reaches GoTrue without the word Bearer. Source: supabase/cli apps/cli-go/internal/start/start.go `BearerToken`.
  const isBareKey = caller.by === 'token' && headers.authorization === undefined;
  if (caller.by === 'nothing' || isBareKey)
    throw authFault(401, 'no_authorization', 'This endpoint requires a valid Bearer token');
  // Sound: the gateway took them from a JSON object.
  return JSON.parse(caller.claims) as JsonObject;
}

async function loadUser(visit: Visit, claims: JsonObject): Promise<SignedIn> {
  const { sub, session_id: sessionId } = claims;
  if (typeof sub !== 'string' || sub === '') throw forbidden('bad_jwt', 'invalid claim: missing sub claim');
  if (!isUuid(sub)) throw badRequest('bad_jwt', 'invalid claim: sub claim must be a UUID');
  const hasSession = typeof sessionId === 'string' && sessionId !== '' && sessionId !== nilId;
  if (hasSession && !isUuid(sessionId))
    throw forbidden('bad_jwt', 'invalid claim: session_id claim must be a UUID');
  return withTables(visit.auth.db, async (tx) => {
    const user = await findUserById(tx, sub);
    if (user === undefined) throw forbidden('user_not_found', 'User from sub claim in JWT does not exist');
    const session = hasSession ? await findSession(tx, sessionId) : undefined;
    if (hasSession && session === undefined)
      throw forbidden('session_not_found', 'Session from session_id claim in JWT does not exist');
    return { user, session, claims };
  });
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);
}
