// In charge of: access tokens: which claims a user's session puts into one, in upstream's order, and how long it is good for.
// Source: supabase/auth internal/tokens/service.go `AccessTokenClaims`, `GenerateAccessToken`.
import type { Auth } from './context.ts';
import { sorted } from './go-json.ts';
import { assuranceOf, highestAal, type Session } from './sessions.ts';
import type { AuthSettings } from './settings.ts';
import { timeMs, type User } from './user.ts';

export interface AccessToken {
  readonly token: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

export async function makeAccessToken(
  auth: Auth,
  config: AuthSettings,
  user: User,
  session: Session,
): Promise<AccessToken> {
  const claims = claimsOf({ user, session, config, issuer: issuerOf(auth, config), nowMs: auth.now() });
  return { token: await auth.sign(claims), expiresAt: claims.exp };
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
