// In charge of: the atomic batch: `POST /` with a list of requests, all in one transaction under the caller's role. Each goes through the same
// line as if it had come alone and sees what the earlier ones wrote; when one is refused nothing is applied and its answer is the batch's.
import { Fault } from '../../base/errors.ts';
import type { Db, Rows, Work } from '../../engine/db/db.ts';
import { insertedSetting } from '../../engine/query/compile/write.ts';
import type { Answer, Headers } from '../../engine/service/http.ts';
import { answer, type RequestContext, type Rest } from './answer.ts';
import { invalidBatch, parseBatch } from './batch-items.ts';
import { isolationOf } from './context.ts';
import { parsePreferences, renderPreferences } from './parse/prefer.ts';
import { faultOf, isBug } from './render-error.ts';
import { respondFault } from './respond.ts';
import { withoutForeignNames } from './scope.ts';
import type { WireRequest } from './wire.ts';

/** Bytes of all answers together: each may be as long as one on its own, and they are held until the last is there. */
export const maxAnswerBytes = 64 * 1024 * 1024;

export function isBatch(wire: WireRequest): boolean {
  return wire.method === 'POST' && wire.path === '/';
}

/** Answers `[{status, headers, body}]`, or the refusal of one request with its `index`. */
export async function answerBatch(rest: Rest, wire: WireRequest, context: RequestContext): Promise<Answer> {
  const settings = rest.config.now();
  const items = parseBatch(wire);
  const { tx } = parsePreferences(wire.headers.prefer, new Set(), settings.txEnd.endsWith('-allow-override'));
  const rollback = tx === 'rollback' || (settings.txEnd.startsWith('rollback') && tx !== 'commit');
  const { caller, cancellation } = context;
  const catalog = rest.catalog.now();
  const isolation = isolationOf(caller.role, undefined, catalog);
  const ofRole = new Set(catalog.roles.get(caller.role)?.settings.map(([name]) => name));
  const parts: string[] = [];
  let index = 0;
  try {
    await rest.db.transaction(
      caller,
      async (step) => {
        const alone = asAlone(step, isolation, ofRole);
        let bytes = 0;
        for (const item of items) {
          const db = alone.next(rollback);
          const part = renderPart(await answer({ ...rest, db: { ...rest.db, ...db } }, item, context));
          bytes += Buffer.byteLength(part);
          if (bytes > maxAnswerBytes) throw answersTooLong();
          parts.push(part);
          index++;
        }
        // What a commit would say of deferred constraints.
        if (rollback && items.length > 0) await step(plain(checkConstraints));
      },
      {
        ...(rollback ? { end: 'rollback' } : {}),
        ...(isolation === undefined ? {} : { isolation }),
        cancellation,
      },
    );
  } catch (error) {
    // A mistake of ours is for the log as well, which is written where it ends.
    if (index >= items.length || isBug(error)) throw error;
    const refused = respondFault(
      faultOf(withoutForeignNames(caller, error), caller.role !== settings.anonRole),
    );
    return { ...refused, body: JSON.stringify({ ...JSON.parse(String(refused.body)), index }) };
  }
  const headers: [string, string][] = [['Content-Type', 'application/json; charset=utf-8']];
  const applied = renderPreferences({ tx });
  if (applied !== undefined) headers.push(['Preference-Applied', applied]);
  return { status: 200, headers, body: `[${parts.join(',')}]` };
}

type Step = (work: Work) => Promise<Rows>;
type Isolation = NonNullable<Work['isolation']>;

const strictness: Readonly<Record<Isolation, number>> = {
  'read committed': 0,
  'repeatable read': 1,
  serializable: 2,
};

/**
 * The database for each request in turn: its work becomes steps of the one transaction, and finds there what it would find in its own.
 * What PostgreSQL keeps to the end of a transaction is put back before each: the role that logged in (which may set more than the caller's),
 * what the response should be, the zone, and what a function wanted for itself. Only what functions of the project set themselves stays.
 */
