// In charge of: the commands of psql that turn up in migrations, because a dump was taken as one.
import { OperatorError } from '../../../base/errors.ts';
import { lineAndColumn } from './failure.ts';
import type { Piece } from './script.ts';

/**
 * Refuses a script that needs psql, but for what whoever runs it understands. What only changes how psql prints, and the marks around newer dumps, is passed over.
 * @throws OperatorError with file, line and what to do.
 */
export function checkCommands(
  file: string,
  text: string,
  pieces: readonly Piece[],
  understood: ReadonlySet<string> = new Set(),
): void {
  for (const piece of pieces) {
    if (piece.kind !== 'command' || harmless.has(piece.name) || understood.has(piece.name)) continue;
    const { line } = lineAndColumn(text, piece.start);
    const command = text.slice(piece.start, piece.end).trim();
    throw new OperatorError(
      `"${file}" line ${line} holds "${command}", which is a command of psql and no SQL.`,
      'Take it out, or write what it does as SQL.',
    );
  }
}

/** Source: PostgreSQL manual, psql "Meta-Commands"; pg_dump writes the first two since 18 (and 17.6) and `\connect` in cluster dumps. */
const harmless: ReadonlySet<string> = new Set([
  '\\restrict',
  '\\unrestrict',
  '\\.',
  '\\a',
  '\\echo',
  '\\encoding',
  '\\pset',
  '\\qecho',
  '\\set',
  '\\t',
  '\\timing',
  '\\unset',
  '\\warn',
  '\\x',
]);
