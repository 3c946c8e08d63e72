// In charge of: what an application may be registered with and changed to, in upstream's words and order.
// Source: supabase/auth internal/api/oauthserver/{service,client_auth}.go.
import type { Fault } from '../../../base/errors.ts';
import { badRequest } from '../errors.ts';
import {
  type AuthMethod,
  authMethods,
  type ClientChanges,
  type ClientFacts,
  type ClientType,
} from './clients.ts';
import { redirectUriComplaint } from './redirect-uri.ts';

export const registrationShape = {
  redirect_uris: 'texts',
  client_type: 'text',
  token_endpoint_auth_method: 'text',
  grant_types: 'texts',
  client_name: 'text',
  client_uri: 'text',
  logo_uri: 'text',
} as const;

export const changesShape = {
  redirect_uris: 'texts',
  grant_types: 'texts',
  client_name: 'optional_text',
  client_uri: 'optional_text',
  logo_uri: 'optional_text',
  token_endpoint_auth_method: 'optional_text',
} as const;

interface Registration {
  readonly redirect_uris: readonly string[] | undefined;
  readonly client_type: string;
  readonly token_endpoint_auth_method: string;
  readonly grant_types: readonly string[] | undefined;
  readonly client_name: string;
  readonly client_uri: string;
  readonly logo_uri: string;
}

type Changes = {
  readonly [K in keyof typeof changesShape]: K extends 'redirect_uris' | 'grant_types'
    ? readonly string[] | undefined
    : string | undefined;
};

const maxRedirectUris = 10;
const maxNameBytes = 1024;
const maxUriBytes = 2048;
const defaultGrantTypes = ['authorization_code', 'refresh_token'];

/** The refusals carry their status in the message, as upstream's do here. @throws Fault 400 validation_failed */
export function parseRegistration(
  params: Registration,
  registrationType: ClientFacts['registrationType'],
): ClientFacts {
  const complaint =
    (params.redirect_uris?.length ? undefined : 'redirect_uris is required') ??
    redirectUrisComplaint(params.redirect_uris ?? []) ??
    (params.grant_types?.length ? grantTypesComplaint(params.grant_types) : undefined) ??
    namesComplaint(params.client_name, params.client_uri, params.logo_uri) ??
    typeComplaint(params.client_type, params.token_endpoint_auth_method);
  if (complaint !== undefined) throw refused(`400: ${complaint}`);
  // Sound: the complaints are about everything else.
  const method = params.token_endpoint_auth_method as AuthMethod | '';
  const clientType = (params.client_type || typeOfMethod(method)) as ClientType;
  return {
    registrationType,
    clientType,
    authMethod: method || (clientType === 'public' ? 'none' : 'client_secret_basic'),
    redirectUris: params.redirect_uris ?? [],
    grantTypes: params.grant_types?.length ? params.grant_types : defaultGrantTypes,
    name: params.client_name,
    uri: params.client_uri,
    logoUri: params.logo_uri,
  };
}

/** @throws Fault 400 validation_failed */
export function parseChanges(params: Changes, clientType: ClientType): ClientChanges {
  if (Object.values(params).every((value) => value === undefined))
    throw refused('No fields provided for update');
  const { redirect_uris: uris, grant_types: grants, token_endpoint_auth_method: method } = params;
  const complaint =
    (uris && redirectUrisComplaint(uris)) ??
    (grants && grantTypesComplaint(grants)) ??
    namesComplaint(params.client_name, params.client_uri, params.logo_uri) ??
    (method !== undefined && !isMethod(method)
      ? `invalid token_endpoint_auth_method: must be one of [${authMethods.join(' ')}]`
      : undefined) ??
    (method !== undefined && typeOfMethod(method) !== clientType
      ? `token_endpoint_auth_method '${method}' is not valid for client_type '${clientType}'; valid methods: [${methodsOf(clientType).join(' ')}]`
      : undefined);
  if (complaint !== undefined) throw refused(complaint);
  return {
    ...(uris && { redirectUris: uris }),
    ...(grants && { grantTypes: grants }),
    ...(params.client_name !== undefined && { name: params.client_name }),
    ...(params.client_uri !== undefined && { uri: params.client_uri }),
    ...(params.logo_uri !== undefined && { logoUri: params.logo_uri }),
    // Sound: checked above.
    ...(method !== undefined && { authMethod: method as AuthMethod }),
  };
}

const refused = (message: string): Fault => badRequest('validation_failed', message);

function redirectUrisComplaint(uris: readonly string[]): string | undefined {
  if (uris.length === 0) return 'redirect_uris cannot be empty';
  if (uris.length > maxRedirectUris) return `redirect_uris cannot exceed ${maxRedirectUris} items`;
  for (const uri of uris) {
    const complaint = redirectUriComplaint(uri);
    if (complaint !== undefined) return `invalid redirect_uri '${uri}': ${complaint}`;
  }
  return undefined;
}

function grantTypesComplaint(types: readonly string[]): string | undefined {
  if (types.length === 0) return 'grant_types cannot be empty';
  return types.every((type) => defaultGrantTypes.includes(type))
    ? undefined
    : "grant_types must only contain 'authorization_code' and/or 'refresh_token'";
}

function namesComplaint(name = '', uri = '', logoUri = ''): string | undefined {
  if (Buffer.byteLength(name) > maxNameBytes) return `client_name cannot exceed ${maxNameBytes} characters`;
  return uriComplaint('client_uri', uri) ?? uriComplaint('logo_uri', logoUri);
}

/** A page may show these: an address that runs something is none here, which upstream does not look at. */
function uriComplaint(name: string, uri: string): string | undefined {
  if (uri === '') return undefined;
  if (Buffer.byteLength(uri) > maxUriBytes) return `${name} cannot exceed ${maxUriBytes} characters`;
  const isAddress = URL.canParse(uri) ? /^https?:$/.test(new URL(uri).protocol) : uri.startsWith('/');
  return isAddress && !/\p{Cc}/u.test(uri) ? undefined : `${name} must be a valid URL`;
}

function typeComplaint(type: string, method: string): string | undefined {
  if (type !== '' && type !== 'public' && type !== 'confidential')
    return "client_type must be 'public' or 'confidential'";
  if (method !== '' && !isMethod(method))
    return `token_endpoint_auth_method must be one of: [${authMethods.join(' ')}]`;
  if (type === '' || method === '' || typeOfMethod(method) === type) return undefined;
  return `client_type '${type}' is inconsistent with token_endpoint_auth_method '${method}' (expected client_type '${typeOfMethod(method)}')`;
}

const isMethod = (text: string): text is AuthMethod => authMethods.some((method) => method === text);
const typeOfMethod = (method: string): ClientType => (method === 'none' ? 'public' : 'confidential');
const methodsOf = (type: ClientType) => authMethods.filter((method) => typeOfMethod(method) === type);
