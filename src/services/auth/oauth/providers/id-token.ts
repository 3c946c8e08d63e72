// In charge of: the id_token that a provider gives out with its tokens: by which issuer's keys it is verified, and whose it may be.
// Source: supabase/auth internal/api/provider/{google,apple,azure,linkedin_oidc,vercel_marketplace}.go `GetUserData`.
import { fitsAccessToken, type IdToken } from '../../../../engine/identity/id-tokens.ts';
import type { Auth } from '../../context.ts';
import type { JsonObject } from '../../go-json.ts';
import type { ProviderTokens, UserData } from '../provider.ts';
import { audienceOf, isAzureCiamIssuer, isAzureIssuer, issuers, userOfClaims } from './id-token-users.ts';

type Kind = 'google' | 'apple' | 'azure' | 'linkedin' | 'vercel';

/** @throws Error when the token is not what it should be */
export async function userByIdToken(
  auth: Auth,
  kind: Kind,
  { url, clientId }: { readonly url: string; readonly clientId: string },
  { idToken, accessToken }: ProviderTokens,
): Promise<UserData> {
  const issuer = kind === 'azure' ? azureIssuer(idToken, url) : issuers[kind];
  const anyIssuer = kind === 'apple';
  const verified = await auth.idTokens.verify(idToken, await auth.idTokens.discover(issuer), { anyIssuer });
  if (!audienceOf(verified.claims)?.includes(clientId)) throw new Error('the id token is for another client');
  checkAccessToken(verified, accessToken);
  return userOfClaims(verified.claims);
}

/** @throws Error when the id_token was given out with another access token */
export function checkAccessToken(token: IdToken, accessToken: string): void {
  const { at_hash: hash } = token.claims;
  if (hash === undefined || hash === null || hash === '') return;
  if (!fitsAccessToken(token, accessToken))
    throw new Error('access token hash does not match value in ID token');
}

/** A tenant of Azure issues its own tokens; which one it has to be follows from the address that is set up. */
function azureIssuer(idToken: string, url: string): string {
  const issuer = issuerNamedIn(idToken);
  const wanted = `${url.replace(/\/$/, '')}/v2.0`;
  const isTenant =
    url !== '' &&
    (isAzureIssuer(wanted) || isAzureCiamIssuer(wanted)) &&
    !/^https:\/\/login\.microsoftonline\.com\/(?:common|organizations)\/v2\.0$/.test(wanted);
  if (isTenant && issuer !== wanted)
    throw new Error(`azure: ID token issuer "${issuer}" does not match expected issuer "${wanted}"`);
  // Upstream asks whatever host a token names for keys when no tenant is set up; here it has to be Azure's, unless the address is not.
  if (!isTenant && (url === '' || isAzureIssuer(wanted)) && !isAzureIssuer(issuer))
    throw new Error(`azure: ID token issuer not valid "${issuer}"`);
  return issuer;
}

/** Who a token says it is from; it only chooses whose keys are asked. @throws Error when it does not say so */
export function issuerNamedIn(token: string): string {
  const [, payload, ...rest] = token.split('.');
  if (payload === undefined || rest.length !== 1) throw new Error('invalid ID token');
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const { iss } = (claims ?? {}) as JsonObject;
  if (iss !== undefined && iss !== null && typeof iss !== 'string') throw new Error('invalid ID token');
  return iss ?? '';
}
