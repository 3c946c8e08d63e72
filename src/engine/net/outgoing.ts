// In charge of: one request that SQL asks for, from its URL to its answer: to the project's own gateway without a detour, else by the egress.
import type { Clock } from '../../base/time.ts';
import type { Egress, EgressRequest } from '../egress/egress.ts';
import { EgressError } from '../egress/errors.ts';
import { Failure, failureOf } from './failure.ts';
import { isOwnGateway, type OwnGateway } from './own-gateway.ts';

/** A header may be given several times, so they are pairs; names as they were sent. */
export type HeaderPairs = readonly (readonly [name: string, value: string])[];

export interface Outgoing {
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderPairs;
  readonly body: Buffer | null;
  /** For everything, redirects included. */
  readonly timeoutMs: number;
  readonly userAgent: string;
}

export interface Incoming {
  readonly status: number;
  readonly headers: HeaderPairs;
  readonly body: Buffer;
}

/** @throws Failure */
export type Send = (request: Outgoing, signal: AbortSignal) => Promise<Incoming>;

export interface OutgoingOptions {
  readonly egress: Pick<Egress, 'fetch'>;
  /** The whole backend as a function. */
  readonly gateway: (request: Request) => Promise<Response>;
  /** Where that is. */
  readonly own: () => OwnGateway;
  readonly now: Clock;
}

const maxAnswerBytes = 8 * 1024 * 1024;
/** Source: libcurl, CURLOPT_MAXREDIRS: 30 since 8.3.0. */
const maxRedirects = 30;

export function openOutgoing({ egress, gateway, own, now }: OutgoingOptions): Send {
  return async (request, signal) => {
    const startedAt = now();
    const elapsedMs = () => now() - startedAt;
    // Timers take whole numbers.
    const leftMs = () => Math.max(1, Math.ceil(request.timeoutMs - elapsedMs()));
    try {
      const { url, headers } = withoutUser(request);
      let hop: Hop = {
        method: request.method,
        url,
        headers: cleaned(headers, request.userAgent),
        body: request.body,
      };
      for (let redirects = 0; isOwnGateway(hop.url, own()); redirects++) {
        if (redirects > maxRedirects)
          throw new EgressError('redirect', `It redirects more than ${maxRedirects} times.`);
        const within = AbortSignal.any([signal, AbortSignal.timeout(leftMs())]);
        const answer = await askGateway(gateway, hop, within);
        const location = followed(answer);
        if (location === undefined) return answer;
        hop = redirected(hop, answer.status, new URL(location, hop.url));
      }
      const answer = await egress.fetch(hop.url, {
        // Sound: the egress refuses at run time what it does not send.
        method: hop.method as NonNullable<EgressRequest['method']>,
        headers: joined(hop.headers),
        ...(hop.body === null ? {} : { body: hop.body }),
        timeoutMs: leftMs(),
        maxResponseBytes: maxAnswerBytes,
        maxRedirects,
        signal,
      });
      return {
        status: answer.status,
        headers: answer.headerLines ?? Object.entries(answer.headers),
        body: answer.body,
      };
    } catch (error) {
      throw error instanceof Failure ? error : failureOf(error, request.url, elapsedMs(), signal);
    }
  };
}

interface Hop {
  readonly method: string;
  readonly url: URL;
  readonly headers: HeaderPairs;
  readonly body: Buffer | null;
}

/** As a function of this process: no port is opened, so none but this one can be reached that way, and nobody's address is borrowed. */
async function askGateway(
  gateway: OutgoingOptions['gateway'],
  hop: Hop,
  signal: AbortSignal,
): Promise<Incoming> {
  const request = new Request(hop.url, {
    method: hop.method,
    headers: hop.headers.filter(([name]) => !placeHeaders.test(name)).map(([name, value]) => [name, value]),
    body: hop.body === null ? null : new Uint8Array(hop.body),
    signal,
  });
  const gone = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  // Whoever waits for one of the two leaves the other behind; its end is nobody's news.
  gone.catch(() => {});
  const response = await Promise.race([gateway(request), gone]);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await Promise.race([reader.read(), gone]);
    if (done) break;
    sizeBytes += value.length;
    if (sizeBytes > maxAnswerBytes) {
      await reader.cancel().catch(() => {});
      throw new EgressError('size', `The answer is longer than ${maxAnswerBytes} bytes.`);
    }
    chunks.push(value);
  }
  return { status: response.status, headers: [...response.headers], body: Buffer.concat(chunks) };
}

function followed({ status, headers }: Incoming): string | undefined {
  if (![301, 302, 303, 307, 308].includes(status)) return undefined;
  return headers.find(([name]) => name.toLowerCase() === 'location')?.[1];
}

/** What another origin does not get to see. Sources: RFC 9110 section 15.4; libcurl, CURLOPT_UNRESTRICTED_AUTH. */
function redirected(from: Hop, status: number, url: URL): Hop {
  const becomesGet = (status === 303 && from.method !== 'HEAD') || (status < 303 && from.method === 'POST');
  const isSameOrigin = url.origin === from.url.origin;
  const headers = from.headers.filter(
    ([name]) => (isSameOrigin || !privateHeaders.test(name)) && !(becomesGet && /^content-/i.test(name)),
  );
  return becomesGet ? { method: 'GET', url, headers, body: null } : { ...from, url, headers };
}

/** `http://name:word@host` says its credentials in the URL, which the egress does not send. Source: libcurl, CURLOPT_URL. */
function withoutUser({ url: text, headers }: Outgoing): { readonly url: URL; readonly headers: HeaderPairs } {
  const url = new URL(text);
  const { username, password } = url;
  url.hash = '';
  if (username === '' && password === '') return { url, headers };
  url.username = '';
  url.password = '';
  if (headers.some(([name]) => /^authorization$/i.test(name))) return { url, headers };
  const words = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url, headers: [...headers, ['authorization', `Basic ${Buffer.from(words).toString('base64')}`]] };
}

function cleaned(headers: HeaderPairs, userAgent: string): HeaderPairs {
  const own = headers.filter(([name]) => !framingHeaders.test(name));
  const hasAgent = own.some(([name]) => /^user-agent$/i.test(name));
  const hasAccept = own.some(([name]) => /^accept$/i.test(name));
  return [
    ...own,
    ...(hasAgent ? [] : [['user-agent', userAgent] as const]),
    ...(hasAccept ? [] : [['accept', '*/*'] as const]),
  ];
}

function joined(headers: HeaderPairs): Readonly<Record<string, string>> {
  const flat = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const known = flat.get(key);
    flat.set(key, known === undefined ? value : `${known}, ${value}`);
  }
  return Object.fromEntries(flat);
}

/** How a message is framed is the client's affair. */
const framingHeaders =
  /^(?:content-length|transfer-encoding|connection|keep-alive|upgrade|expect|te|trailer)$/i;
/** Which host and which client it is: the gateway knows, and believes nobody. */
const placeHeaders = /^(?:host|forwarded|x-forwarded-.*)$/i;
const privateHeaders = /^(?:authorization|cookie|proxy-authorization|apikey)$/i;
