// In charge of: the provider of a name as the project has it set up now, made of its row in the table, or of its row in the database.
// Source: supabase/auth internal/api/external.go `Provider`; internal/conf/configuration.go `ValidateOAuth`.
import type { Auth, Visit } from '../../context.ts';
import {
  type FindProvider,
  type Provider,
  type ProviderConfig,
  type ProviderTokens,
  UnsupportedProvider,
  type UserData,
} from '../provider.ts';
import { metadata } from './answers.ts';
import { withAppleForm } from './apple.ts';
import { findCustomProvider } from './custom.ts';
import { userByIdToken } from './id-token.ts';
import { configOf, isProviderName, type ProviderName } from './settings.ts';
import { hostOf, type ProviderRow, providerTable } from './table.ts';
import { twitterProvider } from './twitter.ts';

export const findProvider: FindProvider = async (visit, given, scopes) => {
  const name = given.toLowerCase();
  if (name.startsWith('custom:')) return findCustomProvider(visit, name, scopes);
  if (!isProviderName(name)) throw new UnsupportedProvider(`Provider ${name} could not be found`);
  const config = configOf(visit.config, name);
  refuseIncomplete(config);
  if (name === 'twitter') return twitterProvider(visit.auth, config);
  if (name === 'keycloak' && config.url === '')
    throw new UnsupportedProvider('unable to find URL for the Keycloak provider');
  return providerOf(visit, name, providerTable[name], config, scopes);
};

/** @throws UnsupportedProvider in upstream's words */
function refuseIncomplete({ enabled, clientIds, secret }: ProviderConfig): void {
  if (!enabled) throw new UnsupportedProvider('provider is not enabled');
  if (clientIds.length === 0) throw new UnsupportedProvider('missing OAuth client ID');
  if (secret === '') throw new UnsupportedProvider('missing OAuth secret');
}

function providerOf(
  { auth }: Visit,
  name: ProviderName,
  row: ProviderRow,
  config: ProviderConfig,
  scopes: string,
): Provider {
  const { secret, emailOptional } = config;
  const url = row.ignoresUrl ? '' : config.url;
  const at = ([host, path]: readonly [string, string]) => `${hostOf(url, host)}${path}`;
  const api = row.apiOf === undefined ? at(row.api) : row.apiOf(at(row.api));
  const clientId = config.clientIds[0] ?? '';
  const asked = row.takesScopes && scopes !== '' ? scopes.split(',') : [];
  return {
    name,
    authorizeUrl: at(row.auth),
    tokenUrl: at(row.token),
    clientId,
    secret,
    redirectUri: config.redirectUri || `${auth.url()}/callback`,
    scope: [...row.scopes, ...asked].join(' '),
    authorizeParams: row.authorizeParams ?? {},
    tokenAuth: row.tokenAuth ?? 'auto',
    pkce: row.pkce ?? false,
    emailOptional,
    ...(row.issuer !== undefined && { issuer: row.issuer }),
    userOf: (tokens, fetchJson) =>
      userOf(auth, row, { api, clientId, secret, url, emailOptional }, tokens, fetchJson),
    ...(name === 'apple' && { withForm: withAppleForm }),
  };
}

interface Known {
  readonly api: string;
  readonly clientId: string;
  readonly secret: string;
  readonly url: string;
  readonly emailOptional: boolean;
}

async function userOf(
  auth: Auth,
  { person }: ProviderRow,
  known: Known,
  tokens: ProviderTokens,
  fetchJson: Parameters<Provider['userOf']>[1],
): Promise<UserData> {
  const { idToken, json, inTokens } = person;
  if (idToken !== undefined && tokens.idToken !== '') return userByIdToken(auth, idToken, known, tokens);
  if (inTokens !== undefined) return inTokens.read([tokens.all[inTokens.member]], known.api);
  if (json === undefined) return nobody(idToken, known);
  const answers: unknown[] = [];
  for (const { url, headers } of json.asks(known, tokens))
    answers.push(
      await fetchJson(url, { headers: { authorization: `Bearer ${tokens.accessToken}`, ...headers } }),
    );
  return json.read(answers, json.issuer?.(known) ?? known.api);
}

/** No id_token came. Of Apple and LinkedIn upstream knows nobody then, which is refused where an address is wanted. */
function nobody(kind: string | undefined, { emailOptional }: Known): UserData {
  const isRefused = kind === 'azure' || kind === 'vercel' || emailOptional;
  if (isRefused) throw new Error(`${kind}: no OIDC ID token present in response`);
  return { emails: [], metadata: metadata({ sub: '' }) };
}
