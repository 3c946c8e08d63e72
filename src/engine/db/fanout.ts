// In charge of: telling every process of this backend that something happened. A row in `_millrace.events` and a NOTIFY that says its number.
import type { PoolClient } from 'pg';
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Db } from './db.ts';
import type { Listener } from './listener.ts';

/** What carries it is Postgres, as here, or a broker (`engine/fanout`). */
export interface Fanout {
  /** Tells all processes, this one included. Rejects when it cannot: then it is lost, or, where nobody knows, may be. */
  publish(channel: string, payload: unknown): Promise<void>;
  /**
   * Calls `listener` once for each event on `channel` that is published from now on, those of one process in their order; the result ends that.
   * `onGap` is called when some may not have been heard.
   */
  subscribe(channel: string, listener: (payload: unknown) => void, onGap?: () => void): () => void;
  /** Why the processes do not hear each other at the moment, as the end of a sentence; undefined: they do. */
  trouble(): string | undefined;
}

/** The one by Postgres: what it tells is told together with a transaction. */
export interface DatabaseFanout extends Fanout {
  /** Once the transaction of `client` has committed; without `client` in a transaction of its own. */
  publish(channel: string, payload: unknown, client?: PoolClient): Promise<void>;
  close(): void;
}

const notifyChannel = 'millrace_events';
/** Events are kept this long for processes whose LISTEN session was lost. */
const keepSeconds = 600;
/** Numbers of events seen already, so that reading a stretch again delivers nothing twice. */
const maxSeen = 10_000;
/** Without LISTEN (behind a transaction pooler) the table is read this often. */
const pollMs = 1_000;
const maxEventsPerRead = 1_000;

/** @param listener undefined behind a transaction pooler without DIRECT_URL: events are polled. */
export async function openFanout(
  db: Db,
  listener: Listener | undefined,
  observe: Observe,
): Promise<DatabaseFanout> {
  const listeners = new Map<string, Set<(payload: unknown) => void>>();
  const seen = new Set<string>();
  let reading: Promise<void> | undefined;
  let again = false;
  let closed = false;

  /** Which table `floor` and `seen` are about: a reset makes another, and its numbers begin anew. */
  let home = '';
  let floor = 0n;

  /** The oldest numbers give way; what is below the floor is not read again, so that nothing is delivered twice. */
  function remember(id: string): void {
    seen.add(id);
    for (const oldest of seen) {
      if (seen.size <= maxSeen) break;
      seen.delete(oldest);
      if (BigInt(oldest) > floor) floor = BigInt(oldest);
    }
  }

  // What is there is not news. By number alone an event would be missed whose transaction ends after a later number's.
  await db.asOwner('millrace_admin', async (client) => {
    home = await homeOf(client);
    const { rows } = await client.query<{ id: string }>(
      'select event.id::text from (select id from _millrace.events order by id desc limit $1) as event order by event.id',
      [maxSeen + 1],
    );
    for (const { id } of rows) remember(id);
  });

  /** Reads what is new. Numbers can become visible out of order, so the read goes by age and `seen`, not by the last number alone. */
  async function read(): Promise<void> {
    const rows = await db.asOwner('millrace_admin', async (client) => {
      const found = await homeOf(client);
      if (found !== home) {
        home = found;
        floor = 0n;
        seen.clear();
      }
      // Ordered by the column: the bare name would mean the text beside `select`, in which 10 comes before 9.
      const answer = await client.query<{ id: string; channel: string; payload: unknown }>(
        `select event.id::text, event.channel, event.payload from _millrace.events as event
         where event.id > $1 and event.id <> all ($2::bigint[]) and event.at > now() - make_interval(secs => $3)
         order by event.id limit $4`,
        [String(floor), [...seen], keepSeconds, maxEventsPerRead],
      );
      return answer.rows;
    });
    for (const { id, channel, payload } of rows) {
      remember(id);
      for (const deliver of listeners.get(channel) ?? []) {
        try {
          deliver(payload);
        } catch (error) {
          // One listener's mistake is not the others' loss.
          observe({ kind: 'fanout.listener_failed', level: 'error', channel, error });
        }
      }
    }
    if (rows.length === maxEventsPerRead) again = true;
  }

  /** One read at a time; a wake-up during a read leads to one more. */
  function wake(): void {
    if (closed) return;
    if (reading !== undefined) {
      again = true;
      return;
    }
    reading = read()
      .catch((error: unknown) =>
        observe({ kind: 'fanout.read_failed', level: 'warn', message: errorMessage(error) }),
      )
      .finally(() => {
        reading = undefined;
        if (again) {
          again = false;
          wake();
        }
      });
  }

  listener?.listen(notifyChannel, wake, wake);
  const timer = listener ? undefined : setInterval(wake, pollMs);
  timer?.unref();

  const insert = (client: PoolClient, channel: string, payload: unknown) =>
    client.query(
      `with gone as (delete from _millrace.events where at < now() - make_interval(secs => $3)),
            made as (insert into _millrace.events (channel, payload) values ($1, $2) returning id)
       select pg_notify('${notifyChannel}', id::text) from made`,
      [channel, JSON.stringify(payload), keepSeconds],
    );

  return {
    async publish(channel, payload, client) {
      if (client) await insert(client, channel, payload);
      else await db.asOwner('millrace_admin', (own) => insert(own, channel, payload));
    },
    subscribe(channel, deliver) {
      const set = listeners.get(channel) ?? new Set();
      listeners.set(channel, set.add(deliver));
      return () => set.delete(deliver);
    },
    // What it means that the database is away is said by those who ask it.
    trouble: () => undefined,
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}

/** The same within this process alone, for a database in which nothing of ours may stand. */
export function openLocalFanout(): DatabaseFanout {
  const listeners = new Map<string, Set<(payload: unknown) => void>>();
  return {
    async publish(channel, payload) {
      for (const deliver of listeners.get(channel) ?? []) deliver(payload);
    },
    subscribe(channel, deliver) {
      const set = listeners.get(channel) ?? new Set();
      listeners.set(channel, set.add(deliver));
      return () => set.delete(deliver);
    },
    trouble: () => undefined,
    close() {
      listeners.clear();
    },
  };
}

/** The identity of the table of events. */
async function homeOf(client: PoolClient): Promise<string> {
  const { rows } = await client.query<{ home: string }>(
    "select '_millrace.events'::pg_catalog.regclass::oid::text as home",
  );
  return rows[0]!.home;
}
