// In charge of: a Db of a test's own whose few connections are shared, with figures of who travelled together.
import type { ClientConfig, PoolClient } from 'pg';
import { expect, vi } from 'vitest';
import type { Db, Rows, Work } from '../../src/engine/db/db.ts';
import { Exchange } from '../../src/engine/db/exchange.ts';
import type { Messages } from '../../src/engine/db/messages.ts';
import { acquired, giveBack, openPool, type PoolLimits, poolFigures } from '../../src/engine/db/pool.ts';
import { openDb } from '../../src/engine/db/session.ts';
import type { Caller } from '../../src/engine/identity/caller.ts';

export interface SharedConnections extends AsyncDisposable {
  readonly db: Db;
  /** Kinds of what was observed. */
  readonly said: readonly string[];
  /** How many exchanges each write carried, since the last `forgetWrites()`; one that runs alone is a 1. */
  writes(): readonly number[];
  forgetWrites(): void;
  figures(): ReturnType<typeof poolFigures>;
  /** Nobody has a connection any more and nobody waits: no count was lost on the way. Waits for cancels that are still under way. */
  atRest(): Promise<void>;
  /** Runs each until it shares; a function makes a new one for each run. */
  learn(caller: Caller, ...works: readonly (Work | ((run: number) => Work))[]): Promise<void>;
  /** Makes `ask` ask while every connection is in use: who shares, then travels together. */
  together<T>(ask: () => readonly Promise<T>[]): Promise<PromiseSettledResult<T>[]>;
  hold(): Promise<PoolClient>;
  free(client: PoolClient): void;
  end(): Promise<void>;
}

export const someLimits: PoolLimits = { maxConnections: 1, acquireTimeoutMs: 20_000, maxWaiting: 2_000 };

export function openSharedConnections(
  login: ClientConfig,
  limits: PoolLimits = someLimits,
  prepared: 'auto' | 'on' | 'off' = 'auto',
): SharedConnections {
  const said: string[] = [];
  const observe = (event: { readonly kind: string }) => void said.push(event.kind);
  const pool = openPool(login, limits, observe);
  const db = openDb({ requests: pool, limits, ownerPool: () => pool, prepared, observe });
  // Exchanges that go out in one write put their messages to the same Messages.
  const carried = new Map<Messages, number>();
  const held = new Set<PoolClient>();
  const write = Exchange.prototype.write;
  const spy = vi.spyOn(Exchange.prototype, 'write').mockImplementation(function (this: Exchange, messages) {
    carried.set(messages, (carried.get(messages) ?? 0) + 1);
    write.call(this, messages);
  });
  const shared: SharedConnections = {
    db,
    said,
    writes: () => [...carried.values()],
    forgetWrites: () => carried.clear(),
    figures: () => poolFigures(pool),
    atRest: () =>
      vi.waitFor(() => expect(poolFigures(pool)).toMatchObject({ waiting: 0, taken: 0, eager: 0 }), 20_000),
    async learn(caller, ...works) {
      let runs = 0;
      for (const work of works) {
        const ask = () => db.as(caller, typeof work === 'function' ? work(++runs) : work);
        // A busy machine may be slow at times, and what was slow shares only after many runs.
        for (let isShared = false; !isShared; ) {
          for (let run = 0; run < 12; run += 1) await ask();
          const before = carried.size;
          await shared.together(() => [ask(), ask()]);
          isShared = prepared === 'off' || [...carried.values()].slice(before).includes(2);
        }
      }
    },
    async together(ask) {
      const all = await Promise.all(Array.from({ length: limits.maxConnections }, shared.hold));
      const asked = ask();
      for (const client of all) shared.free(client);
      return Promise.allSettled(asked);
    },
    async hold() {
      const client = await acquired(pool, limits);
      held.add(client);
      return client;
    },
    free(client) {
      held.delete(client);
      giveBack(pool, limits, client, false);
    },
    end: () => pool.end(),
    async [Symbol.asyncDispose]() {
      spy.mockRestore();
      // A test that failed half-way may hold some still; the pool would wait for them without end.
      for (const client of held) giveBack(pool, limits, client, true);
      if (!pool.ending) await pool.end();
    },
  };
  return shared;
}

/** What came of it: the first column of the first row, or the SQLSTATE or reason of the error. */
export function outcome(settled: PromiseSettledResult<Rows>): string | null | undefined {
  if (settled.status === 'fulfilled') return settled.value.rows[0]?.[0];
  const { code, reason, message } = settled.reason as { code?: string; reason?: string; message: string };
  return code ?? reason ?? message;
}
