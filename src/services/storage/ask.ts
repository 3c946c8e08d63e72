// In charge of: one statement on storage's tables under a caller's rights, and its rows as values.
import { errorCode } from '../../base/errors.ts';
import type { Db, Rows, Work } from '../../engine/db/db.ts';
import type { Asking } from './context.ts';

export interface Question {
  readonly text: string;
  readonly params: readonly (string | null)[];
}

/** The rows of a statement that gives rows, also of one that writes (`returning`). Times are ISO 8601 in UTC. */
export async function askRows<R>(
  db: Pick<Db, 'as'>,
  asking: Asking,
  question: Question,
  options: Pick<Work, 'end' | 'cancellation'> = {},
): Promise<readonly R[]> {
  return rowsOf(await db.as(asking.caller, workOf(asking, asJson(question), options)));
}

/** How many rows a statement has written. */
export async function askCount(
  db: Pick<Db, 'as'>,
  asking: Asking,
  question: Question,
  options: Pick<Work, 'end' | 'cancellation'> = {},
): Promise<number> {
  const { affected } = await db.as(asking.caller, workOf(asking, question, options));
  return affected;
}

export function workOf(
  asking: Asking,
  question: Question,
  options: Pick<Work, 'end' | 'cancellation'> = {},
): Work {
  return { statement: question, settings: asking.scope, ...options };
}

export function asJson({ text, params }: Question): Question {
  return { text: `with answer as (${text}) select row_to_json(answer) from answer`, params };
}

export function rowsOf<R>({ rows }: Rows): readonly R[] {
  // Sound: each row is one JSON text that Postgres made of the columns that the statement names.
  return rows.map(([row]) => JSON.parse(row!) as R);
}

/** A time as clients get it. Source: JavaScript's `Date.prototype.toISOString`, which upstream's answers go through. */
export const isoTime = (column: string) =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;

/** `%` and `_` in what somebody searches for stand for themselves. */
export const escapeLike = (text: string) => text.replaceAll('\\', '\\\\').replace(/[%_]/g, '\\$&');

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** The column `owner` holds users alone; `owner_id` any subject. */
export const uuidOrNull = (text: string | undefined) => (text !== undefined && uuid.test(text) ? text : null);

/** Of an error of Postgres; undefined for any other. None of its SQLSTATEs begins with E, as the codes of sockets and files do (EPIPE, EPERM). */
export function sqlStateOf(error: unknown): string | undefined {
  const code = errorCode(error);
  return code !== undefined && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
