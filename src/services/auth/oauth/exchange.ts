// In charge of: a provider's code for its tokens, and what is asked of a provider with them. Every request goes out through egress.
// Source: RFC 6749 section 4.1.3, RFC 9207; golang.org/x/oauth2 internal/token.go for what upstream takes as an answer.
import * as oauth from 'oauth4webapi';
import type { Egress } from '../../../engine/egress/egress.ts';
import type { JsonObject } from '../go-json.ts';
import type { FetchJson, Provider, ProviderTokens } from './provider.ts';

/** Source: supabase/auth internal/api/provider/provider.go `defaultTimeout`. */
const timeoutMs = 10_000;
const maxAnswerBytes = 1024 * 1024;

/**
 * `callback` is what came to our address, its `code` and perhaps `iss`.
 * @throws EgressError, and what oauth4webapi throws for an answer that is none
 */
export async function exchangeCode(
  egress: Pick<Egress, 'fetch'>,
  provider: Provider,
  callback: URLSearchParams,
  verifier: string | undefined,
): Promise<ProviderTokens> {
  const ways = provider.tokenAuth === 'auto' ? (['header', 'body'] as const) : [provider.tokenAuth];
  let refusal: unknown;
  for (const way of ways) {
    try {
      return await exchangeBy(way, egress, provider, callback, verifier);
    } catch (error) {
      // Only a provider that answered no is asked the other way; one that cannot be reached is not.
      if (!(error instanceof oauth.ResponseBodyError || error instanceof oauth.OperationProcessingError))
        throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

async function exchangeBy(
  way: 'header' | 'body',
  egress: Pick<Egress, 'fetch'>,
  provider: Provider,
  callback: URLSearchParams,
  verifier: string | undefined,
): Promise<ProviderTokens> {
  const server: oauth.AuthorizationServer = {
    issuer: provider.issuer ?? new URL(provider.authorizeUrl).origin,
    token_endpoint: provider.tokenUrl,
  };
  const client: oauth.Client = { client_id: provider.clientId };
  const secret = provider.secret;
  const auth =
    secret === ''
      ? oauth.None()
      : way === 'header'
        ? oauth.ClientSecretBasic(secret)
        : oauth.ClientSecretPost(secret);
  const seen = new URLSearchParams({ code: callback.get('code') ?? '' });
  // A code that another provider issued is not sent to this one (mix-up). Source: RFC 9207 section 2.4.
  const iss = callback.get('iss');
  if (iss !== null && provider.issuer !== undefined) seen.set('iss', iss);
  const checked = oauth.validateAuthResponse(server, client, seen, oauth.expectNoState);
  let all: JsonObject = {};
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    auth,
    checked,
    provider.redirectUri,
    verifier ?? oauth.nopkce,
    {
      // Where a self-hosted provider is reached without TLS, as upstream lets it; egress judges the address.
      [oauth.allowInsecureRequests]: new URL(provider.tokenUrl).protocol === 'http:',
      [oauth.customFetch]: async (url, { method, headers, body, signal }) => {
        const answer = await egress.fetch(url, {
          method: method as 'POST',
          headers: { ...headers, ...provider.tokenHeaders },
          body: String(body),
          timeoutMs,
          maxResponseBytes: maxAnswerBytes,
          maxRedirects: 0,
          ...(signal && { signal }),
        });
        all = answerOf(answer.body.toString('utf8'), answer.headers['content-type'] ?? '');
        // Whoever reads the user verifies the id_token, with the provider's keys; here it would be read without them.
        const { id_token: _, ...plain } = all;
        const isGood = answer.status >= 200 && answer.status < 300 && plain.error === undefined;
        // Some say neither `bearer` nor anything else; some answer an error with 200.
        const told = isGood ? { token_type: 'bearer', ...plain } : { error: 'invalid_grant', ...plain };
        const status = isGood ? 200 : answer.status >= 400 && answer.status < 500 ? answer.status : 400;
        return Response.json(told, { status });
      },
    },
  );
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response);
  return {
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token ?? '',
    idToken: typeof all.id_token === 'string' ? all.id_token : '',
    all,
  };
}

/** As JSON, or as the form that OAuth had before there was JSON. */
function answerOf(text: string, contentType: string): JsonObject {
  if (
    /^application\/x-www-form-urlencoded|^text\/plain/i.test(contentType) &&
    !text.trimStart().startsWith('{')
  )
    return Object.fromEntries(new URLSearchParams(text));
  try {
    const value: unknown = JSON.parse(text);
    // Sound: an object that is no array.
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch {
    // What is no JSON is no answer; the status tells what it was.
  }
  return { error: 'invalid_response' };
}

/** Asks a provider for JSON. */
export function fetchJsonBy(egress: Pick<Egress, 'fetch'>): FetchJson {
  return async (url, request = {}) => {
    const { status, body } = await egress.fetch(url, {
      method: request.method ?? 'GET',
      headers: { accept: 'application/json', ...request.headers },
      ...(request.body !== undefined && { body: request.body }),
      timeoutMs,
      maxResponseBytes: maxAnswerBytes,
    });
    if (status < 200 || status >= 300) throw new Error(`"${new URL(url).host}" answered ${status}.`);
    return JSON.parse(body.toString('utf8')) as unknown;
  };
}
