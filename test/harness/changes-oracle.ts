// In charge of: random changes to tables of many kinds while random listeners come and go and policies and tables change; and what each of them
// should have heard of it.
//
// What it may assume, and does:
// - A change is judged by the policies that hold when it is decided, over its own image: those of its time for who listens, those of the return for
//   who comes back with `since`. Nothing tells when a change is decided, so that before a *quiet* move everything that was committed is waited for.
//   Before a *hasty* one nothing is: what was committed since the last quiet moment may be told as before the move or as behind it, and nothing else.
// - What a policy reads in another table is as it is then; that table changes by moves only.
// - Where a table was changed between a change and its decision, a gap is right, but never a row that its image does not allow. Columns that the
//   table had then and has now are told as they were; others are not looked at.
// - A gap is right besides for who was away while more was committed than is kept, and where a policy fails for more rows than are
//   asked about alone. What is missing lies exactly where a gap was told.
// - Moves are not made within a transaction that changes rows, and large values that no log has are not compared.
import type pg from 'pg';
import { errorCode } from '../../src/base/errors.ts';
import { delay } from '../../src/base/time.ts';
import { withClient } from '../../src/engine/db/client.ts';
import type { ChangeFeed } from '../../src/engine/db/replication/feed.ts';
import { historyBounds } from '../../src/engine/db/replication/history.ts';
import { openTestFeed } from '../../src/engine/db/replication/test-support.ts';
import { openPostgresChanges } from '../../src/services/realtime/changes/changes.ts';
import { listener } from './changes.ts';
import { openTestDatabase } from './database.ts';
import { openBook } from './oracle-book.ts';
import { compare } from './oracle-compare.ts';
import { come, leave, makeListener, type OracleListener } from './oracle-listeners.ts';
import { openWorld } from './oracle-moves.ts';
import { schemaSql } from './oracle-schema.ts';
import { readShapes } from './oracle-shapes.ts';
import { statement } from './oracle-tables.ts';
import { openWriters } from './oracle-writers.ts';
import { openRandom } from './random.ts';

export interface OracleOptions {
  readonly changes: number;
  readonly seed: number;
  /** About so many changes from one move to the next. */
  readonly stretch: number;
  /** So many of the newest changes are kept for those who come back. */
  readonly kept: number;
}

export interface OracleResult {
  /** Sentences: of which listener, and what it has heard otherwise than it should. */
  readonly problems: readonly string[];
  readonly changes: number;
  readonly told: number;
  readonly gaps: number;
  readonly returns: number;
  readonly moves: readonly string[];
  /** What the program has reported, apart from policies and filters that failed. */
  readonly failures: readonly string[];
}

