// In charge of: cutting off the clients that are too slow, by one timer for all of them.
import type { ServerResponse } from 'node:http';
import type { Observe } from '../../base/observe.ts';
import {
  openSlowClientSweep,
  recommendedTimeouts,
  type SlowClient,
  type SlowClientRules,
} from './slow-clients.ts';

export interface SlowClientWatch {
  close(): void;
}

export interface SlowClientWatchOptions {
  /** The requests that have no whole answer yet. */
  readonly inFlight: () => Iterable<ServerResponse>;
  readonly rules: () => SlowClientRules;
  readonly observe: Observe;
  readonly everyMs?: number;
}

/** Looks once a second until it is closed. It keeps no program alive. */
export function watchSlowClients({
  inFlight,
  rules,
  observe,
  everyMs = recommendedTimeouts.sweepMs,
}: SlowClientWatchOptions): SlowClientWatch {
  const sweep = openSlowClientSweep(rules);
  const timer = setInterval(() => {
    for (const slow of sweep(inFlight(), performance.now())) {
      const { doing, bytes, waitedMs } = slow;
      observe({ kind: 'http.slow_client', level: 'info', doing, bytes, waitedMs: Math.round(waitedMs) });
      cutOff(slow);
    }
  }, everyMs);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

/**
 * Ends the connection. Whoever still owes a body is told why before, straight on the socket: whoever waits for that body hears of the
 * end by the request's `close`, and finds a response that is destroyed.
 */
export function cutOff({ response, doing }: SlowClient): void {
  const { socket } = response;
  if (!socket || socket.destroyed) return;
  if (doing === 'reading' || response.headersSent) {
    socket.destroy();
    return;
  }
  socket.write(tooSlow);
  socket.destroySoon();
}

const body = JSON.stringify({
  code: 'request_timeout',
  message: 'The body arrives too slowly.',
  hint: 'Send it in smaller parts, or over a better line.',
});
const tooSlow =
  'HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n' +
  `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
