// In charge of: providers that administrators set up themselves: a row of the database as a provider.
// Source: supabase/auth internal/api/external.go `loadCustomProvider`, internal/api/provider/custom_oauth.go.
import { errorMessage } from '../../../../base/errors.ts';
import type { Discovery } from '../../../../engine/identity/id-tokens.ts';
import type { Auth, Visit } from '../../context.ts';
import { readText, TextUnreadable } from '../../encrypted-text.ts';
import type { JsonObject } from '../../go-json.ts';
import {
  type FetchJson,
  type FindProvider,
  type Metadata,
  type Provider,
  type ProviderTokens,
  UnsupportedProvider,
  type UserData,
} from '../provider.ts';
import { isObject, oneEmail } from './answers.ts';
import { type CustomRow, findCustomRow } from './custom-rows.ts';
import { audienceOf, standardClaims, userOfClaims } from './id-token-users.ts';

export const findCustomProvider: FindProvider = async (visit, name, scopes) => {
  if (!visit.config.customOauthEnabled) throw new UnsupportedProvider('custom OAuth providers are disabled');
  const row = await findCustomRow(visit.auth.db, name);
  if (row === undefined) throw new UnsupportedProvider(`custom provider ${name} not found`);
  if (!row.enabled) throw new UnsupportedProvider(`custom provider ${name} is disabled`);
  const asked = scopes.split(/\s+/).filter((scope) => scope !== '');
  const wanted = asked.length === 0 ? row.scopes : asked;
  return row.provider_type === 'oauth2' ? byOAuth(visit, row, wanted) : byOidc(visit, row, wanted);
};

async function byOAuth(visit: Visit, row: CustomRow, scopes: readonly string[]): Promise<Provider> {
  const { authorization_url: authorizeUrl, token_url: tokenUrl, userinfo_url: userinfoUrl } = row;
  if (authorizeUrl === null || tokenUrl === null || userinfoUrl === null)
    throw new UnsupportedProvider(`OAuth2 provider ${row.identifier} missing required endpoints`);
  return {
    ...(await common(visit, row)),
    authorizeUrl,
    tokenUrl,
    scope: scopes.join(' '),
    userOf: (tokens, fetchJson) => byUserInfo(row, userinfoUrl, tokens, fetchJson),
  };
}

async function byOidc(visit: Visit, row: CustomRow, scopes: readonly string[]): Promise<Provider> {
  if (row.issuer === null) throw new UnsupportedProvider(`OIDC provider ${row.identifier} missing issuer`);
  const discovery = await discover(visit.auth, row.issuer, row.discovery_url);
  return {
    ...(await common(visit, row)),
    authorizeUrl: discovery.authorizationEndpoint,
    tokenUrl: discovery.tokenEndpoint,
    scope: withOpenid(scopes).join(' '),
    issuer: discovery.issuer,
    async userOf(tokens, fetchJson) {
      if (tokens.idToken !== '') return byIdToken(visit.auth, row, discovery, tokens.idToken);
      if (discovery.userinfoEndpoint === '') throw new Error('no ID token or userinfo endpoint available');
      return byUserInfo(row, discovery.userinfoEndpoint, tokens, fetchJson);
    },
  };
}

/** Without it there is no id_token. */
export function withOpenid(scopes: readonly string[]): readonly string[] {
  return scopes.includes('openid') ? scopes : ['openid', ...scopes];
}

async function discover({ idTokens }: Auth, issuer: string, url: string | null): Promise<Discovery> {
  try {
    return await idTokens.discover(issuer, url ? { url } : {});
  } catch (error) {
    throw new UnsupportedProvider(
      `error creating OIDC provider: failed to create OIDC provider: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

async function common({ auth, config }: Visit, row: CustomRow) {
  const base = (config.customOauthExternalUrl || auth.url()).replace(/\/+$/, '');
  const params = Object.entries(row.authorization_params).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return {
    name: row.identifier,
    clientId: row.client_id,
    secret: await secretOf(auth, row),
    redirectUri: `${base}/callback`,
    authorizeParams: Object.fromEntries(params),
    tokenAuth: 'auto',
    pkce: row.pkce_enabled,
    emailOptional: row.email_optional,
  } as const;
}

/** One that came along with a database of upstream's stands in the row, unless upstream has wrapped it by a key that is not here. */
async function secretOf(auth: Auth, { id, identifier, client_secret: stored }: CustomRow): Promise<string> {
  if (stored === '') return (await auth.providerSecrets.find(id)) ?? '';
  try {
    return readText(auth.config.now().decryptionKeys, id, stored);
  } catch (error) {
    if (!(error instanceof TextUnreadable)) throw error;
    auth.observe({ kind: 'auth.provider_secret_unreadable', level: 'warn', provider: identifier, error });
    throw new UnsupportedProvider(
      `error decrypting client secret for provider ${identifier}: it was wrapped elsewhere; set it again`,
    );
  }
}

async function byUserInfo(
  row: CustomRow,
  url: string,
  { accessToken }: ProviderTokens,
  fetchJson: FetchJson,
): Promise<UserData> {
  const raw = await fetchJson(url, { headers: { authorization: `Bearer ${accessToken}` } });
  if (!isObject(raw)) throw new Error('What the provider says of the user is no object.');
  const metadata = mapped(withAllowed(standardClaims(raw), raw, row), row);
  const email = typeof metadata.email === 'string' ? metadata.email : '';
  return { emails: oneEmail(email, metadata.email_verified === true), metadata };
}

async function byIdToken(
  { idTokens }: Auth,
  row: CustomRow,
  discovery: Discovery,
  idToken: string,
): Promise<UserData> {
  const { claims } = await idTokens.verify(idToken, discovery);
  const audience = audienceOf(claims) ?? [];
  if (![row.client_id, ...row.acceptable_client_ids].some((id) => audience.includes(id)))
    throw new Error('token audience does not match any acceptable client ID');
  const { emails, metadata } = userOfClaims(claims);
  return { emails, metadata: mapped(withAllowed(metadata, claims, row), row) };
}

/** Claims beside the usual ones, as far as the administrator wants them. */
export function withAllowed(
  metadata: Metadata,
  raw: JsonObject,
  { custom_claims_allowlist: allowed }: Pick<CustomRow, 'custom_claims_allowlist'>,
): Metadata {
  const more = allowed.filter((name) => Object.hasOwn(raw, name)).map((name) => [name, raw[name]] as const);
  if (more.length === 0) return metadata;
  const known = isObject(metadata.custom_claims) ? metadata.custom_claims : {};
  return { ...metadata, custom_claims: { ...known, ...Object.fromEntries(more) } };
}

/** Claims under other names: text names the claim that a value is taken from, anything else is the value. */
export function mapped(
  metadata: Metadata,
  { attribute_mapping: mapping }: Pick<CustomRow, 'attribute_mapping'>,
): Metadata {
  if (Object.keys(mapping).length === 0) return metadata;
  const claims: Record<string, unknown> = { ...metadata };
  for (const [target, source] of Object.entries(mapping)) {
    if (typeof source !== 'string') claims[target] = source;
    else if (Object.hasOwn(claims, source)) claims[target] = claims[source];
  }
  try {
    return standardClaims(claims);
  } catch {
    // Of another type than the claim has: nothing is changed, as upstream does it.
    return metadata;
  }
}