export async function runOracle(options: OracleOptions): Promise<OracleResult> {
  const random = openRandom(options.seed);
  await using database = await openTestDatabase();
  await database.run(schemaSql());
  const opened = await database.open();
  const failures: string[] = [];
  await using source = openTestFeed(opened, () => database.login('supabase_realtime_admin'), {
    bounds: { ...historyBounds, maxChanges: options.kept },
  });
  const changes = await openPostgresChanges({
    db: opened.db,
    feed: source.feed,
    now: Date.now,
    observe({ kind, message }) {
      if (kind !== 'realtime.policy_failed' && kind !== 'realtime.filter_failed')
        failures.push(`${kind}: ${String(message)}`);
    },
  });
  const world = openWorld(random);
  await using writers = await openWriters(database, random, () => statement(random, world.namesOf));
  try {
    return await withClient(database.login('supabase_admin'), async (client) => {
      const stream = await hearStream(source.feed);
      const everybody = Array.from({ length: 50 }, (_, at) => makeListener(random, at));
      for (const one of everybody) await come(changes, one);
      const last = listener();
      await changes.subscribe({
        params: [{ event: 'INSERT', schema: 'public', table: 'the_end' }],
        caller: { role: 'service_role', claims: '{"role":"service_role"}', subject: undefined, by: 'key' },
        ...last,
      });
      const book = openBook(client, everybody, stream.numberOf);
      const moves: string[] = [];

      /** Waits until everything that was committed is decided and told. */
      async function settle(): Promise<void> {
        const before = last.events.length;
        await database.run('insert into the_end default values');
        while (last.events.length === before) await delay(5);
        await changes.settled();
        for (const one of everybody) one.mayMiss = false;
      }

      /** So many changes were committed before a table became another one. */
      let reshapedAt = 0;
      const coming = new Map<OracleListener, Promise<void>>();
      function comeOrGo(): void {
        const one = random.pick(everybody);
        if (coming.has(one)) return;
        if (one.subscription !== undefined) {
          leave(one);
          return;
        }
        // Who was away for long may find a gap, and who missed rows of a table that is another one by now.
        const seen = stream.numberOf(one.lastId!) ?? 0;
        one.mayMiss ||= stream.count() - seen > options.kept / 2 || seen < reshapedAt;
        // Not waited for here: a transaction that is open may have locked what is looked at.
        coming.set(
          one,
          come(changes, one).then((isThere) => {
            if (isThere) one.returns++;
          }),
        );
      }

      const shapesNow = () => readShapes(client, (first) => world.namesOf(first).table);
      let shapes = await shapesNow();
      let isQuiet = true;
      for (;;) {
        const until = book.count() + options.stretch * (0.5 + random.next());
        while ((await countOf(client)) < until) {
          for (let step = 0; step < 10; step++) await writers.step();
          if (random.chance(0.5)) comeOrGo();
        }
        await writers.finish();
        await Promise.all(coming.values());
        coming.clear();
        await book.take(shapes, writers.committed());
        const isEnd = book.count() >= options.changes;
        // What was committed before a hasty move is decided by then, so that it is not judged by a third world.
        isQuiet = isEnd || !isQuiet || random.chance(0.5);
        if (isQuiet) await settle();
        await book.judge(shapes);
        if (isEnd) {
          book.close();
          break;
        }
        if (!isQuiet) for (const one of everybody) one.mayMiss = true;
        const move = world.next();
        moves.push(`${book.count()} ${isQuiet ? 'quiet' : 'hasty'}: ${move.what}`);
        await make(client, move.sql);
        if (move.reshapes) reshapedAt = book.count();
        shapes = await shapesNow();
        if (!isQuiet) await book.judge(shapes);
        book.close();
      }
      const problems = everybody.flatMap((one) =>
        compare(one, book.expectedOf(one), stream.numberOf).map((problem) => `${one.name}: ${problem}`),
      );
      const streamed = stream.count();
      if (streamed !== book.count())
        failures.push(`${book.count()} changes were committed, ${streamed} came`);
      const entries = everybody.flatMap(({ heard }) => heard);
      return {
        problems,
        changes: book.count(),
        told: entries.filter((entry) => 'id' in entry).length,
        gaps: entries.filter((entry) => 'gap' in entry).length,
        returns: everybody.reduce((sum, one) => sum + one.returns, 0),
        moves,
        failures,
      };
    });
  } finally {
    await changes.close();
    await opened.close();
  }
}

/** Numbers changes in the order in which they come; truncations, which nobody is told of, are none. */
async function hearStream(feed: Pick<ChangeFeed, 'listen'>) {
  const numbers = new Map<string, number>();
  await feed.listen({
    changes(batch) {
      for (const { id, kind, table } of batch)
        if (kind !== 'TRUNCATE' && table.name !== 'the_end') numbers.set(id, numbers.size);
    },
    gap() {},
  });
  return { numberOf: (id: string) => numbers.get(id), count: () => numbers.size };
}

async function countOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>('select count(*) from log');
  return Number(rows[0]!.count);
}

async function make(client: pg.Client, sql: readonly string[]): Promise<void> {
  try {
    await client.query(sql.join('; '));
  } catch (error) {
    // A narrower key that rows have twice.
    if (errorCode(error) !== '23505') throw error;
  }
}
