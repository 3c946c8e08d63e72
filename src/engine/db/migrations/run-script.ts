// In charge of: running one script. In one transaction where it can be, else unit by unit, each remembered, so that the next run goes on behind the last.
import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { checkCommands } from './commands.ts';
import { type Failed, ScriptError } from './failure.ts';
import { finishInterrupted, repairIndex } from './interrupted.ts';
import { prepare } from './prepare.ts';
import { isCandidate } from './privileged.ts';
import { begun, forgotten, type Progress, saved, stopped } from './progress.ts';
import { type Piece, scriptPieces } from './script.ts';
import { type Prepared, sendParts } from './send.ts';
import type { MigrationSession } from './session.ts';
import { endsInCommit, isLeftOpen, type Lessons, noLessons, type Unit, unitsOf } from './units.ts';

export interface Script {
  /** As people know it: `supabase/migrations/20240101000000_films.sql`. Also the key of its progress. */
  readonly file: string;
  readonly text: string;
  /** The statement that writes down that the script is through, in the transaction of its last unit. Empty: nothing is. */
  readonly record: string;
}

export interface ScriptReport {
  /** Statements that ran as `supabase_admin`. */
  readonly elevated: number;
  /** What a person should know of statements that did something else than they say. */
  readonly warnings: readonly string[];
  /** Units it took; 1 is one transaction. */
  readonly units: number;
  /** Whether it went on where an earlier run had stopped. */
  readonly resumed: boolean;
}

/**
 * Runs a script in a fresh session.
 * @throws ScriptError when a statement is refused; what it leaves behind is in the hint. OperatorError when the script needs
 * psql, does not end its transaction, or was changed where it is done already.
 */
export async function runScript(
  session: MigrationSession,
  progress: Progress,
  script: Script,
): Promise<ScriptReport> {
  const pieces = scriptPieces(script.text);
  checkCommands(script.file, script.text, pieces);
  const known = progress.of(script.file);
  // Most scripts take the session as they find it, and a new one comes along with their first statements.
  let isFresh = known !== undefined || pieces.some(isCandidate);
  if (isFresh) await session.refresh();
  const { prepared, elevated, warnings } = await prepare(session, script.text, pieces);
  let done = known?.piecesDone ?? 0;
  if (done > 0 && known?.digest !== digestOf(script.text, pieces, done)) {
    throw new OperatorError(
      `"${script.file}" was changed in its first ${done} statements, which are done already.`,
      `Put them back as they were and change only what follows; or, if you have set the database right by hand, delete the row of this file from _millrace.migration_progress.`,
    );
  }
  const facts = { script, pieces, prepared, session };
  let lessons: Lessons = { ...noLessons, separate: asksForNoTransaction(script.text) };
  let count = 0;
  try {
    if (
      known?.running !== undefined &&
      (await finishInterrupted(session.client, textOf(script, pieces, known.running)))
    ) {
      done = known.running + 1;
    }
    let units = unitsOf(pieces, lessons, done);
    while (units.length > 0) {
      const unit = units[0]!;
      const last = units.length === 1;
      if (!isFresh && unit.kind !== 'ours') {
        await session.refresh();
        isFresh = true;
      }
      const refreshes = !isFresh;
      isFresh = true;
      try {
        await runUnit(facts, unit, { last, tracked: done > 0 || !last, refreshes });
      } catch (failed) {
        const learnt = isFailed(failed) ? learn(lessons, unit, failed, script.text, pieces) : undefined;
        if (learnt === undefined) throw failed;
        lessons = learnt;
        units = unitsOf(pieces, lessons, done);
        continue;
      }
      count += 1;
      done = unit.to;
      units = units.slice(1);
      if (units.length === 0) return { elevated, warnings, units: count, resumed: known !== undefined };
    }
    if (!isFresh) await session.refresh();
    await inTransaction(session.client, closing(script, known !== undefined));
    return { elevated, warnings, units: count, resumed: known !== undefined };
  } catch (failed) {
    if (!isFailed(failed)) throw failed;
    throw new ScriptError(
      {
        file: script.file,
        text: script.text,
        pieces,
        major: Math.floor(session.serverVersion / 10_000),
        left: leftBehind(pieces, done),
      },
      failed,
    );
  }
}

interface Facts {
  readonly script: Script;
  readonly pieces: readonly Piece[];
  readonly prepared: readonly Prepared[];
  readonly session: MigrationSession;
}

interface HowToRun {
  readonly last: boolean;
  /** The script takes more than one unit. */
  readonly tracked: boolean;
  /** The session is made as new before it, on the same way. */
  readonly refreshes: boolean;
}

