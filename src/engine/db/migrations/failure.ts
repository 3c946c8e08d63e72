// In charge of: how a failed script is told: file, line, column, the statement, what Postgres said, what is left behind, the next move.
import { OperatorError } from '../../../base/errors.ts';
import { whoHas } from '../extensions/registry.ts';
import type { Piece } from './script.ts';

/** What an error of `pg` says. Source: PostgreSQL manual, "Error and Notice Message Fields". */
interface DatabaseFields {
  readonly message: string;
  readonly code?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly where?: string;
  /** Characters, from 1. */
  readonly position?: string;
  readonly internalPosition?: string;
  readonly internalQuery?: string;
}

/** Where in the script it failed, before it is told. */
export interface Failed {
  readonly error: unknown;
  /** The piece; undefined when the transaction's end failed. */
  readonly piece: number | undefined;
  /** Offset in the script, when Postgres gave a position. */
  readonly offset: number | undefined;
}

/** A script was refused. Everything that a program may want of it stands in fields of its own. */
export class ScriptError extends OperatorError {
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly statement: string | undefined;
  readonly sqlState: string | undefined;

  constructor(facts: ScriptFacts, failed: Failed) {
    const fields = fieldsOf(failed.error);
    const place = placeOf(facts, failed);
    const statement = statementOf(facts, failed);
    super(sentence(facts.file, place, fields, statement), hint(fields, facts), failed.error);
    this.file = facts.file;
    this.line = place?.line;
    this.column = place?.column;
    this.statement = statement;
    this.sqlState = fields.code;
  }
}

export interface ScriptFacts {
  /** As people know it: `supabase/migrations/20240101000000_films.sql`. */
  readonly file: string;
  readonly text: string;
  readonly pieces: readonly Piece[];
  /** Of the server: 18. */
  readonly major: number;
  /** What is left behind, as a sentence. */
  readonly left: string;
}

/** The fields of a database error; of any other error its message. */
export function fieldsOf(error: unknown): DatabaseFields {
  // Sound: every field is optional, and `pg` fills them as Postgres sent them.
  if (error instanceof Error) return error as Error & DatabaseFields;
  return { message: String(error) };
}

/** Line and column, from 1, columns in characters. */
export function lineAndColumn(
  text: string,
  offset: number,
): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 };
}

/** A statement that fits a terminal: white space as it stands, cut in the middle of nowhere when it is long. */
export function excerpt(statement: string): string {
  const lines = statement.split('\n');
  const some = lines.slice(0, excerptLines).join('\n');
  const cut = some.length > excerptCharacters ? some.slice(0, excerptCharacters) : some;
  return cut.length < statement.length ? `${cut} …` : cut;
}

function placeOf(facts: ScriptFacts, failed: Failed): ReturnType<typeof lineAndColumn> | undefined {
  const start = failed.piece === undefined ? undefined : facts.pieces[failed.piece]?.start;
  const offset = failed.offset ?? start;
  return offset === undefined ? undefined : lineAndColumn(facts.text, offset);
}

function statementOf(facts: ScriptFacts, failed: Failed): string | undefined {
  const piece = failed.piece === undefined ? undefined : facts.pieces[failed.piece];
  return piece === undefined ? undefined : excerpt(facts.text.slice(piece.start, piece.end));
}

function sentence(
  file: string,
  place: ReturnType<typeof lineAndColumn> | undefined,
  fields: DatabaseFields,
  statement: string | undefined,
): string {
  const where = place === undefined ? 'at its end' : `at line ${place.line}, column ${place.column}`;
  const code = fields.code === undefined ? '' : ` (${fields.code})`;
  const lines = [`"${file}" failed ${where}: ${fields.message}${code}`];
  if (fields.detail !== undefined) lines.push(`Detail: ${fields.detail}`);
  // The functions that run such statements are ours, and tell the author nothing.
  if (fields.where !== undefined && !/_millrace\.(?:run_privileged|\w+_tle)\b/.test(fields.where))
    lines.push(`Where: ${excerpt(fields.where)}`);
  if (statement !== undefined) lines.push('', statement);
  return lines.join('\n');
}

function hint(fields: DatabaseFields, { left, major }: ScriptFacts): string {
  const missing = fields.code === '0A000' ? missingExtension.exec(fields.message)?.[1] : undefined;
  // Postgres advises to install it, which nobody can do with the embedded one.
  if (missing !== undefined) return `${whoHas(missing, major) ?? unknownExtension} ${left}`;
  const known = knownHints.find(([code, pattern]) => code === fields.code && pattern.test(fields.message));
  const ours = known === undefined ? undefined : fields.message.replace(known[1], known[2]);
  return [fields.hint, ours, left].filter((part) => part !== undefined && part !== '').join(' ');
}

const excerptLines = 12;
const excerptCharacters = 600;

const missingExtension = /^extension "(.*)" is not available$/;
const unknownExtension =
  'This PostgreSQL does not carry the extension. Start with one that does: --pg-bin DIR for an installed one, or DATABASE_URL.';

/** What helps beyond what Postgres says. */
const knownHints: readonly (readonly [code: string, message: RegExp, hint: string])[] = [
  [
    '3F000',
    /^schema "(cron|net|pgmq|pgsodium|pgtle)" does not exist$/,
    'The schema comes with an extension: create it first, as in docs/extensions.md.',
  ],
  [
    '42883',
    /^function vault\..* does not exist$/,
    'This database has no vault: its server lacks the extension supabase_vault, and the schema "vault" is empty.',
  ],
  [
    '42P01',
    /^relation "vault\.[^"]*" does not exist$/,
    'This database has no vault: its server lacks the extension supabase_vault, and the schema "vault" is empty.',
  ],
  [
    '42704',
    /^type "([^".]+)" does not exist$/,
    'The type may be in a schema that is not in the search path: write extensions.$1 instead of $1. Or the extension that brings it was not created.',
  ],
];
