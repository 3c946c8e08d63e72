// In charge of: sending a browser on to the application, with the outcome in the address.
// Source: supabase/auth internal/api/verify.go `prep…RedirectURL`, internal/tokens/service.go `AsRedirectURL`, internal/api/errors.go.
import type { Fault } from '../../base/errors.ts';
import type { Answer, Headers } from './context.ts';
import type { Issued } from './issue.ts';

/** The tokens, where no server gets to see them. */
export function withTokens(
  redirectTo: string,
  issued: Issued,
  nowMs: number,
  more: Readonly<Record<string, string>>,
): string {
  const facts = new URLSearchParams({
    access_token: issued.accessToken,
    expires_at: String(issued.expiresAt),
    expires_in: String(issued.expiresAt - Math.floor(nowMs / 1000)),
    refresh_token: issued.refreshToken,
    sb: '',
    token_type: 'bearer',
    ...more,
  });
  facts.sort();
  // As it was asked for, without a slash that a parser would add; but what no header may hold is written as a browser writes it.
  const address = redirectTo.toWellFormed().replaceAll(/[^\x21-\x7e]+/g, encodeURIComponent);
  return `${address}#${facts}`;
}

/** The code that is good for a session with the verifier. */
export function withCode(redirectTo: string, code: string): string {
  const url = new URL(redirectTo);
  url.searchParams.set('code', code);
  return url.href;
}

export function withMessage(redirectTo: string, message: string, isPkce: boolean): string {
  const url = new URL(redirectTo);
  if (isPkce) url.searchParams.set('message', message);
  url.hash = String(new URLSearchParams({ message, sb: '' }));
  return url.href;
}

/** Source: supabase/auth internal/api/errors.go `oauthErrorMap`. */
const oauthErrors: Readonly<Record<number, string>> = {
  400: 'invalid_request',
  401: 'unauthorized_client',
  403: 'access_denied',
  500: 'server_error',
  503: 'temporarily_unavailable',
};

/** What an error is called in an address. */
export interface ErrorFacts {
  readonly error?: string;
  readonly error_code?: string;
  readonly error_description?: string;
}

export function errorFacts({ status, code, message }: Fault): ErrorFacts {
  const error = oauthErrors[status];
  return { ...(error && { error }), error_code: code, error_description: message };
}

/** In the fragment, and where a server is to see it in the query as well. */
export function withError(redirectTo: string, facts: ErrorFacts, inQuery: boolean): string {
  const url = new URL(redirectTo);
  if (inQuery) for (const [name, value] of Object.entries(facts)) url.searchParams.set(name, value);
  url.hash = String(new URLSearchParams({ ...facts, sb: '' }));
  return url.href;
}

/** The same, where only a server is to see it. */
export function withErrorInQuery(redirectTo: string, facts: ErrorFacts): string {
  const url = new URL(redirectTo);
  for (const [name, value] of Object.entries(facts)) url.searchParams.set(name, value);
  return url.href;
}

export function seeOther(location: string): Answer {
  return { status: 303, headers: [['location', location]], body: null };
}

export function found(location: string, headers: Headers = []): Answer {
  return { status: 302, headers: [['location', location], ...headers], body: null };
}
