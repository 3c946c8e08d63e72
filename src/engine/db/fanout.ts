// In charge of: telling every process of this backend that something happened. A row in `_millrace.events` and a NOTIFY that says its number.
import type { PoolClient } from 'pg';
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Db } from './db.ts';
import type { Listener } from './listener.ts';

export interface Fanout {
  /** Tells all processes, this one included, once the transaction of `client` has committed; without `client` in a transaction of its own. */
  publish(channel: string, payload: unknown, client?: PoolClient): Promise<void>;
  /** Calls `listener` once for each event on `channel` that is published from now on; the result ends that. */
  subscribe(channel: string, listener: (payload: unknown) => void): () => void;
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
export async function openFanout(db: Db, listener: Listener | undefined, observe: Observe): Promise<Fanout> {
  const listeners = new Map<string, Set<(payload: unknown) => void>>();
  const seen = new Set<string>();
  let reading: Promise<void> | undefined;
  let again = false;
  let closed = false;

  const floor = await db.asOwner('millrace_admin', async (client) => {
    const { rows } = await client.query<{ id: string }>(
      'select coalesce(max(id), 0)::text as id from _millrace.events',
    );
    return rows[0]!.id;
  });

  /** Reads what is new. Numbers can become visible out of order, so the read goes by age and `seen`, not by the last number alone. */
  async function read(): Promise<void> {
    const { rows } = await db.asOwner('millrace_admin', (client) =>
      client.query<{ id: string; channel: string; payload: unknown }>(
        `select id::text, channel, payload from _millrace.events
         where id > $1 and id <> all ($2::bigint[]) and at > now() - make_interval(secs => $3)
         order by id limit $4`,
        [floor, [...seen], keepSeconds, maxEventsPerRead],
      ),
    );
    for (const { id, channel, payload } of rows) {
      seen.add(id);
      for (const deliver of listeners.get(channel) ?? []) deliver(payload);
    }
    for (const id of seen) {
      if (seen.size <= maxSeen) break;
      seen.delete(id);
    }
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
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}

/** The same within this process alone, for a database in which nothing of ours may stand. */
export function openLocalFanout(): Fanout {
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
    close() {
      listeners.clear();
    },
  };
}
