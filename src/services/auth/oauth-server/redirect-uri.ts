// In charge of: the addresses of applications: which may be registered, and what a browser is sent there with.
// Source: supabase/auth internal/api/oauthserver/service.go `validateRedirectURI`, authorize.go `build…RedirectURL`; RFC 6749 section 3.1.2.

/**
 * Why an address cannot be registered, in upstream's words; undefined when it can.
 * A comma is ours: the table keeps the addresses in one text with commas between them, so that upstream reads `https://a.example/,javascript://b`
 * as two, the second of which nobody has looked at, and hands it to the page that asks for consent (CWE-79, CWE-601).
 */
export function redirectUriComplaint(uri: string): string | undefined {
  if (uri === '') return 'redirect URI cannot be empty';
  if (hasControl(uri)) return 'invalid URL format';
  const match = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?/i.exec(uri);
  const [, written = '', authority = ''] = match ?? [];
  if (written === '' || authority === '') return 'must have scheme and host';
  if (/[\\\s"<>^`{|}]/.test(authority) || !URL.canParse(uri)) return 'invalid URL format';
  const scheme = written.toLowerCase();
  if (dangerousSchemes.has(scheme)) return `scheme '${scheme}' is not allowed for security reasons`;
  if (scheme === 'http' && !loopbackHosts.has(hostOf(authority)))
    return 'HTTP scheme only allowed for localhost';
  const fragment = uri.indexOf('#');
  if (fragment !== -1 && fragment < uri.length - 1) return 'fragment not allowed in redirect URI';
  return uri.includes(',') ? 'comma not allowed in redirect URI' : undefined;
}

const dangerousSchemes: ReadonlySet<string> = new Set([
  'javascript',
  'data',
  'file',
  'vbscript',
  'about',
  'blob',
]);
const loopbackHosts: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

function hostOf(authority: string): string {
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  return host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d*$/, '');
}

const hasControl = (text: string) => /\p{Cc}/u.test(text);

/** The registered address with more in its query; what it had there stays. By name, as Go writes a query. */
export function withQuery(uri: string, facts: Readonly<Record<string, string>>): string {
  const [whole = ''] = uri.split('#', 1);
  const [base = '', ...query] = whole.split('?');
  const all = new URLSearchParams(query.join('?'));
  for (const [name, value] of Object.entries(facts)) if (value !== '') all.set(name, value);
  all.sort();
  return `${base}?${all}`;
}
