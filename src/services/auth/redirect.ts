// In charge of: where a link in a mail may lead to in the end: the site itself, this machine, and what the project lists. Anything else would hand
// the tokens to whoever asked for the mail (CWE-601).
// Source: supabase/auth internal/utilities/request.go `GetReferrer`, `IsRedirectURLValid`; gobwas/glob with the separators `.` and `/`.
import { isIP } from 'node:net';
import type { Visit } from './context.ts';
import { globToRegExp } from './redirect-glob.ts';

/** What the request asks for, when that is allowed; then the page it came from; then the site. */
export function redirectOf(visit: Visit, asked?: string): string {
  const { headers } = visit.request;
  const wanted = asked ?? (headers.redirect_to || visit.query.get('redirect_to') || '');
  if (isAllowed(visit, wanted)) return wanted;
  const referer = headers.referer ?? '';
  return isAllowed(visit, referer) ? referer : visit.config.siteUrl;
}

export function isAllowed({ config }: Pick<Visit, 'config'>, text: string): boolean {
  const url = parse(text);
  const site = parse(config.siteUrl);
  if (url === undefined || site === undefined) return false;
  const host = hostOf(url);
  const isHome = url.protocol === site.protocol && host === hostOf(site) && host !== '';
  // Native apps listen on whatever port they get. Source: RFC 8252 section 7.3.
  if (isHome && (url.port === site.port || isLoopback(host))) return true;
  if (/^\d+$/.test(host)) return false;
  if (isIP(host) !== 0) return isLoopback(host);
  const isHttp = url.protocol === 'http:' || url.protocol === 'https:';
  if (isHttp && !/^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/.test(host)) return false;
  const [withoutFragment = ''] = text.split('#', 1);
  return config.redirectUrls.some((pattern) => matcherOf(pattern).test(withoutFragment));
}

/**
 * As a URL, when there is one reading of it only. A browser reads `\` as `/`, drops tabs and line ends, and an address with a name in front
 * of its host shows another host than it has: none of these is an address that anybody needs here.
 */
function parse(text: string): URL | undefined {
  if (text === '' || text.length > maxUrlCharacters || /[\\\s\p{Cc}]/u.test(text) || !URL.canParse(text))
    return undefined;
  const url = new URL(text);
  // Written as it is read: a browser makes 127.0.0.1 of 2130706433, and `.` of `%2e`.
  const isWritten =
    !specialSchemes.has(url.protocol) || text.toLowerCase().startsWith(`${url.protocol}//${url.hostname}`);
  return isWritten && url.username === '' && url.password === '' ? url : undefined;
}

const maxUrlCharacters = 4096;
const specialSchemes: ReadonlySet<string> = new Set(['http:', 'https:', 'ws:', 'wss:', 'ftp:']);

const hostOf = ({ hostname }: URL) => hostname.replace(/^\[|\]$/g, '').toLowerCase();

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Patterns are few and stay for long. */
const matchers = new Map<string, RegExp>();
const maxMatchers = 500;

function matcherOf(pattern: string): RegExp {
  const known = matchers.get(pattern);
  if (known) return known;
  if (matchers.size >= maxMatchers) matchers.clear();
  const made = globToRegExp(pattern);
  matchers.set(pattern, made);
  return made;
}
