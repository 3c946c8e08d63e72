// In charge of: clients that send a body, or read an answer, so slowly that they only hold the connection. One look a second at what is in
// flight; a request that is over before the next look costs nothing.
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * What Node bounds itself, and what is left for here:
 * - `headersTimeout` bounds the head of a request and `requestTimeout` the whole of it; both are looked at only every
 *   `connectionsCheckingInterval`, by default 30 s, so that 15 s are up to 45 without setting that, too.
 * - `server.setTimeout` ends a connection on which nothing moves at all; a byte now and then keeps it open.
 * - `requestTimeout` alone has to choose: short, and a large file over a slow line does not arrive; long, and a byte a second holds a
 *   connection for so long. A rate tells the two apart.
 * Source: Node's documentation, http "server.headersTimeout", "server.requestTimeout", "connectionsCheckingInterval". The rate and the grace
 * are those of Kestrel (MinRequestBodyDataRate, MinResponseDataRate: 240 bytes/s after 5 s), which also does not count time in which the
 * program did not read; Apache's mod_reqtimeout has 500 bytes/s after 20 s.
 */
export const recommendedTimeouts = {
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 3_600_000,
  connectionsCheckingIntervalMs: 2_000,
  sweepMs: 1_000,
} as const;

export interface SlowClientRules {
  /** 0 switches it off. */
  readonly minBytesPerSecond: number;
  readonly graceMs: number;
}

export interface SlowClient {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Whether it sends its body too slowly, or reads its answer too slowly. */
  readonly doing: 'sending' | 'reading';
  readonly bytes: number;
  /** How long it was its turn. */
  readonly waitedMs: number;
}

interface Progress {
  bytes: number;
  waitedMs: number;
  doing: SlowClient['doing'];
  lastBytes: number;
}

/** Whether so many bytes in so much time are too few. */
export function isTooSlow(bytes: number, waitedMs: number, rules: SlowClientRules): boolean {
  const countedMs = waitedMs - rules.graceMs;
  return countedMs > 0 && bytes < (countedMs / 1000) * rules.minBytesPerSecond;
}

/**
 * Gives the look: called again and again with what is in flight, it gives those that are too slow since the time before.
 * Time counts against a client only while it is its turn: while we wait for bytes of it, or it has bytes of ours to read.
 */
export function openSlowClientSweep(
  rules: () => SlowClientRules,
): (inFlight: Iterable<ServerResponse>, nowMs: number) => readonly SlowClient[] {
  let known = new Map<ServerResponse, Progress>();
  let lastMs: number | undefined;
  return (inFlight, nowMs) => {
    const elapsedMs = lastMs === undefined ? 0 : nowMs - lastMs;
    lastMs = nowMs;
    const current = rules();
    const next = new Map<ServerResponse, Progress>();
    const slow: SlowClient[] = [];
    if (current.minBytesPerSecond > 0) {
      for (const response of inFlight) {
        const turn = turnOf(response);
        if (turn === undefined) continue;
        const progress = advance(known.get(response), turn, elapsedMs);
        if (isTooSlow(progress.bytes, progress.waitedMs, current)) {
          const { bytes, waitedMs, doing } = progress;
          slow.push({ request: response.req, response, doing, bytes, waitedMs });
        } else next.set(response, progress);
      }
    }
    // Those that are over are in it no more, so nothing outlives its request by more than one look.
    known = next;
    return slow;
  };
}

interface Turn {
  readonly doing: SlowClient['doing'];
  /** Of the whole connection. */
  readonly bytes: number;
  /** Whether it is the client that the others wait for. */
  readonly isClients: boolean;
}

function turnOf({ req: request, socket, writableEnded, headersSent }: ServerResponse): Turn | undefined {
  if (!socket || socket.destroyed) return undefined;
  if (headersSent && socket.writableLength > 0) {
    // What the operating system has taken is as good as read: it takes no more than its buffer.
    return { doing: 'reading', bytes: socket.bytesWritten - socket.writableLength, isClients: true };
  }
  if (request.complete || writableEnded || !hasBody(request)) return undefined;
  // Nobody reads here at the moment, or there is as much as may be kept: then it is us.
  const isClients = request.readableFlowing === true || request.readableLength === 0;
  return { doing: 'sending', bytes: socket.bytesRead, isClients };
}

function advance(before: Progress | undefined, turn: Turn, elapsedMs: number): Progress {
  if (before === undefined || before.doing !== turn.doing)
    return { bytes: 0, waitedMs: 0, doing: turn.doing, lastBytes: turn.bytes };
  return {
    bytes: before.bytes + turn.bytes - before.lastBytes,
    waitedMs: before.waitedMs + (turn.isClients ? elapsedMs : 0),
    doing: turn.doing,
    lastBytes: turn.bytes,
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}
