// In charge of: several clients whose random transactions run beside each other, with savepoints and rollbacks, and the order in which they commit.
import pg from 'pg';
import { errorCode } from '../../src/base/errors.ts';
import type { TestDatabase } from './database.ts';
import type { Random } from './random.ts';

export interface Writers extends AsyncDisposable {
  /** One client does something: a statement alone, or the next word of a transaction. */
  step(): Promise<void>;
  /** Ends every transaction, one way or the other. */
  finish(): Promise<void>;
  /** The transactions that were committed since the last call, in that order. */
  committed(): readonly string[];
}

interface Writer {
  readonly client: pg.Client;
  isOpen: boolean;
  savepoints: number;
}

export async function openWriters(
  database: TestDatabase,
  random: Random,
  statement: () => string,
): Promise<Writers> {
  const writers: Writer[] = [];
  let order: string[] = [];
  for (let at = 0; at < clients; at++) {
    const client = new pg.Client(database.login('postgres'));
    await client.connect();
    // Where two want the same row, the second gives up.
    await client.query(`set lock_timeout = '5ms'`);
    writers.push({ client, isOpen: false, savepoints: 0 });
  }

  async function end(writer: Writer, isCommit: boolean): Promise<void> {
    const { client } = writer;
    writer.isOpen = false;
    writer.savepoints = 0;
    if (!isCommit) {
      await client.query('rollback');
      return;
    }
    const { rows } = await client.query<{ tx: string | null }>(
      'select pg_current_xact_id_if_assigned()::text as tx',
    );
    await client.query('commit');
    const tx = rows[0]?.tx;
    if (tx != null) order.push(tx);
  }

  async function begin(writer: Writer): Promise<void> {
    await writer.client.query('begin');
    writer.isOpen = true;
  }

  /** False: it failed as it may, and what it was part of is rolled back. */
  async function write(writer: Writer): Promise<boolean> {
    try {
      const text = statement();
      await writer.client.query(text);
      // It locks everybody out until the end.
      if (text.startsWith('truncate')) await end(writer, true);
      return true;
    } catch (error) {
      if (!harmless.has(errorCode(error) ?? '')) throw error;
      if (writer.savepoints > 0 && random.chance(0.5)) {
        await writer.client.query(`rollback to savepoint s${writer.savepoints}`);
      } else {
        await end(writer, false);
      }
      return false;
    }
  }

  return {
    async step() {
      const writer = random.pick(writers);
      if (!writer.isOpen) {
        await begin(writer);
        if (random.chance(0.6)) {
          const isWritten = await write(writer);
          if (writer.isOpen) await end(writer, isWritten);
          return;
        }
      }
      await random.weighted<() => Promise<unknown>>([
        [6, () => () => write(writer)],
        [1, () => () => writer.client.query(`savepoint s${++writer.savepoints}`)],
        [
          writer.savepoints > 0 ? 1 : 0,
          () => () => writer.client.query(`rollback to savepoint s${writer.savepoints}`),
        ],
        [
          writer.savepoints > 0 ? 1 : 0,
          () => () => writer.client.query(`release savepoint s${writer.savepoints--}`),
        ],
        [3, () => () => end(writer, random.chance(0.85))],
      ])();
    },
    async finish() {
      for (const writer of writers) if (writer.isOpen) await end(writer, random.chance(0.85));
    },
    committed() {
      const all = order;
      order = [];
      return all;
    },
    async [Symbol.asyncDispose]() {
      for (const { client } of writers) await client.end();
    },
  };
}

const clients = 3;
/** Two rows of one key, a lock that somebody else has. */
const harmless = new Set(['23505', '55P03']);
