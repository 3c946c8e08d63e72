// In charge of: the one session that LISTENs. It reconnects by itself and says when it may have missed something.

import type { ClientConfig } from 'pg';
import pg from 'pg';
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { delay } from '../../base/time.ts';
import { ident } from './ident.ts';

export interface Listener {
  /** Calls `onNotify` for each notification on `channel`, and `onGap` whenever the session was lost and is back. */
  listen(channel: string, onNotify: (payload: string) => void, onGap: () => void): void;
  /** Resolves when the session listens for the first time. */
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

const firstRetryMs = 100;
const lastRetryMs = 2_000;

/** @param config must lead to a session of its own: behind a transaction pooler LISTEN is lost with the transaction. */
export function openListener(config: ClientConfig, observe: Observe): Listener {
  const closing = new AbortController();
  const handlers = new Map<string, { onNotify: (payload: string) => void; onGap: () => void }[]>();
  let client: pg.Client | undefined;
  let announceReady!: () => void;
  const ready = new Promise<void>((resolve) => {
    announceReady = resolve;
  });

  async function connectOnce(): Promise<pg.Client> {
    const next = new pg.Client({ ...config, application_name: 'millrace listen', keepAlive: true });
    next.on('notification', ({ channel, payload }) => {
      for (const handler of handlers.get(channel) ?? []) handler.onNotify(payload ?? '');
    });
    // The end event follows and starts the reconnection; the error itself has nothing to add.
    next.on('error', () => {});
    await next.connect();
    for (const channel of handlers.keys()) await next.query(`listen ${ident(channel)}`);
    return next;
  }

  /** Holds a session until closed: connect, wait for its end, connect again. */
  async function hold(): Promise<void> {
    let waitMs = firstRetryMs;
    let lost = false;
    while (!closing.signal.aborted) {
      try {
        const session = await connectOnce();
        // Closed meanwhile: nobody else knows of this session, so nobody else would end it.
        if (closing.signal.aborted) return await session.end();
        client = session;
        const ended = new Promise<void>((resolve) => session.once('end', () => resolve()));
        announceReady();
        if (lost) for (const handler of [...handlers.values()].flat()) handler.onGap();
        waitMs = firstRetryMs;
        await ended;
        client = undefined;
        lost = true;
      } catch (error) {
        observe({ kind: 'db.listen_failed', level: 'warn', message: errorMessage(error), retryMs: waitMs });
      }
      // Closing ends the wait; there is nothing to report then.
      await delay(waitMs, closing.signal).catch(() => {});
      waitMs = Math.min(waitMs * 2, lastRetryMs);
    }
  }

  let holding: Promise<void> | undefined;
  /** One after the other: a session that is asked while it works is something `pg` warns of. */
  let asked: Promise<unknown> = Promise.resolve();
  return {
    ready,
    listen(channel, onNotify, onGap) {
      const isNew = !handlers.has(channel);
      handlers.set(channel, [...(handlers.get(channel) ?? []), { onNotify, onGap }]);
      holding ??= hold();
      if (!isNew || !client) return;
      const session = client;
      asked = asked
        .then(() => session.query(`listen ${ident(channel)}`))
        .catch((error: unknown) => {
          observe({ kind: 'db.listen_failed', level: 'warn', message: errorMessage(error) });
        });
    },
    async close() {
      closing.abort();
      await client?.end();
      await holding;
    },
  };
}
