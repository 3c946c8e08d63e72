// In charge of: what is remembered of scripts that are not through: `_millrace.migration_progress`.
import type { Client } from 'pg';

export interface ScriptProgress {
  readonly piecesDone: number;
  readonly digest: string;
  /** The piece that was running when the last run ended without a word. */
  readonly running: number | undefined;
}

export interface Progress {
  of(script: string): ScriptProgress | undefined;
  /** A statement outside of transactions is about to run. */
  begin(client: Client, script: string, piece: number, digest: string): Promise<void>;
  /** It was refused. */
  stop(client: Client, script: string, piece: number): Promise<void>;
  save(client: Client, script: string, piecesDone: number, digest: string): Promise<void>;
  forget(client: Client, script: string): Promise<void>;
}

interface Row {
  readonly script: string;
  readonly pieces_done: number;
  readonly digest: string;
  readonly running: number | null;
}

/** Reads all of it: there is a row only for a script that stopped on the way. */
export async function loadProgress(client: Client): Promise<Progress> {
  const { rows } = await client.query<Row>(
    'select script, pieces_done, digest, running from _millrace.migration_progress',
  );
  const known = new Map(
    rows.map((row) => [
      row.script,
      { piecesDone: row.pieces_done, digest: row.digest, running: row.running ?? undefined },
    ]),
  );
  return {
    of: (script) => known.get(script),
    async begin(on, script, piece, digest) {
      await write(on, script, piece, digest, piece);
    },
    async stop(on, script, piece) {
      const text =
        piece === 0
          ? 'delete from _millrace.migration_progress where script = $1'
          : 'update _millrace.migration_progress set running = null, changed_at = now() where script = $1';
      await on.query(text, [script]);
    },
    async save(on, script, piecesDone, digest) {
      await write(on, script, piecesDone, digest, null);
    },
    async forget(on, script) {
      await on.query('delete from _millrace.migration_progress where script = $1', [script]);
    },
  };
}

async function write(client: Client, script: string, done: number, digest: string, running: number | null) {
  await client.query(
    `insert into _millrace.migration_progress (script, pieces_done, digest, running) values ($1, $2, $3, $4)
     on conflict (script) do update
       set pieces_done = excluded.pieces_done, digest = excluded.digest, running = excluded.running, changed_at = now()`,
    [script, done, digest, running],
  );
}
