// In charge of: the browser in which a sign-in without PKCE began, known again by a cookie. Without it, whoever is led to the end of what somebody
// else began is signed in as them and does not notice (login CSRF, RFC 6749 section 10.12, RFC 9700 section 4.7). With PKCE the verifier does the same.
// Upstream has nothing of the kind. Linking by hand and SAML begin with a `fetch` of the client library, which keeps no cookie.
import { createHash, randomBytes } from 'node:crypto';
import type { Headers, Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import { queryOf } from '../request.ts';

/** As long as a sign-in may take, and some more for the clocks. */
const cookieSeconds = 600;
const valueBytes = 32;
/** Says in an address that the browser was sent to the right host already: a proxy may not tell us which one it asked for. */
export const homeMark = 'sb_host';

/** What is known of a browser: where it has to begin instead; or what is kept of it until it is back, and the header that it is known by then. */
export type Browser =
  | { readonly kind: 'elsewhere'; readonly home: string }
  | { readonly kind: 'here'; readonly mark: string; readonly headers: Headers };

/**
 * `callback` is where the provider sends the browser back to. A cookie of `localhost` is not there for `127.0.0.1`, so that it has to begin
 * at that host. Undefined: the client has a verifier, or what is at `callback` is not this API's own, and what it does with cookies is its affair.
 */
export function markBrowser(visit: Visit, callback: string): Browser | undefined {
  if (!visit.config.oneBrowser || queryOf(visit, 'code_challenge') !== '') return undefined;
  const end = new URL(callback);
  const own = new URL(`${visit.auth.url()}/callback`);
  if (end.pathname !== own.pathname || end.protocol !== own.protocol) return undefined;
  const home = homeOf(visit, end);
  if (home !== undefined) return { kind: 'elsewhere', home };
  // Two windows that sign in at once have one cookie.
  const value = cookieOf(visit) ?? randomBytes(valueBytes).toString('base64url');
  // Some providers post their answer, and `Lax` is not sent with a post from elsewhere; `None` is only kept over TLS.
  const kind = isSecure(visit) ? 'Secure; SameSite=None' : 'SameSite=Lax';
  const cookie = `${nameOf(visit)}=${value}; Path=/; Max-Age=${cookieSeconds}; HttpOnly; ${kind}`;
  return { kind: 'here', mark: markOf(value), headers: [['set-cookie', cookie]] };
}

function homeOf({ query, request }: Visit, callback: URL): string | undefined {
  const { host } = request.headers;
  if (host === undefined || host.toLowerCase() === callback.host || query.has(homeMark)) return undefined;
  const url = new URL('authorize', callback);
  for (const [name, value] of query) url.searchParams.append(name, value);
  url.searchParams.set(homeMark, '1');
  return url.href;
}

/** @throws Fault 400 bad_oauth_state for a browser that is another than the one that began */
export function refuseOtherBrowser(visit: Visit, mark: string): void {
  const value = cookieOf(visit);
  if (value === undefined || markOf(value) !== mark)
    throw badRequest('bad_oauth_state', 'OAuth state was made for another browser');
}

const markOf = (value: string) => createHash('sha256').update(value).digest('base64url');

const isSecure = ({ auth }: Visit) => auth.url().startsWith('https:');

/** The prefix keeps neighbours on other names of the domain from planting one. Source: RFC 6265bis section 4.1.3.2. */
const nameOf = (visit: Visit) => (isSecure(visit) ? '__Host-sb-sign-in' : 'sb-sign-in');

function cookieOf(visit: Visit): string | undefined {
  const name = `${nameOf(visit)}=`;
  const cookies = (visit.request.headers.cookie ?? '').split(/[;,]\s*/);
  const value = cookies.find((cookie) => cookie.startsWith(name))?.slice(name.length);
  return value !== undefined && /^[\w-]{43}$/.test(value) ? value : undefined;
}
