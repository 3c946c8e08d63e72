// In charge of: running one pgTAP file as pg_prove's psql would: statement by statement, up to the first error, each row a line.
import type { Client, QueryArrayResult } from 'pg';
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { checkCommands } from '../migrations/commands.ts';
import { lineAndColumn } from '../migrations/failure.ts';
import { prepare } from '../migrations/prepare.ts';
import { scriptPieces } from '../migrations/script.ts';
import { sendParts } from '../migrations/send.ts';
import { type MigrationLogins, MigrationSession } from '../migrations/session.ts';

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
}

/** What a file may print: a select that forgets its limit must not fill the memory. */
const maxLines = 200_000;

/**
 * Runs a script in a session of its own. What hosted projects may do beyond `postgres`'s rights, as in migrations: `create extension`.
 * Source: TAP::Parser::SourceHandler::pgTAP: `psql --no-align --quiet --pset tuples_only=true --set ON_ERROR_STOP=1 --file …`.
 * @throws OperatorError when it needs a command of psql.
 */
export async function runTest(
  logins: MigrationLogins,
  { path, text }: TestScript,
  observe: Observe,
  signal?: AbortSignal,
): Promise<TestRun> {
  const started = performance.now();
  await using session = await MigrationSession.open(logins, observe, signal);
  const pieces = scriptPieces(text);
  checkCommands(path, text, pieces);
  const lines: string[] = [];
  let error: TestRun['error'];
  try {
    const { prepared } = await prepare(session, text, pieces);
    for (const part of prepared) {
      try {
        if (part.piece.kind === 'copy') await sendParts(session.client, [part], '', '');
        else {
          const printed = await printedBy(session.client, part.sent);
          // What stands in for a privileged statement answers with a row that the statement itself would not.
          if (part.asIs) lines.push(...printed);
        }
      } catch (cause) {
        error = { line: lineAndColumn(text, part.piece.start).line, message: innermost(cause) };
        break;
      }
      if (lines.length > maxLines) {
        error = {
          line: lineAndColumn(text, part.piece.start).line,
          message: `it printed more than ${maxLines} lines`,
        };
        break;
      }
    }
  } finally {
    await session.unregister();
  }
  return { lines, error, elapsedMs: Math.round(performance.now() - started) };
}

async function printedBy(client: Client, text: string): Promise<readonly string[]> {
  const result: QueryArrayResult<(string | null)[]> = await client.query({
    text,
    rowMode: 'array',
    types: asText,
  });
  return result.rows.flatMap((row) =>
    row
      .map((field) => field ?? '')
      .join('|')
      .split('\n'),
  );
}

/** Postgres's own text, as psql prints it. */
const asText = { getTypeParser: () => (value: unknown) => value } as never;

function innermost(cause: unknown): string {
  const inner = typeof cause === 'object' && cause !== null && 'error' in cause ? cause.error : cause;
  return errorMessage(inner);
}
