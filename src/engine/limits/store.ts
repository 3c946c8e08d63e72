// In charge of: the shared counters in Postgres. One statement for many of them.
import type { Db } from '../db/db.ts';

/** Points to put on one counter. */
export interface Ask {
  readonly rule: string;
  readonly subject: string;
  /** The window, in milliseconds since 1970; whole seconds. */
  readonly startMs: number;
  readonly endMs: number;
  readonly limit: number;
  readonly points: number;
}

/** A counter after the points were put on it. */
export interface Answer {
  /** Of the window that was counted. Later than asked for when this process's clock is behind. */
  readonly startMs: number;
  readonly endMs: number;
  readonly used: number;
}

export interface LimitStore {
  /** The answers in the order of the asks, and the database's clock. No two asks may be of one counter. */
  add(
    asks: readonly Ask[],
  ): Promise<{ readonly answers: readonly (Answer | undefined)[]; readonly nowMs: number }>;
  /** Takes points off again that were not spent. */
  giveBack(asks: readonly Ask[]): Promise<void>;
}

type CounterTable = 'limit_counters' | 'quota_counters';

export function openLimitStore(db: Pick<Db, 'asOwner'>, table: CounterTable): LimitStore {
  return {
    async add(asks) {
      const { rows } = await db.asOwner('millrace_admin', (client) =>
        client.query<Row>(asks.length === 0 ? clock : addTo(table), asks.length === 0 ? [] : columnsOf(asks)),
      );
      const found = new Map(rows.map((row) => [nameOf(row.rule, row.subject), row]));
      const answers = asks.map(({ rule, subject }) => {
        const row = found.get(nameOf(rule, subject));
        return (
          row && {
            startMs: Number(row.starts) * 1000,
            endMs: Number(row.ends) * 1000,
            used: Number(row.used),
          }
        );
      });
      return { answers, nowMs: Number(rows[0]!.now_ms) };
    },
    async giveBack(asks) {
      if (asks.length === 0) return;
      await db.asOwner('millrace_admin', (client) => client.query(giveBackTo(table), columnsOf(asks)));
    },
  };
}

/** What has to be done again and again: the counters whose window is over go. */
export function limitTasks(db: Pick<Db, 'asOwner'>) {
  return [
    {
      name: 'limit counters',
      everySeconds: 60,
      scope: 'one',
      async run(signal: AbortSignal): Promise<void> {
        await deleteOldCounters(db, signal);
      },
    },
  ] as const;
}

/** Deletes the counters whose window is over, some at a time, so that their locks are short. Gives how many. */
export async function deleteOldCounters(db: Pick<Db, 'asOwner'>, signal?: AbortSignal): Promise<number> {
  let total = 0;
  for (const table of ['limit_counters', 'quota_counters'] as const) {
    for (let deleted = maxDeleted; deleted === maxDeleted && !signal?.aborted; total += deleted) {
      const { rowCount } = await db.asOwner('millrace_admin', (client) => client.query(deleteOldFrom(table)));
      deleted = rowCount ?? 0;
    }
  }
  return total;
}

interface Row {
  readonly rule: string;
  readonly subject: string;
  readonly starts: string;
  readonly ends: string;
  readonly used: string;
  readonly now_ms: string;
}

const maxDeleted = 5_000;

function nameOf(rule: string, subject: string): string {
  return `${rule}\n${subject}`;
}

function columnsOf(asks: readonly Ask[]): unknown[] {
  return [
    asks.map(({ rule }) => rule),
    asks.map(({ subject }) => subject),
    asks.map(({ startMs }) => startMs / 1000),
    asks.map(({ endMs }) => endMs / 1000),
    asks.map(({ limit }) => limit),
    asks.map(({ points }) => points),
  ];
}

const clock = `select (extract(epoch from clock_timestamp()) * 1000)::text as now_ms`;

const given = `unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
  as ask (rule, subject, starts, ends, allowed, points)`;

/**
 * What was asked for beyond the limit is forgotten at the next ask, so `used` says how many of an ask's points were above it.
 * A counter begins anew in a new window, and also when it stands in a window far ahead: then the database's clock was set back.
 * Sorted, so that two processes lock their rows in one order.
 */
const addTo = (table: CounterTable) => `
insert into _millrace.${table} as counter (rule, subject, window_start, window_end, allowed, used)
select rule, subject, to_timestamp(starts), to_timestamp(ends), allowed, points from ${given}
order by rule, subject
on conflict (rule, subject) do update set
  window_start = case when ${keepsWindow} then counter.window_start else excluded.window_start end,
  window_end = case when ${keepsWindow} then counter.window_end else excluded.window_end end,
  allowed = excluded.allowed,
  used = case when ${keepsWindow} then least(counter.used, excluded.allowed) else 0 end + excluded.used
returning rule, subject, extract(epoch from window_start)::bigint::text as starts,
  extract(epoch from window_end)::bigint::text as ends, used::text,
  (extract(epoch from clock_timestamp()) * 1000)::text as now_ms`;

const keepsWindow = `(counter.window_start >= excluded.window_start
    and counter.window_start <= excluded.window_end)`;

const giveBackTo = (table: CounterTable) => `
update _millrace.${table} as counter
set used = greatest(0, least(counter.used, counter.allowed) - ask.points)
from ${given}
where counter.rule = ask.rule and counter.subject = ask.subject and counter.window_start = to_timestamp(ask.starts)`;

const deleteOldFrom = (table: CounterTable) => `
delete from _millrace.${table} where ctid = any (array(
  select ctid from _millrace.${table} where window_end < clock_timestamp() - interval '1 minute'
  limit ${maxDeleted} for update skip locked))`;
