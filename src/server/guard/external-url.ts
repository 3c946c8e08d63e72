// In charge of: `[api].external_url`, the one address under which clients reach this server. Links are made from it, never from a request.
import { OperatorError } from '../../base/errors.ts';
import { isLoopbackHost } from '../development-door.ts';

export interface ExternalUrl {
  /** Scheme, host and port, without a slash at the end: `https://api.example.com`. Empty: none is set, which only development may have. */
  readonly url: string;
  /** What should be said once at start. */
  readonly notices: readonly string[];
}

/**
 * @throws OperatorError when it is missing in production, or no plain origin: a path, a query, a password or another scheme would end up in
 * the links that people get by mail.
 */
export function readExternalUrl(text: string, production: boolean): ExternalUrl {
  if (text === '') {
    if (!production) return { url: '', notices: [] };
    throw new OperatorError(
      '--production needs the URL under which clients reach this server, and [api].external_url is not set.',
      hint,
    );
  }
  const url = parse(text);
  if (!url) throw refusal(text, 'is no URL');
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw refusal(text, `has the scheme "${url.protocol.slice(0, -1)}"; it must be https or http`);
  if (url.username !== '' || url.password !== '')
    throw refusal(withoutUser(url), 'has a user name or a password in it');
  if (text.includes('?') || text.includes('#')) throw refusal(text, 'has a query or a fragment');
  if (/^\/{2,}|[^/]/.test(url.pathname))
    throw refusal(text, `has the path "${url.pathname}", but the services add theirs themselves`);
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]')
    throw refusal(text, `names "${url.hostname}", which is an address to listen on, but none to reach`);
  return { url: url.origin, notices: production ? noticesOf(url) : [] };
}

/** The URL; undefined also where `URL` would mend what was written: white space, a backslash, a missing `//`. */
function parse(text: string): URL | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s\\/?#]/i.test(text) || /[\s\\]/.test(text) || !URL.canParse(text))
    return undefined;
  return new URL(text);
}

function noticesOf(url: URL): readonly string[] {
  if (isLoopbackHost(url.host))
    return [
      `[api].external_url is "${url.origin}", which only this machine reaches: links in mails will lead nowhere.`,
    ];
  if (url.protocol === 'http:')
    return [
      `[api].external_url is "${url.origin}": without https, keys and tokens can be read on their way.`,
    ];
  return [];
}

function withoutUser(url: URL): string {
  return `${url.protocol}//…@${url.host}`;
}

function refusal(text: string, problem: string): OperatorError {
  return new OperatorError(`[api].external_url "${text}" ${problem}.`, hint);
}

const hint =
  'Give scheme, host and port alone, such as external_url = "https://api.example.com" in [api] of config.toml, or MILLRACE_EXTERNAL_URL.';
