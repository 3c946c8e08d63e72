// In charge of: access tokens: which claims a user's session puts into one, in upstream's order, and how long it is good for.
// Source: supabase/auth internal/tokens/service.go `AccessTokenClaims`, `GenerateAccessToken`.
import type { Auth, Visit } from './context.ts';
import { type JsonObject, sorted } from './go-json.ts';
import { claimsOfAnswer } from './hooks/claims.ts';
import { hookMetadata } from './hooks/metadata.ts';
import { type AuthenticationMethod, assuranceOf, highestAal, type Session } from './sessions.ts';
import type { AuthSettings } from './settings.ts';
import type { Tx } from './transaction.ts';
import { timeMs, type User } from './user.ts';

export interface AccessToken {
  readonly token: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

/**
 * Within the transaction that changes the session: a hook that is a function of the database sees what stands in it.
 * @throws Fault what the hook custom_access_token says, 500 unexpected_failure when its claims are not enough
 */
export async function makeAccessToken(
  tx: Tx,
  visit: Visit,
  user: User,
  session: Session,
  method: AuthenticationMethod,
): Promise<AccessToken> {
  const { auth, config } = visit;
  const claims = claimsOf({ user, session, config, issuer: issuerOf(auth, config), nowMs: auth.now() });
  // What the client is told of the end is ours, also where the hook sets another. Source: `GenerateAccessToken`.
  return { token: await auth.sign(await hookedClaims(tx, visit, claims, method)), expiresAt: claims.exp };
}

async function hookedClaims(
  tx: Tx,
  visit: Visit,
  claims: JsonObject,
  method: AuthenticationMethod,
): Promise<JsonObject> {
  const { hooks } = visit.auth;
  if (!hooks.isEnabled('custom_access_token')) return claims;
  const input = {
    metadata: hookMetadata(visit, 'custom_access_token'),
    user_id: claims.sub,
    claims,
    authentication_method: method,
  };
  return claimsOfAnswer(await hooks.run('custom_access_token', input, tx));
}

export function issuerOf(auth: Pick<Auth, 'url'>, config: AuthSettings): string {
  return config.jwtIssuer || auth.url();
}

/** Pure: the claims of a token that is issued at `nowMs`. */
export function claimsOf(facts: {
  readonly user: User;
  readonly session: Session;
  readonly config: AuthSettings;
  readonly issuer: string;
  readonly nowMs: number;
}) {
  const { user, session, config, issuer, nowMs } = facts;
  const { aal, amr } = assuranceOf(session, user);
  const issuedAt = Math.floor(nowMs / 1000);
  return {
    iss: issuer,
    sub: user.id,
    aud: user.aud,
    exp: Math.min(issuedAt + config.jwtExpirySeconds, lowAalEnd(session, user, aal, config)),
    iat: issuedAt,
    email: user.email,
    phone: user.phone,
    app_metadata: sorted(user.raw_app_meta_data),
    user_metadata: sorted(user.raw_user_meta_data),
    role: user.role,
    aal,
    ...(amr.length > 0 && { amr }),
    session_id: session.id,
    is_anonymous: user.is_anonymous,
    ...(session.oauth_client_id && { client_id: session.oauth_client_id }),
    ...(session.scopes && { scope: session.scopes }),
  };
}

/** Who has a second factor and has not used it gets no token that outlives the time that this is allowed for. */
function lowAalEnd(session: Session, user: User, aal: string, { lowAalSeconds }: AuthSettings): number {
  if (lowAalSeconds === 0 || aal >= highestAal(user)) return Number.POSITIVE_INFINITY;
  return Math.floor(timeMs(session.created_at) / 1000 + lowAalSeconds);
}
