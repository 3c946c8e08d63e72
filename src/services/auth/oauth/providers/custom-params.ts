// In charge of: what an administrator may set up as a provider: what has to be there, what must not, and where its addresses may lead.
// Source: supabase/auth internal/api/custom_oauth_admin.go `validate…`, internal/utilities/url_validator.go `ValidateOAuthURL`.
import { errorMessage } from '../../../../base/errors.ts';
import type { Egress } from '../../../../engine/egress/egress.ts';
import type { Auth } from '../../context.ts';
import { badRequest } from '../../errors.ts';
import type { JsonObject } from '../../go-json.ts';
import type { Params } from '../../request.ts';
import type { NewRow } from './custom-rows.ts';

export const customShape = {
  provider_type: 'text',
  identifier: 'text',
  name: 'text',
  client_id: 'text',
  client_secret: 'text',
  acceptable_client_ids: 'texts',
  scopes: 'texts',
  pkce_enabled: 'optional_flag',
  attribute_mapping: 'object',
  custom_claims_allowlist: 'texts',
  authorization_params: 'object',
  enabled: 'optional_flag',
  email_optional: 'optional_flag',
  issuer: 'text',
  discovery_url: 'optional_text',
  skip_nonce_check: 'optional_flag',
  authorization_url: 'text',
  token_url: 'text',
  userinfo_url: 'text',
  jwks_uri: 'optional_text',
} as const;
export type CustomParams = Params<typeof customShape>;
export type ProviderType = 'oauth2' | 'oidc';

const refuse = (message: string, cause?: unknown) => badRequest('validation_failed', message, cause);

/** @throws Fault 400 validation_failed */
export function checkRequired(params: CustomParams, type: ProviderType): void {
  const { identifier } = params;
  if (identifier === '') throw refuse('identifier is required');
  if (!identifier.startsWith('custom:'))
    throw refuse(`identifier must start with 'custom:' prefix, e.g. 'custom:${identifier}'`);
  for (const name of ['name', 'client_id', 'client_secret'] as const)
    if (params[name] === '') throw refuse(`${name} is required`);
  if (type === 'oidc' && params.issuer === '') throw refuse('issuer is required for OIDC providers');
  if (type === 'oidc') return;
  for (const name of ['authorization_url', 'token_url', 'userinfo_url'] as const)
    if (params[name] === '') throw refuse(`${name} is required for OAuth2 providers`);
}

/** @throws Fault 400 validation_failed for a parameter that is ours to set, and for one that is no text */
export function checkParams(params: JsonObject): void {
  for (const [name, value] of Object.entries(params)) {
    if (reserved.has(name)) throw refuse(`Cannot override reserved OAuth parameter: ${name}`);
    if (typeof value !== 'string')
      throw refuse(`Authorization parameter ${JSON.stringify(name)} must be a string`);
  }
}

/** @throws Fault 400 validation_failed for what no provider decides about */
export function checkMapping(mapping: JsonObject): void {
  for (const target of Object.keys(mapping))
    if (protectedFields.has(target)) throw refuse(`Cannot map to protected system field: ${target}`);
}

/** @throws Fault 400 validation_failed */
export function checkClaims(names: readonly string[]): void {
  if (names.some((name) => name.trim() === ''))
    throw refuse('custom_claims_allowlist entries must be non-empty strings');
}

export function urlsOf(params: CustomParams, type: ProviderType): readonly string[] {
  const given =
    type === 'oidc'
      ? [params.issuer, params.discovery_url]
      : [params.authorization_url, params.token_url, params.userinfo_url, params.jwks_uri];
  return given.filter((url): url is string => url !== undefined && url !== '');
}

/**
 * Where it leads is judged by what egress would connect to, now; what it leads to later egress judges again.
 * @throws Fault 400 validation_failed
 */
export async function checkUrl(egress: Pick<Egress, 'judge'>, text: string): Promise<void> {
  const url = URL.parse(text);
  if (url === null) throw refuse(/^https:\/\/($|[/?#:])/.test(text) ? noHost : 'Invalid URL format');
  if (url.protocol !== 'https:') throw refuse('URL must use HTTPS');
  if (url.hostname === '') throw refuse(noHost);
  const judgement = await egress.judge(url.hostname);
  if (judgement.kind === 'fine') return;
  if (/^(?:localhost|.*\.localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])$/.test(url.hostname))
    throw refuse('URL cannot point to localhost or loopback addresses');
  if (judgement.kind === 'unknown_name') throw refuse('Unable to resolve hostname');
  throw refuse(`URL cannot resolve to ${wordsOf[judgement.range] ?? 'private network addresses'}`);
}

const noHost = 'URL must have a valid hostname';

const wordsOf: Readonly<Record<string, string>> = {
  loopback: 'loopback addresses',
  linkLocal: 'link-local addresses',
  multicast: 'multicast addresses',
  unspecified: 'unspecified addresses',
};

/**
 * The row with what its issuer publishes: a wrong address is told to whoever sets it up, and not to whoever signs in.
 * @throws Fault 400 validation_failed
 */
export async function discovered({ idTokens }: Auth, row: NewRow): Promise<NewRow> {
  const issuer = row.issuer ?? '';
  const url = row.discovery_url || `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
  idTokens.forget(issuer);
  let document: JsonObject;
  try {
    document = (await idTokens.discover(issuer, { url })).all;
  } catch (error) {
    throw refuse(`OIDC discovery from ${JSON.stringify(url)} failed: ${errorMessage(error)}`, error);
  }
  const missing = needed.filter((name) => typeof document[name] !== 'string' || document[name] === '');
  if (missing.length > 0)
    throw refuse(`OIDC discovery document is missing required fields: ${missing.join(', ')}`);
  const kept = [...needed, 'userinfo_endpoint', ...listed].filter((name) => document[name] !== undefined);
  return { ...row, cached_discovery: Object.fromEntries(kept.map((name) => [name, document[name]])) };
}

const needed = ['issuer', 'authorization_endpoint', 'token_endpoint', 'jwks_uri'];
const listed = [
  'scopes_supported',
  'response_types_supported',
  'grant_types_supported',
  'subject_types_supported',
];

const reserved: ReadonlySet<string> = new Set([
  'client_id',
  'client_secret',
  'redirect_uri',
  'response_type',
  'state',
  'code_challenge',
  'code_challenge_method',
  'code_verifier',
  'nonce',
]);

/** What is the project's own to say: a provider that could write these could make itself anybody. */
const protectedFields: ReadonlySet<string> = new Set([
  'id',
  'aud',
  'role',
  'app_metadata',
  'created_at',
  'updated_at',
  'confirmed_at',
  'email_confirmed_at',
  'phone_confirmed_at',
  'email_verified',
  'phone_verified',
  'banned_until',
  'is_super_admin',
]);
