// In charge of: running one pgTAP file as pg_prove's psql would: statement by statement, up to the first error, each row a line.
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Client, QueryArrayResult } from 'pg';
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { checkCommands } from '../migrations/commands.ts';
import { lineAndColumn } from '../migrations/failure.ts';
import { prepare } from '../migrations/prepare.ts';
import { type Piece, scriptPieces } from '../migrations/script.ts';
import { type Prepared, sendParts } from '../migrations/send.ts';
import { type MigrationLogins, MigrationSession } from '../migrations/session.ts';
import { commandWords, interpolate, understood } from './psql.ts';

export interface TestRun {
  /** What it printed. */
  readonly lines: readonly string[];
  /** The statement that Postgres refused, which ended it. */
  readonly error: { readonly line: number; readonly message: string } | undefined;
  readonly elapsedMs: number;
}

export interface TestScript {
  /** As people know it. */
  readonly path: string;
  readonly text: string;
  /** Where it is, and where psql would have been started: `\ir` and `\i` go from there. Undefined: it includes nothing. */
  readonly place?: { readonly file: string; readonly folder: string };
}

/** What a file may print: a select that forgets its limit must not fill the memory. */
const maxLines = 200_000;
/** A file that includes itself ends here. */
const maxDepth = 16;
const maxIncludedBytes = 16 << 20;

/**
 * Runs a script in a session of its own. What hosted projects may do beyond `postgres`'s rights, as in migrations: `create extension`.
 * Of psql it knows variables, `\set`, `\gset`, `\echo`, `\i` and `\ir`.
 * Source: TAP::Parser::SourceHandler::pgTAP: `psql --no-align --quiet --pset tuples_only=true --set ON_ERROR_STOP=1 --file …`.
 * @throws OperatorError when it needs another command of psql.
 */
export async function runTest(
  logins: MigrationLogins,
  script: TestScript,
  observe: Observe,
  signal?: AbortSignal,
): Promise<TestRun> {
  const started = performance.now();
  await using session = await MigrationSession.open(logins, observe, signal);
  const run: Run = { session, lines: [], variables: new Map() };
  let error: TestRun['error'];
  try {
    error = await runFile(run, script, 0);
  } finally {
    await session.unregister();
  }
  return { lines: run.lines, error, elapsedMs: Math.round(performance.now() - started) };
}

interface Run {
  readonly session: MigrationSession;
  readonly lines: string[];
  readonly variables: Map<string, string>;
}

interface Cut {
  readonly script: TestScript;
  readonly pieces: readonly Piece[];
  readonly prepared: ReadonlyMap<number, Prepared>;
  readonly depth: number;
}

async function runFile(run: Run, script: TestScript, depth: number): Promise<TestRun['error']> {
  const { path, text } = script;
  const pieces = scriptPieces(text, { forPsql: true });
  checkCommands(path, text, pieces, understood);
  const { prepared } = await prepare(run.session, text, pieces);
  const cut = { script, pieces, prepared: new Map(prepared.map((part) => [part.index, part])), depth };
  for (const [index, piece] of pieces.entries()) {
    try {
      await (piece.kind === 'command' ? runCommand(run, cut, index) : runStatement(run, cut, index));
      if (run.lines.length > maxLines) throw new Error(`it printed more than ${maxLines} lines`);
    } catch (cause) {
      return { line: lineAndColumn(text, piece.start).line, message: innermost(cause) };
    }
  }
  return undefined;
}

async function runStatement(run: Run, cut: Cut, index: number): Promise<void> {
  const part = cut.prepared.get(index)!;
  if (part.piece.kind === 'copy') return sendParts(run.session.client, [part]);
  if (isSentByNext(cut, index)) return;
  const { rows } = await ask(
    run.session.client,
    part.asIs ? interpolate(part.sent, run.variables) : part.sent,
  );
  // What stands in for a privileged statement answers with a row that the statement itself would not.
  if (part.asIs) run.lines.push(...rows.flatMap(printed));
}

