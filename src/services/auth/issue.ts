// In charge of: signing a user in: a new session, its first refresh token, its access token, and the answer that carries them.
// Source: supabase/auth internal/tokens/service.go `IssueRefreshToken`, `AccessTokenResponse`.
import { makeAccessToken } from './access-tokens.ts';
import type { Visit } from './context.ts';
import type { JsonObject } from './go-json.ts';
import type { Weakness } from './passwords/strength.ts';
import { signedTokens } from './refresh-token-settings.ts';
import { insertToken } from './refresh-tokens.ts';
import { userAgentOf } from './request.ts';
import {
  type AuthenticationMethod,
  addMethod,
  findSession,
  insertSession,
  type NewSession,
} from './sessions.ts';
import { makeSessionKey, makeSignedToken } from './signed-refresh-tokens.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';
import { userJson } from './user-json.ts';
import { updateUser } from './users.ts';

export interface Issued {
  readonly accessToken: string;
  readonly expiresAt: number;
  readonly refreshToken: string;
  readonly user: User;
}

/**
 * Within the transaction that found the user to be who they say. `notAfter`: when the session ends, where somebody else decides that;
 * `application`: for whom it is, where that is not the project itself.
 */
export async function signIn(
  tx: Tx,
  visit: Visit,
  { id }: User,
  method: AuthenticationMethod,
  { notAfter, application }: Pick<NewSession, 'notAfter' | 'application'> = {},
): Promise<Issued> {
  const { auth, config, request } = visit;
  const nowMs = auth.now();
  const key = config.refreshTokenVersion === signedTokens ? makeSessionKey() : undefined;
  const sessionId = await insertSession(
    tx,
    { userId: id, userAgent: userAgentOf(visit), address: request.address, notAfter, application, key },
    nowMs,
  );
  const refreshToken =
    key === undefined
      ? await insertToken(tx, { userId: id, sessionId, parent: undefined }, nowMs)
      : makeSignedToken(sessionId, 0n, Buffer.from(key, 'base64url'));
  await addMethod(tx, sessionId, method, nowMs);
  const user = await updateUser(tx, id, { last_sign_in_at: new Date(nowMs).toISOString() }, nowMs);
  const session = await findSession(tx, sessionId);
  if (session === undefined) throw new Error(`session ${sessionId} is gone`);
  const { token, expiresAt } = await makeAccessToken(tx, visit, user, session, method);
  visit.headersOut.push(
    ['sb-auth-user-id', id],
    ['sb-auth-session-id', sessionId],
    key === undefined
      ? ['sb-auth-refresh-token-prefix', refreshToken.slice(0, 5)]
      : ['sb-auth-refresh-token-counter', '0'],
  );
  return { accessToken: token, expiresAt, refreshToken, user };
}

export function issuedJson(
  { accessToken, expiresAt, refreshToken, user }: Issued,
  nowMs: number,
  weak?: Weakness,
): JsonObject {
  return {
    access_token: accessToken,
    token_type: 'bearer',
    expires_in: expiresAt - Math.floor(nowMs / 1000),
    expires_at: expiresAt,
    refresh_token: refreshToken,
    user: userJson(user),
    weak_password: weak,
  };
}
