// In charge of: how acme-client's requests leave: bounded in time and size, ended with the program, and trusting what the settings say.
import { AsyncLocalStorage } from 'node:async_hooks';

/** The part of the standard `fetch` that is used. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly redirect: 'follow' | 'error';
  readonly signal: AbortSignal;
}

export interface Exchange {
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
  /** What the authority said last about when to come back. */
  retryAfterSeconds: number | undefined;
}

/** The part of acme-client's axios instance that is used. */
interface AxiosLike {
  readonly defaults: { adapter?: unknown };
}

interface AxiosRequest {
  readonly url?: string;
  readonly method?: string;
  readonly data?: unknown;
  readonly headers?: { toJSON?(): Record<string, unknown> };
}

const requestTimeoutMs = 30_000;
/** Orders and chains have a few kilobytes. */
const maxAnswerBytes = 1024 * 1024;

// acme-client has one axios instance for the whole process; each order brings its own way out.
const exchanges = new AsyncLocalStorage<Exchange>();

/** Runs `work`, all of whose ACME requests go by `exchange`. */
export function withExchange<T>(exchange: Exchange, work: () => Promise<T>): Promise<T> {
  return exchanges.run(exchange, work);
}

/**
 * Puts our way out in the place of axios's own. That one has no time limit, and acme-client's wrapper around it waits as long as an
 * authority's Retry-After says, and ends in a TypeError when the authority cannot be reached: its `validateStatus` reads
 * the answer that there is none of. What we throw has no `config`, which that wrapper passes on as it is.
 * Source: acme-client 5.4, src/axios.js.
 */
export function installTransport(axios: AxiosLike): void {
  axios.defaults.adapter = send;
}

async function send(config: AxiosRequest): Promise<object> {
  const exchange = exchanges.getStore();
  if (exchange === undefined) throw new Error('an ACME request outside of an order');
  const method = (config.method ?? 'get').toUpperCase();
  const headers = config.headers?.toJSON?.() ?? {};
  const response = await exchange.fetch(config.url ?? '', {
    method,
    headers: Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) => (value == null ? [] : [[name, String(value)]])),
    ),
    ...(typeof config.data === 'string' ? { body: config.data } : {}),
    // A signed request names its URL: it would be refused at another.
    redirect: method === 'POST' ? 'error' : 'follow',
    signal: AbortSignal.any([exchange.signal, AbortSignal.timeout(requestTimeoutMs)]),
  });
  if (response.status === 429 || response.status === 503)
    exchange.retryAfterSeconds = retryAfterSeconds(response.headers.get('retry-after'));
  return {
    data: await boundedText(response),
    status: response.status,
    statusText: response.statusText,
    headers: Object.fromEntries(response.headers),
    config,
  };
}

/** Seconds, or a date. Source: RFC 9110, 10.2.3. */
function retryAfterSeconds(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

async function boundedText(response: Response): Promise<string> {
  let bytes = 0;
  const parts: Uint8Array[] = [];
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > maxAnswerBytes) throw new Error(`the answer of ${response.url} is too long`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/**
 * A way out that trusts the authorities that Node trusts (NODE_EXTRA_CA_CERTS among them), or `ca` alone, PEM text.
 */
export async function openFetch(ca: string | undefined): Promise<{ fetch: Fetch; close(): Promise<void> }> {
  const { Agent, fetch } = await import('undici');
  const dispatcher = new Agent({
    connections: 2,
    connect: { timeout: requestTimeoutMs, ...(ca === undefined ? {} : { ca }) },
  });
  return {
    // Sound: undici's Response is the standard's, of which Node's global one is another build.
    fetch: async (url, init) => (await fetch(url, { ...init, dispatcher })) as unknown as Response,
    close: () => dispatcher.destroy(),
  };
}
