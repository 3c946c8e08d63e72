// In charge of: what is remembered of scripts that are not through: `_millrace.migration_progress`.
import type { Client } from 'pg';
import { literal } from '../ident.ts';

export interface ScriptProgress {
  readonly piecesDone: number;
  readonly digest: string;
  /** The piece that was running when the last run ended without a word. */
  readonly running: number | undefined;
}

export interface Progress {
  of(script: string): ScriptProgress | undefined;
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
  return { of: (script) => known.get(script) };
}

/** A statement outside of transactions is about to run. */
export function begun(script: string, piece: number, digest: string): string {
  return upsert(script, piece, digest, String(piece));
}

/** It was refused. */
export function stopped(script: string, piece: number): string {
  return piece === 0
    ? forgotten(script)
    : `update _millrace.migration_progress set running = null, changed_at = pg_catalog.now() where script = ${literal(script)}`;
}

export function saved(script: string, piecesDone: number, digest: string): string {
  return upsert(script, piecesDone, digest, 'null');
}

export function forgotten(script: string): string {
  return `delete from _millrace.migration_progress where script = ${literal(script)}`;
}

function upsert(script: string, done: number, digest: string, running: string): string {
  return `insert into _millrace.migration_progress (script, pieces_done, digest, running)
    values (${literal(script)}, ${done}, ${literal(digest)}, ${running})
    on conflict (script) do update
      set pieces_done = excluded.pieces_done, digest = excluded.digest, running = excluded.running, changed_at = pg_catalog.now()`;
}