/** Runs one unit and remembers it: in the same transaction where there is one, and in the same message. */
async function runUnit(facts: Facts, unit: Unit, { last, tracked, refreshes }: HowToRun): Promise<void> {
  const { script, pieces, session } = facts;
  const { client } = session;
  session.signal?.throwIfAborted();
  const parts = facts.prepared.filter(({ index }) => index >= unit.from && index < unit.to);
  const digest = (to: number) => digestOf(script.text, pieces, to);
  const remember = last ? closing(script, tracked) : `${saved(script.file, unit.to, digest(unit.to))};\n`;

  if (unit.kind === 'alone') {
    const text = textOf(script, pieces, unit.from);
    await client.query(begun(script.file, unit.from, digest(unit.from)));
    try {
      await sendParts(client, parts);
    } catch (failed) {
      // What Postgres leaves of an index that could not be built is in the way of the next attempt.
      await repairIndex(client, text);
      await client.query(stopped(script.file, unit.from));
      throw failed;
    }
    await inTransaction(client, remember);
    return;
  }

  if (isLeftOpen(pieces, unit)) {
    throw new OperatorError(
      `"${script.file}" begins a transaction that it does not end.`,
      'Add a COMMIT at its end, or take the BEGIN out: a migration runs in a transaction anyway.',
    );
  }
  // The role goes back to the session's own, or a script that changes it could not be recorded.
  const end = `reset role;\n${remember}`;
  try {
    if (unit.kind === 'ours')
      await sendParts(client, parts, { before: 'begin;\n', after: `${end}commit`, refreshes });
    else if (endsInCommit(pieces, unit)) await sendParts(client, withBeforeLast(parts, end));
    else {
      await sendParts(client, withBeforeLast(parts, 'reset role;\n'));
      await inTransaction(client, remember);
    }
  } catch (failed) {
    await rollback(client);
    throw isFailed(failed)
      ? failed
      : ({ error: failed, piece: undefined, offset: undefined } satisfies Failed);
  }
}

/** The statements that write down that the script is through. */
function closing({ file, record }: Script, tracked: boolean): string {
  return `${tracked ? `${forgotten(file)};\n` : ''}${record === '' ? '' : `${record};\n`}`;
}

/** Puts statements of ours before the script's own end of its transaction. */
function withBeforeLast(parts: readonly Prepared[], text: string): readonly Prepared[] {
  return parts.map((part, at) =>
    at === parts.length - 1 ? { ...part, sent: text + part.sent, asIs: false } : part,
  );
}

/** What a refusal teaches about cutting the script, when everything of the unit is undone and it can be tried again. */
function learn(
  lessons: Lessons,
  unit: Unit,
  failed: Failed,
  text: string,
  pieces: readonly Piece[],
): Lessons | undefined {
  if (unit.kind !== 'ours') return undefined;
  const code = errorCode(failed.error);
  if (code === unsafeNewEnumValue && !lessons.commitEnumValues) return { ...lessons, commitEnumValues: true };
  const { piece } = failed;
  if (piece === undefined || lessons.alone.has(piece)) return undefined;
  const isRefusedInTransaction = code === activeTransaction || code === invalidTermination;
  if (!isRefusedInTransaction || isTransactionSetting(text, pieces[piece])) return undefined;
  return { ...lessons, alone: new Set([...lessons.alone, piece]) };
}

/** `set transaction` too late is refused with the same code, and would do nothing alone. */
function isTransactionSetting(text: string, piece: Piece | undefined): boolean {
  return piece !== undefined && /^set\s/i.test(text.slice(piece.start, piece.end));
}

async function inTransaction(client: Client, statements: string): Promise<void> {
  try {
    await client.query(`reset role; begin; ${statements}commit`);
  } catch (error) {
    await rollback(client);
    throw { error, piece: undefined, offset: undefined } satisfies Failed;
  }
}

/** A session that is gone has rolled back by itself. */
async function rollback(client: Client): Promise<void> {
  await client.query('rollback').catch(() => {});
}

function isFailed(value: unknown): value is Failed {
  return typeof value === 'object' && value !== null && 'error' in value && 'piece' in value;
}

function textOf(script: Script, pieces: readonly Piece[], index: number): string {
  const piece = pieces[index];
  return piece === undefined ? '' : script.text.slice(piece.start, piece.end);
}

function digestOf(text: string, pieces: readonly Piece[], done: number): string {
  const hash = createHash('sha256');
  for (const piece of pieces.slice(0, done)) {
    hash.update(text.slice(piece.start, piece.end)).update('\0');
    if (piece.kind === 'copy') hash.update(piece.data).update('\0');
  }
  return hash.digest('hex');
}

function leftBehind(pieces: readonly Piece[], done: number): string {
  if (done === 0) return 'Nothing of the file was applied.';
  const count = pieces.slice(0, done).filter((piece) => piece.kind !== 'command').length;
  return `The file cannot run in one transaction: its first ${count} ${count === 1 ? 'statement is' : 'statements are'} done and will not run again; the next run goes on with what follows.`;
}

/** The directive of `supabase db diff`. Source: supabase/cli 3.1.0, the first line that it reads. */
function asksForNoTransaction(text: string): boolean {
  const first = (text.startsWith('\ufeff') ? text.slice(1) : text).split('\n', 1)[0] ?? '';
  return first.replace(/\r$/, '') === '-- pg-delta: transaction=false';
}

/** `ALTER TYPE … ADD VALUE` and its use in one transaction. Source: PostgreSQL manual, appendix "Error Codes". */
const unsafeNewEnumValue = '55P04';
/** "… cannot run inside a transaction block". */
const activeTransaction = '25001';
/** COMMIT inside a procedure or DO block that was called in a transaction. */
const invalidTermination = '2D000';
