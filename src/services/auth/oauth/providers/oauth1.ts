// In charge of: a request signed as OAuth 1.0a wants it, which Twitter alone still does. Pure but for the random number.
// Source: RFC 5849 sections 3.1, 3.4, 3.5.1 and 3.6.
import { createHmac, randomBytes } from 'node:crypto';

export interface Signer {
  readonly key: string;
  readonly secret: string;
  /** Empty: there is none yet. */
  readonly token?: string;
  readonly tokenSecret?: string;
}

/** What makes one request another than the one before. */
export interface Once {
  readonly nonce: string;
  readonly seconds: number;
}

export const once = (nowMs: number): Once => ({
  nonce: randomBytes(16).toString('hex'),
  seconds: Math.floor(nowMs / 1000),
});

/** The header `Authorization` of a request without a body; what `url` says behind the question mark is signed as well. */
export function signedHeader(
  method: 'GET' | 'POST',
  url: URL,
  { key, secret, token = '', tokenSecret = '' }: Signer,
  { nonce, seconds }: Once,
  more: Readonly<Record<string, string>> = {},
): string {
  const own: Readonly<Record<string, string>> = {
    oauth_consumer_key: key,
    oauth_nonce: nonce,
    oauth_signature_method: 'HMAC-SHA1',
    oauth_timestamp: String(seconds),
    oauth_version: '1.0',
    ...(token !== '' && { oauth_token: token }),
    ...more,
  };
  const pairs = [...Object.entries(own), ...url.searchParams]
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`);
  const base = [method, `${url.origin}${url.pathname}`, pairs.join('&')].map(encode).join('&');
  const signature = createHmac('sha1', `${encode(secret)}&${encode(tokenSecret)}`)
    .update(base)
    .digest('base64');
  const said = Object.entries({ ...own, oauth_signature: signature }).sort(([a], [b]) => compare(a, b));
  return `OAuth ${said.map(([name, value]) => `${encode(name)}="${encode(value)}"`).join(', ')}`;
}

/** Every octet but those that RFC 3986 leaves alone. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
