// In charge of: what a PostgreSQL's background processes do and PGlite has none of: checkpoints, so that the log does not grow for ever, and vacuum.
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { ident } from '../ident.ts';

export interface UpkeepOptions {
  /** As the superuser, in its turn. */
  readonly ask: (sql: string) => Promise<readonly (readonly (string | null)[])[]>;
  /** Others wait for the engine: this can wait longer. */
  readonly isBusy: () => boolean;
  readonly observe: Observe;
}

const lookEveryMs = 60_000;
/** A checkpoint is due when so much has been written since the last: it is what a start after kill -9 has to read again. */
const checkpointAfterBytes = 32 * 1024 * 1024;
/** Tables vacuumed at one look. */
const tablesAtOnce = 5;
/** However busy the others are, it is done after so many looks. */
const maxPutOff = 10;

/** Looks after the database from time to time. */
export function keepUp(options: UpkeepOptions): { stop(): void } {
  const look = openLook(options);
  const timer = setInterval(() => void look(), lookEveryMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** One look after the other: each knows what was written at the last. */
export function openLook({ ask, isBusy, observe }: UpkeepOptions): () => Promise<void> {
  let lastWritten: string | undefined;
  let putOff = 0;
  return async () => {
    if (isBusy() && ++putOff < maxPutOff) return;
    putOff = 0;
    try {
      const [row] = await ask('select pg_catalog.pg_current_wal_insert_lsn()');
      const written = row?.[0] ?? '0/0';
      lastWritten ??= written;
      const [grown] = await ask(`select pg_catalog.pg_wal_lsn_diff('${written}', '${lastWritten}')`);
      if (Number(grown?.[0]) > checkpointAfterBytes) {
        await ask('checkpoint');
        lastWritten = written;
      }
      // One by one: whoever waits gets their turn in between.
      for (const [schema, table] of await ask(overdue)) {
        await ask(`vacuum (analyze) ${ident(schema ?? '')}.${ident(table ?? '')}`);
      }
    } catch (error) {
      observe({ kind: 'pglite.upkeep_failed', level: 'warn', message: errorMessage(error) });
    }
  };
}

const isMore = (count: string, base: number, share: number) =>
  `${count} operator(pg_catalog.>) (${base} operator(pg_catalog.+) (${share} operator(pg_catalog.*) n_live_tup))`;

/**
 * Every operator is named with its schema, as the superuser runs it: a project can make an operator that fits better than the system's.
 * Source: PostgreSQL manual, "The Autovacuum Daemon": its thresholds with the default settings.
 */
const overdue = `select schemaname, relname from pg_catalog.pg_stat_all_tables
  where ${isMore('n_dead_tup', 50, 0.2)} or ${isMore('n_mod_since_analyze', 50, 0.1)} or ${isMore('n_ins_since_vacuum', 1000, 0.2)}
  order by n_dead_tup desc limit ${tablesAtOnce}`;
