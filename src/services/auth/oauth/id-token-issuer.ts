// In charge of: whose id_token a request brings, as it says itself: which issuer has to have signed it, for which applications, by which rules.
// Source: supabase/auth internal/api/token_oidc.go `getProvider`.
import type { IdTokens } from '../../../engine/identity/id-tokens.ts';
import type { Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import { findCustomRow } from './providers/custom-rows.ts';
import { issuerNamedIn } from './providers/id-token.ts';
import { isAppleIssuer, isAzureIssuer, issuers } from './providers/id-token-users.ts';
import { configOf, type ProviderName } from './providers/settings.ts';

export interface IdTokenRequest {
  readonly id_token: string;
  readonly provider: string;
  readonly client_id: string;
  readonly issuer: string;
}

/** Who may have issued the token, and what it has to fulfil. */
export interface Expected {
  readonly issuer: string;
  readonly discovery: Parameters<IdTokens['discover']>[1];
  /** What identities are stored under. */
  readonly provider: string;
  readonly clientIds: readonly string[];
  readonly skipNonceCheck: boolean;
  readonly emailOptional: boolean;
}

const refuse = (message: string, cause?: unknown) => badRequest('validation_failed', message, cause);

/** @throws Fault 400 validation_failed, provider_disabled */
export async function expectedOf(visit: Visit, request: IdTokenRequest): Promise<Expected> {
  const { provider, issuer } = request;
  const { config } = visit;
  if (provider === 'apple' || isAppleIssuer(issuer)) {
    const detected = detect(request, 'Apple', isAppleIssuer);
    return known(visit, 'apple', detected, [config.iosBundleId], { anyIssuer: true });
  }
  if (provider === 'google' || issuer === issuers.google) return known(visit, 'google', issuers.google);
  if (provider === 'azure' || isAzureIssuer(issuer))
    return known(visit, 'azure', detect(request, 'Azure', mayBeAzure));
  if (provider === 'facebook' || issuer === issuers.facebook)
    // Limited Login has no nonce that could be compared.
    return { ...known(visit, 'facebook', issuers.facebook), skipNonceCheck: true };
  const keycloak = configOf(config, 'keycloak');
  if (provider === 'keycloak' || (keycloak.enabled && keycloak.url !== '' && issuer === keycloak.url))
    return known(visit, 'keycloak', keycloak.url);
  if (provider === 'kakao' || issuer === issuers.kakao) return known(visit, 'kakao', issuers.kakao);
  if (provider === 'vercel_marketplace' || issuer === issuers.vercel)
    return known(visit, 'vercel_marketplace', issuers.vercel);
  if (provider === 'snapchat' || issuer === issuers.snapchat)
    return known(visit, 'snapchat', issuers.snapchat);
  if (provider.startsWith('custom:')) return custom(visit, provider);
  if (issuer === '' || !config.allowedIdTokenIssuers.includes(issuer))
    throw refuse(`Custom OIDC provider ${JSON.stringify(provider)} not allowed`);
  return {
    issuer,
    discovery: undefined,
    provider: issuer,
    clientIds: [request.client_id],
    skipNonceCheck: false,
    emailOptional: false,
  };
}

function known(
  { config }: Visit,
  provider: ProviderName,
  issuer: string,
  more: readonly string[] = [],
  discovery?: Expected['discovery'],
): Expected {
  const { enabled, clientIds, skipNonceCheck, emailOptional } = configOf(config, provider);
  if (!enabled)
    throw badRequest('provider_disabled', `Provider (issuer ${JSON.stringify(issuer)}) is not enabled`);
  return { issuer, discovery, provider, clientIds: [...clientIds, ...more], skipNonceCheck, emailOptional };
}

/** Of a provider with several issuers the token itself says which; it has to be one of them. */
function detect(
  { id_token: token, issuer }: IdTokenRequest,
  name: 'Apple' | 'Azure',
  isOne: (issuer: string) => boolean,
): string {
  let detected: string;
  try {
    detected = issuerNamedIn(token);
  } catch (error) {
    throw refuse(`Unable to detect issuer in ID token for ${name} provider`, error);
  }
  if (!isOne(detected)) throw refuse(`Detected ID token issuer is not an ${name} ID token issuer`);
  if (issuer !== '' && issuer !== detected) throw refuse('Provided issuer does not match ID token issuer');
  return detected;
}

const mayBeAzure = (issuer: string) =>
  issuer.startsWith('https://login.microsoftonline.com/') || issuer.startsWith('https://sts.windows.net/');

async function custom(visit: Visit, name: string): Promise<Expected> {
  if (!visit.config.customOauthEnabled) throw refuse('Custom OAuth providers are disabled');
  const row = await findCustomRow(visit.auth.db, name);
  const quoted = JSON.stringify(name);
  if (row === undefined) throw refuse(`Custom provider ${quoted} not found`);
  if (!row.enabled) throw badRequest('provider_disabled', `Custom provider ${quoted} is disabled`);
  if (row.provider_type !== 'oidc') throw refuse(`Provider ${quoted} is not an OIDC provider`);
  if (row.issuer === null) throw refuse(`OIDC provider ${quoted} missing issuer`);
  return {
    issuer: row.issuer,
    // Upstream looks below the issuer here, also where the provider's document is elsewhere; here it is taken from where it is.
    discovery: row.discovery_url ? { url: row.discovery_url } : undefined,
    provider: name,
    clientIds: [row.client_id, ...row.acceptable_client_ids],
    skipNonceCheck: row.skip_nonce_check,
    emailOptional: row.email_optional,
  };
}
