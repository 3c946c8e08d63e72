// In charge of: how acme-client's requests leave: through the program's one way out, bounded in time and size, and ended with the program.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Egress, EgressRequest } from '../../engine/egress/egress.ts';

export interface Exchange {
  readonly egress: Pick<Egress, 'fetch'>;
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
  // Sound: ACME has no other methods, and acme-client uses these in lower case.
  const method = (config.method ?? 'get').toUpperCase() as NonNullable<EgressRequest['method']>;
  const { status, headers, body } = await exchange.egress.fetch(config.url ?? '', {
    method,
    headers: lowerCase(config.headers?.toJSON?.() ?? {}),
    ...(typeof config.data === 'string' ? { body: config.data } : {}),
    // A signed request names its URL: it would be refused at another.
    ...(method === 'POST' ? { maxRedirects: 0 } : {}),
    timeoutMs: requestTimeoutMs,
    signal: exchange.signal,
  });
  if (status === 429 || status === 503)
    exchange.retryAfterSeconds = retryAfterSeconds(headers['retry-after']);
  return { data: body.toString('utf8'), status, statusText: '', headers, config };
}

function lowerCase(headers: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value == null ? [] : [[name.toLowerCase(), String(value)]],
    ),
  );
}

/** Seconds, or a date. Source: RFC 9110, 10.2.3. */
function retryAfterSeconds(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
