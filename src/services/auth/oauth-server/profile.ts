// In charge of: what an application learns of a user by the scopes that were granted: the id_token and the answer of userinfo.
// Source: supabase/auth internal/tokens/service.go `GenerateIDToken`, internal/api/oauthserver/handlers.go `OAuthUserInfo`.
import { issuerOf } from '../access-tokens.ts';
import type { Visit } from '../context.ts';
import { failed } from '../errors.ts';
import { type JsonObject, sorted } from '../go-json.ts';
import { isConfirmed, isPhoneConfirmed, timeMs, type User } from '../user.ts';
import type { Authorization } from './authorizations.ts';
import { parseScopes } from './scopes.ts';

/** Source: OpenID Connect Core section 2 leaves it open; upstream says an hour. */
const idTokenSeconds = 3600;

/**
 * Signed by the project's key, when that is one whose public half others can have.
 * @throws Fault 500 unexpected_failure where the project signs by its secret, as upstream
 */
export async function makeIdToken(
  { auth, config }: Visit,
  user: User,
  { client_id, nonce, scope }: Authorization,
): Promise<string> {
  const issuedAt = Math.floor(auth.now() / 1000);
  const scopes = parseScopes(scope);
  const token = await auth.sign({
    iss: issuerOf(auth, config),
    sub: user.id,
    aud: client_id,
    exp: issuedAt + idTokenSeconds,
    iat: issuedAt,
    ...(nonce && { nonce }),
    auth_time: user.last_sign_in_at === null ? issuedAt : seconds(user.last_sign_in_at),
    ...idTokenClaims(user, scopes),
    client_id,
  });
  if (algorithmOf(token) === 'HS256')
    throw failed('Error generating ID token', new Error('HS256 is not supported for ID token signing'));
  return token;
}

/**
 * Whether a token that this project's keys have signed is such a one: it is for the application that it names, of no role and of no session.
 * It tells who somebody is, and opens nothing here (CWE-345); upstream's gateway lets it in as anonymous.
 */
export function isIdToken(claims: JsonObject): boolean {
  const { aud, client_id: clientId, auth_time: authTime, role, session_id: sessionId } = claims;
  const isBound = typeof clientId === 'string' && clientId !== '' && aud === clientId;
  return isBound && typeof authTime === 'number' && role === undefined && sessionId === undefined;
}

function idTokenClaims(user: User, scopes: readonly string[]): JsonObject {
  const hasEmail = scopes.includes('email');
  const hasPhone = scopes.includes('phone');
  const { name, picture, preferred_username, updated_at } = profileOf(user, scopes);
  return {
    ...(hasEmail && user.email !== '' && { email: user.email }),
    email_verified: hasEmail && isConfirmed(user),
    ...(hasPhone && user.phone !== '' && { phone_number: user.phone }),
    phone_number_verified: hasPhone && isPhoneConfirmed(user),
    ...present({ name, picture, updated_at, preferred_username }),
  };
}

/** By name, as Go writes a map. A session of no application has granted nothing but who it is. */
export function userInfoOf(user: User, scopeText: string): JsonObject {
  const scopes = parseScopes(scopeText);
  const { raw_user_meta_data: metadata } = user;
  // Sound: an object with its keys in order.
  return sorted({
    sub: user.id,
    ...(scopes.includes('email') && {
      ...(user.email !== '' && { email: user.email }),
      ...(isConfirmed(user) && { email_verified: true }),
    }),
    ...present(profileOf(user, scopes)),
    ...(scopes.includes('profile') && metadata !== null && { user_metadata: metadata }),
    ...(scopes.includes('phone') && {
      ...(user.phone !== '' && { phone: user.phone }),
      ...(isPhoneConfirmed(user) && { phone_verified: true }),
    }),
  }) as JsonObject;
}

function profileOf(user: User, scopes: readonly string[]) {
  if (!scopes.includes('profile'))
    return { name: undefined, picture: undefined, preferred_username: undefined, updated_at: undefined };
  const metadata = user.raw_user_meta_data ?? {};
  const first = (...names: readonly string[]) =>
    names.map((name) => metadata[name]).find((value) => typeof value === 'string' && value !== '');
  return {
    name: first('name') ?? (user.email || undefined),
    picture: first('picture', 'avatar_url'),
    preferred_username: first('preferred_username', 'username'),
    updated_at: seconds(user.updated_at),
  };
}

const present = (facts: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));

const seconds = (text: string) => Math.floor(timeMs(text) / 1000);

function algorithmOf(token: string): unknown {
  const [header = ''] = token.split('.', 1);
  // Sound: our own token, whose header is an object.
  return (JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as JsonObject).alg;
}