/** `select … \gset`: without a semicolon in between, the command is what sends it. */
function isSentByNext({ script: { text }, pieces }: Cut, index: number): boolean {
  const next = pieces[index + 1];
  return (
    next?.kind === 'command' &&
    next.name === '\\gset' &&
    !/^\s*;/.test(text.slice(pieces[index]!.end, next.start))
  );
}

async function runCommand(run: Run, cut: Cut, index: number): Promise<void> {
  const { script, pieces } = cut;
  const { start, end } = pieces[index]!;
  const [name = '', rest = ''] = /^(\\\S*)\s*([\s\S]*)$/.exec(script.text.slice(start, end))?.slice(1) ?? [];
  if (!understood.has(name)) return;
  const words = commandWords(rest, run.variables);
  if (words === undefined) throw new Error(`"${name}" holds a command for a shell, which is not run`);
  const [first, ...others] = words;
  switch (name) {
    case '\\echo':
    case '\\qecho':
      run.lines.push(...words.join(' ').split('\n'));
      return;
    case '\\set':
      if (first !== undefined) run.variables.set(first, others.join(''));
      return;
    case '\\unset':
      if (first !== undefined) run.variables.delete(first);
      return;
    case '\\gset':
      return setFromRow(run, cut, index, first ?? '');
    default:
      return include(run, cut, first, name === '\\ir' || name === '\\include_relative');
  }
}

/** The columns of the statement before it become variables. Behind a semicolon it is run once more, as psql does. */
async function setFromRow(run: Run, { pieces, prepared }: Cut, index: number, prefix: string): Promise<void> {
  const at = pieces.findLastIndex((piece, before) => before < index && piece.kind === 'statement');
  const part = prepared.get(at);
  if (part === undefined) throw new Error('\\gset has no statement before it');
  const { rows, fields } = await ask(run.session.client, interpolate(part.sent, run.variables));
  const [row] = rows;
  if (row === undefined) throw new Error('no rows returned for \\gset');
  if (rows.length > 1) throw new Error('more than one row returned for \\gset');
  for (const [column, { name }] of fields.entries()) {
    const value = row[column];
    if (value === null || value === undefined) run.variables.delete(prefix + name);
    else run.variables.set(prefix + name, value);
  }
}

async function include(
  run: Run,
  { script, depth }: Cut,
  name: string | undefined,
  relative: boolean,
): Promise<void> {
  const { place } = script;
  if (name === undefined || place === undefined) throw new Error('there is no file to include');
  if (depth >= maxDepth) throw new Error(`"${name}" is included more than ${maxDepth} files deep`);
  const file = resolve(relative ? dirname(place.file) : place.folder, name);
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true) throw new Error(`${name}: No such file or directory`);
  if (found.size > maxIncludedBytes) throw new Error(`${name} is larger than ${maxIncludedBytes} bytes`);
  const text = await readFile(file, 'utf8');
  const error = await runFile(run, { path: name, text, place: { ...place, file } }, depth + 1);
  if (error !== undefined) throw new Error(`${name} line ${error.line}: ${error.message}`);
}

type Row = readonly (string | null)[];

async function ask(
  client: Client,
  text: string,
): Promise<Pick<QueryArrayResult<(string | null)[]>, 'rows' | 'fields'>> {
  return client.query<(string | null)[]>({ text, rowMode: 'array', types: asText });
}

function printed(row: Row): readonly string[] {
  return row
    .map((field) => field ?? '')
    .join('|')
    .split('\n');
}

/** Postgres's own text, as psql prints it. */
const asText = { getTypeParser: () => (value: unknown) => value } as never;

function innermost(cause: unknown): string {
  const inner = typeof cause === 'object' && cause !== null && 'error' in cause ? cause.error : cause;
  return errorMessage(inner);
}
