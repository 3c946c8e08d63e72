// In charge of: every request that the program sends to somebody else. Bounded in address, redirects, bytes, time and number.
// No proxy is read from the environment, no cookie is kept, no compressed answer is asked for.

import type { Socket } from 'node:net';
import type { Dispatcher } from 'undici';
import { type Network, parseNetwork } from '../../base/address-ranges.ts';
import { errorCode } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import { EgressError, egressErrorIn } from './errors.ts';
import { type Judgement, judgeHost } from './judge.ts';
import type { LookupAll } from './lookup.ts';

export interface EgressRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** For everything from the name's look-up to the last byte, redirects included. */
  readonly timeoutMs?: number;
  readonly maxResponseBytes?: number;
  /** 0: a redirect is given back as the answer that it is. */
  readonly maxRedirects?: number;
  readonly signal?: AbortSignal;
}

export interface EgressResponse {
  readonly status: number;
  /** Names in lower case; several values of one name are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** Each as it was sent, in order and with its own letters. */
  readonly headerLines?: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** Where the answer came from, after redirects. */
  readonly url: string;
}

export interface Egress {
  /** @throws EgressError; a status of 400 or more is an answer and no error. */
  fetch(url: string | URL, request?: EgressRequest): Promise<EgressResponse>;
  /**
   * A plain TCP connection, for protocols other than HTTP. TLS goes on top of it: `tls.connect({ socket, servername })`.
   * @throws EgressError
   */
  connect(host: string, port: number): Promise<Socket>;
  /**
   * Whether a host leads to where may be connected to now, without connecting: for an address that somebody sets up and nobody asks yet.
   * What it leads to when it is asked is judged then. Never rejects.
   */
  judge(host: string): Promise<Judgement>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

export interface EgressOptions {
  /** Networks beside the public Internet, as the setting `egress.allow` holds them now. */
  readonly allow: () => readonly string[];
  readonly observe: Observe;
  readonly now: Clock;
  /** Looks names up; the operating system's when left out. */
  readonly lookup?: LookupAll;
  /** To one origin; one more request waits. */
  readonly maxConnectionsPerOrigin?: number;
}

const defaultTimeoutMs = 10_000;
const connectTimeoutMs = 5_000;
const defaultMaxResponseBytes = 1024 * 1024;
const defaultMaxRedirects = 3;
const maxResponseHeaderBytes = 16 * 1024;
/** Requests under way in this process; one more is refused. */
const maxConcurrent = 64;
const defaultMaxConnectionsPerOrigin = 8;
/** Origins with a pool of their own; undici lets go of those that are idle. */
const maxOrigins = 256;

export function openEgress(options: EgressOptions): Egress {
  let allowed: { readonly words: readonly string[]; readonly networks: readonly Network[] } = {
    words: [],
    networks: [],
  };
  const allow = () => {
    const words = options.allow();
    if (words !== allowed.words) {
      allowed = { words, networks: words.map(parseNetwork).filter((network) => network !== undefined) };
    }
    return allowed.networks;
  };
  /** Loaded by the first request: undici takes as long to load as a tenth of a start. */
  let client: ReturnType<typeof openClient> | undefined;
  const opened = () => {
    client ??= openClient(allow, options);
    return client;
  };
  let underWay = 0;

  async function fetch(url: string | URL, request: EgressRequest = {}): Promise<EgressResponse> {
    const startedAt = options.now();
    const first = parseUrl(url);
    let response: EgressResponse | undefined;
    let failure: EgressError | undefined;
    if (underWay >= maxConcurrent)
      throw new EgressError('busy', `${maxConcurrent} outgoing requests are under way already.`);
    underWay++;
    try {
      const { dispatcher } = await opened();
      response = await follow(dispatcher, first, request);
      return response;
    } catch (error) {
      failure = ownError(error, first.host);
      throw failure;
    } finally {
      underWay--;
      options.observe({
        kind: 'egress.request',
        level: failure?.reason === 'address' ? 'warn' : 'debug',
        method: request.method ?? 'GET',
        // Never the whole URL: its query may hold a secret.
        origin: first.origin,
        ...(response && { status: response.status, sizeBytes: response.body.length }),
        ...(failure && { refused: failure.reason, address: failure.address, message: failure.message }),
        durationMs: options.now() - startedAt,
      });
    }
  }

  async function connect(host: string, port: number): Promise<Socket> {
    const { connector } = await opened();
    return new Promise((resolve, reject) => {
      connector({ hostname: host, host, protocol: 'http:', port: String(port) }, (error, socket) => {
        if (error === null) return resolve(socket);
        const failure = ownError(error, host);
        const { reason: refused, address, message } = failure;
        const level = refused === 'address' ? 'warn' : 'debug';
        options.observe({ kind: 'egress.connect', level, host, port, refused, address, message });
        reject(failure);
      });
    });
  }

  return {
    fetch,
    connect,
    judge: (host) => judgeHost(host, allow(), options.lookup),
    async close() {
      const { dispatcher } = (await client) ?? {};
      await dispatcher?.destroy();
    },
  };
}

async function openClient(allow: () => readonly Network[], options: EgressOptions) {
  const [{ Agent }, { guardedConnector }] = await Promise.all([import('undici'), import('./connect.ts')]);
  const connector = guardedConnector(allow, options.lookup, connectTimeoutMs);
  const dispatcher = new Agent({
    connect: connector,
    connections: options.maxConnectionsPerOrigin ?? defaultMaxConnectionsPerOrigin,
    maxOrigins,
    maxHeaderSize: maxResponseHeaderBytes,
    pipelining: 1,
  });
  return { connector, dispatcher };
}

/** Each hop is a request of its own: its URL is looked at and its connection judged like the first one's. */
async function follow(dispatcher: Dispatcher, first: URL, request: EgressRequest): Promise<EgressResponse> {
  const timeoutMs = request.timeoutMs ?? defaultTimeoutMs;
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = request.signal ? AbortSignal.any([request.signal, deadline]) : deadline;
  const maxRedirects = request.maxRedirects ?? defaultMaxRedirects;
  let hop: Hop = {
    url: first,
    method: request.method ?? 'GET',
    headers: request.headers ?? {},
    body: request.body,
  };
  for (let redirects = 0; ; redirects++) {
    const response = await one(dispatcher, hop, request.maxResponseBytes ?? defaultMaxResponseBytes, signal);
    const location = redirectStatuses.has(response.status) ? response.headers.location : undefined;
    if (location === undefined || maxRedirects === 0) return response;
    if (redirects === maxRedirects)
      throw new EgressError('redirect', `"${first.host}" redirects more than ${maxRedirects} times.`);
    hop = next(hop, response.status, location);
  }
}

interface Hop {
  readonly url: URL;
  readonly method: NonNullable<EgressRequest['method']>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

async function one(
  dispatcher: Dispatcher,
  { url, method, headers, body }: Hop,
  maxBytes: number,
  signal: AbortSignal,
): Promise<EgressResponse> {
  const answer = await dispatcher.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    headers: { 'user-agent': 'millrace', 'accept-encoding': 'identity', ...headers },
    body: body ?? null,
    signal,
    headersTimeout: 0,
    bodyTimeout: 0,
    responseHeaders: 'raw',
  });
  // Sound: asked for as they were sent, they come as one flat list of names and values.
  const raw = answer.headers as unknown as readonly string[];
  const headerLines = raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ''] as const] : []));
  const joined = new Map<string, string>();
  for (const [name, value] of headerLines) {
    const known = joined.get(name.toLowerCase());
    joined.set(name.toLowerCase(), known === undefined ? value : `${known}, ${value}`);
  }
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // Leaving the loop by a throw destroys the body, and its connection with it.
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes)
      throw new EgressError('size', `The answer of "${url.host}" is longer than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return {
    status: answer.statusCode,
    headers: Object.fromEntries(joined),
    headerLines,
    body: Buffer.concat(chunks),
    url: url.href,
  };
}

/** Source: RFC 9110 section 15.4; WHATWG Fetch "HTTP-redirect fetch" for what another origin does not get to see. */
function next(from: Hop, status: number, location: string): Hop {
  let url: URL;
  try {
    url = parseUrl(new URL(location, from.url));
  } catch (error) {
    throw new EgressError('redirect', `"${from.url.host}" redirects to what is no http or https URL.`, {
      cause: error,
    });
  }
  if (from.url.protocol === 'https:' && url.protocol === 'http:')
    throw new EgressError('redirect', `"${from.url.host}" redirects from https to http.`);
  const becomesGet =
    (status === 303 && from.method !== 'HEAD') ||
    ((status === 301 || status === 302) && from.method === 'POST');
  const isSameOrigin = url.origin === from.url.origin;
  const headers = Object.fromEntries(
    Object.entries(from.headers).filter(
      ([name]) => (isSameOrigin || !privateHeaders.has(name)) && !(becomesGet && name.startsWith('content-')),
    ),
  );
  return becomesGet
    ? { url, method: 'GET', headers, body: undefined }
    : { url, method: from.method, headers, body: from.body };
}

function parseUrl(given: string | URL): URL {
  let url: URL;
  try {
    url = new URL(given);
  } catch (error) {
    throw new EgressError('url', 'What should be fetched is no URL.', { cause: error });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new EgressError('url', `Only http and https URLs are fetched, not "${url.protocol}".`);
  if (url.username !== '' || url.password !== '')
    throw new EgressError('url', `The URL of "${url.host}" holds a user name or a password.`);
  return url;
}

function ownError(error: unknown, host: string): EgressError {
  const own = egressErrorIn(error);
  if (own) return own;
  const isTime =
    (error instanceof Error && error.name === 'TimeoutError') ||
    errorCode(error) === 'UND_ERR_CONNECT_TIMEOUT';
  return isTime
    ? new EgressError('time', `"${host}" did not answer in time.`, { cause: error })
    : new EgressError('network', `"${host}" cannot be reached or does not answer as it should.`, {
        cause: error,
      });
}

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const privateHeaders: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'apikey',
]);
