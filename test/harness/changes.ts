// In charge of: what tests of postgres_changes share: a feed that is fed by hand, listeners that remember, and a database with both.

import type { Observation } from '../../src/base/observe.ts';
import type { Database } from '../../src/engine/db/database.ts';
import type { Change, ChangedTable, ChangeKind, RowImage } from '../../src/engine/db/replication/change.ts';
import type { ChangeFeed, ChangeListener } from '../../src/engine/db/replication/feed.ts';
import type { Caller } from '../../src/engine/identity/caller.ts';
import {
  type ChangeEvent,
  openPostgresChanges,
  type PostgresChanges,
  type PostgresChangesParts,
} from '../../src/services/realtime/changes/changes.ts';
import { openTestDatabase, type TestDatabase } from './database.ts';

/** Gives out what it is told to, and remembers the last ones. */
export class HandFeed implements ChangeFeed {
  readonly #listeners = new Set<ChangeListener>();
  readonly kept: Change[] = [];
  #next = 1;

  async listen(listener: ChangeListener): Promise<() => void> {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  since(id: string, limit = this.kept.length): readonly Change[] | undefined {
    const at = this.kept.findIndex((change) => change.id === id);
    return at === -1 ? undefined : this.kept.slice(at + 1, at + 1 + limit);
  }

  latestId(): string | undefined {
    return this.kept.at(-1)?.id;
  }

  state() {
    return { by: 'replication', isReading: this.#listeners.size > 0, sentence: 'By hand.' } as const;
  }

  async emit(...changes: readonly Omit<Change, 'id' | 'committedAt'>[]): Promise<readonly Change[]> {
    const whole = changes.map((change) => ({
      ...change,
      id: `0000000000000000-${String(this.#next++).padStart(6, '0')}`,
      committedAt: '2026-11-30T12:00:00.123Z',
    }));
    this.kept.push(...whole);
    await Promise.all([...this.#listeners].map((listener) => listener.changes(whole)));
    return whole;
  }

  /** Another database, or an earlier state of it, is in the place of this one. */
  putBack(reason: string): void {
    this.#next = 1;
    this.kept.length = 0;
    this.gap(reason);
  }

  gap(reason: string): void {
    for (const listener of this.#listeners) listener.gap({ reason });
  }
}

export interface Heard {
  readonly events: ChangeEvent[];
  readonly gaps: string[];
  readonly notices: string[];
  /** The `data` of each event, parsed. */
  data(): readonly Record<string, unknown>[];
}

export function listener(): Heard & {
  deliver(event: ChangeEvent): void;
  gap(reason: string): void;
  notice(sentence: string): void;
} {
  const events: ChangeEvent[] = [];
  const gaps: string[] = [];
  const notices: string[] = [];
  return {
    events,
    gaps,
    notices,
    data: () => events.map((event) => JSON.parse(event.data) as Record<string, unknown>),
    deliver: (event) => void events.push(event),
    gap: (reason) => void gaps.push(reason),
    notice: (sentence) => void notices.push(sentence),
  };
}

export interface Stage extends AsyncDisposable {
  readonly database: TestDatabase;
  /** What changes are decided with; a test may look at what passes. */
  readonly db: { -readonly [Name in keyof Database['db']]: Database['db'][Name] };
  readonly feed: HandFeed;
  readonly changes: PostgresChanges;
  readonly observed: Observation[];
  /** A table as the stream would describe it now. */
  table(name: string): Promise<ChangedTable>;
  /** Resolves when everything that was emitted is decided and told. */
  settled(): Promise<void>;
}

export async function openStage(sql: string, parts: Partial<PostgresChangesParts> = {}): Promise<Stage> {
  const database = await openTestDatabase();
  await database.run(sql);
  const opened = await database.open();
  const db = { ...opened.db };
  const feed = new HandFeed();
  const observed: Observation[] = [];
  const changes = await openPostgresChanges({
    db,
    feed,
    now: Date.now,
    observe: (observation) => observed.push(observation),
    ...parts,
    limits: { gatherMs: 0, ...parts.limits },
  });
  return {
    database,
    db,
    feed,
    changes,
    observed,
    table: (name) => describeTable(database, name),
    settled: () => changes.settled(),
    async [Symbol.asyncDispose]() {
      await changes.close();
      await opened.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Source: what pgoutput's relation message says. */
export async function describeTable(
  database: Pick<TestDatabase, 'run'>,
  name: string,
): Promise<ChangedTable> {
  const [row] = await database.run(`
    select c.oid::int as oid, n.nspname as schema, c.relname as name,
      case c.relreplident when 'f' then 'full' when 'n' then 'nothing' when 'i' then 'index' else 'default' end as identity,
      (select json_agg(json_build_object('name', a.attname, 'typeOid', a.atttypid::int, 'isIdentity',
        c.relreplident = 'f' or exists (
          select from pg_index i where i.indrelid = c.oid and a.attnum = any (i.indkey)
            and case c.relreplident when 'i' then i.indisreplident else i.indisprimary end)) order by a.attnum)
       from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = '${name}'::regclass`);
  // Sound: the query gives the fields of one.
  return row as unknown as ChangedTable;
}

export function change(
  kind: ChangeKind,
  table: ChangedTable,
  row?: RowImage,
  old?: RowImage,
): Omit<Change, 'id' | 'committedAt'> {
  return { kind, table, row, old };
}

export function user(sub: string, more: Record<string, unknown> = {}): Caller {
  return {
    role: 'authenticated',
    claims: JSON.stringify({ role: 'authenticated', sub, ...more }),
    subject: sub,
    by: 'token',
  };
}

export const anon: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'key' };
export const service: Caller = {
  role: 'service_role',
  claims: '{"role":"service_role"}',
  subject: undefined,
  by: 'key',
};

export const alice = '00000000-0000-4000-8000-00000000000a';
export const bob = '00000000-0000-4000-8000-00000000000b';
