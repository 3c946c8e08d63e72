// In charge of: which application asks for tokens, and the parameters it sends: in a form or in JSON, its secret in the header or in the body.
// Source: supabase/auth internal/api/middleware.go `requireOAuthClientAuth`, internal/api/oauthserver/{auth,client_auth}.go.
import { isUuid } from '../authenticate.ts';
import type { Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import { readForm } from '../form.ts';
import type { JsonObject } from '../go-json.ts';
import { withTables } from '../transaction.ts';
import { type AuthMethod, type Client, findClient, isSecretOf } from './clients.ts';

const names = [
  'grant_type',
  'code',
  'refresh_token',
  'redirect_uri',
  'client_id',
  'client_secret',
  'code_verifier',
  'resource',
  'token',
] as const;

/** Empty where one is absent. */
export type TokenParams = Readonly<Record<(typeof names)[number], string>>;

export interface AuthenticatedClient {
  readonly client: Client;
  readonly params: TokenParams;
}

interface Credentials {
  readonly id: string;
  readonly secret: string;
  readonly method: AuthMethod;
}

/** @throws Fault 400 invalid_credentials, 413 request_entity_too_large */
export async function authenticateClient(visit: Visit): Promise<AuthenticatedClient> {
  const params = await readTokenParams(visit);
  const { id, secret, method } = basicCredentials(visit) ?? credentialsOfBody(params);
  if (!isUuid(id)) throw refused('Invalid client_id format');
  const client = await withTables(visit.auth.db, (tx) => findClient(tx, id));
  if (client === undefined) throw refused('Invalid client credentials');
  const registered = client.token_endpoint_auth_method;
  if (method !== registered)
    throw refused(
      `invalid authentication method: client is registered for '${registered}' but '${method}' was used`,
    );
  if (client.client_type === 'public' && secret !== '')
    throw refused('public clients must not provide client_secret');
  if (client.client_type === 'confidential' && secret === '')
    throw refused('confidential clients must provide client_secret');
  if (client.client_type === 'confidential' && !isSecretOf(client, secret))
    throw refused('invalid client credentials');
  return { client, params };
}

const refused = (message: string) => badRequest('invalid_credentials', message);
const unreadable = (why: string) => refused(`Invalid client credentials: ${why}`);

/**
 * RFC 6749 section 2.3.1 has id and secret form-encoded before they are joined; upstream takes them as they are. Both are the same here, as
 * neither has a character that the encoding changes, and clients that follow the RFC to the letter write `%2D` for `-`.
 */
function basicCredentials({ request }: Visit): Credentials | undefined {
  const { authorization = '' } = request.headers;
  if (!authorization.startsWith('Basic ')) return undefined;
  const encoded = authorization.slice('Basic '.length);
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded))
    throw unreadable('invalid basic auth encoding');
  const decoded = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon === -1) throw unreadable('invalid basic auth format');
  const [id, secret] = [decoded.slice(0, colon), decoded.slice(colon + 1)].map(formDecoded);
  return { id: id ?? '', secret: secret ?? '', method: 'client_secret_basic' };
}

const formDecoded = (text: string) =>
  text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

function credentialsOfBody({ client_id: id, client_secret: secret }: TokenParams): Credentials {
  if (id === '') throw unreadable('client_id is required');
  return { id, secret, method: secret === '' ? 'none' : 'client_secret_post' };
}

async function readTokenParams(visit: Visit): Promise<TokenParams> {
  const { request, query } = visit;
  const isJson = (request.headers['content-type'] ?? '').includes('application/json');
  const found = isJson ? await readJson(visit) : await readForm(request);
  const read = (name: string): string => {
    if (!(found instanceof URLSearchParams)) return textOf(found[name]);
    // Upstream does not read this one of a form.
    if (name === 'resource') return '';
    return found.get(name) ?? query.get(name) ?? '';
  };
  // Sound: the names are these.
  return Object.fromEntries(names.map((name) => [name, read(name)])) as TokenParams;
}

async function readJson({ request }: Visit): Promise<JsonObject> {
  const body = await request.readBody();
  if (body.length > maxBodyBytes) throw unreadable('failed to read request body');
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw unreadable('failed to parse JSON body');
  }
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw unreadable('failed to parse JSON body');
  // Sound: an object that is no array.
  return value as JsonObject;
}

const maxBodyBytes = 1 << 20;

function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw unreadable('failed to parse JSON body');
  return value;
}