function asAlone(step: Step, isolation: Isolation | undefined, ofRole: ReadonlySet<string>) {
  /** What the parameters were that a request changed for itself. */
  const before = new Map<string, string>();
  let isFirstOfRequest = true;

  async function run(work: Work): Promise<Rows> {
    const wanted = work.isolation;
    if (wanted !== undefined && strictness[wanted] > strictness[isolation ?? 'read committed']) {
      throw invalidBatch(`In a batch nothing can be ${wanted}: this request has to come alone`);
    }
    const { verdict, end: _, cancellation: __, isolation: ___, ...plainWork } = work;
    const settings = isFirstOfRequest ? await fresh(work.settings ?? []) : work.settings;
    isFirstOfRequest = false;
    // A read may not write, but what comes after it may: the end of a savepoint gives that right back.
    if (work.readOnly) await step(plain('savepoint batch_read'));
    const rows = await step({ ...plainWork, ...(settings === undefined ? {} : { settings }) });
    if (work.readOnly) await step(plain('release savepoint batch_read'));
    verdict?.(rows);
    return rows;
  }

  async function fresh(own: NonNullable<Work['settings']>): Promise<NonNullable<Work['settings']>> {
    const unknown = own.filter(([name]) => !isSetEachTime(name, ofRole) && !before.has(name));
    if (unknown.length > 0) {
      const values = unknown.map((_, at) => `pg_catalog.current_setting($${at + 1}, true)`);
      const { rows } = await step({
        statement: { text: `select ${values.join(', ')}`, params: unknown.map(([name]) => name) },
      });
      for (const [at, [name]] of unknown.entries()) before.set(name, rows[0]?.[at] ?? '');
    }
    return [['role', 'none'], ...cleared, ...before, ...own];
  }

  return {
    next(undone: boolean): Pick<Db, 'as' | 'transaction'> {
      isFirstOfRequest = true;
      return {
        as: (_, work) => run(work),
        transaction: (_, whole, { readOnly = false } = {}) =>
          whole(async (work) => {
            // That a request's own end would check them is no reason to check those of the batch early.
            if (work.statement.text === checkConstraints && !undone) return noRows;
            return run(readOnly ? { ...work, readOnly } : work);
          }),
      };
    },
  };
}

const checkConstraints = 'set constraints all immediate';
const noRows: Rows = { rows: [], affected: 0 };

/** Of the last request, and not of this one. */
const cleared = [
  ['response.headers', ''],
  ['response.status', ''],
  [insertedSetting, ''],
] as const;

function isSetEachTime(name: string, ofRole: ReadonlySet<string>): boolean {
  return (
    name === 'search_path' ||
    name.startsWith('request.') ||
    name.startsWith('app.settings.') ||
    ofRole.has(name)
  );
}

function plain(text: string): Work {
  return { statement: { text, params: [] } };
}

function renderPart({ status, headers, body }: Answer): string {
  return `{"status":${status},"headers":${JSON.stringify(headersOf(headers))},"body":${renderBody(headers, body)}}`;
}

/** One that was given several times is joined by commas, as HTTP has it. */
function headersOf(headers: Headers): Readonly<Record<string, string>> {
  const joined = new Map<string, string>();
  for (const [written, value] of headers) {
    const name = written.toLowerCase();
    const earlier = joined.get(name);
    joined.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return Object.fromEntries(joined);
}

/** JSON stands in the answer as Postgres wrote it, anything else as text, and bytes in base64. */
function renderBody(headers: Headers, body: Answer['body']): string {
  if (body === null || body === '') return 'null';
  if (typeof body !== 'string') return JSON.stringify(body.toString('base64'));
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  return /^application\/(?:[\w.-]+\+)?json\b/.test(type) && isJson(body) ? body : JSON.stringify(body);
}

/** A function of the project's may call anything JSON. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function answersTooLong(): Fault {
  return new Fault({
    status: 413,
    code: 'PGRST102',
    message: `The answers of the batch are longer than ${maxAnswerBytes} bytes together`,
    hint: 'Ask for fewer rows, or in several batches.',
  });
}
