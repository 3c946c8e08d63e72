// In charge of: the atomic batch: `POST /` with a list of requests, all in one transaction under the caller's role. Each goes through the same
// line as if it had come alone and sees what the earlier ones wrote; when one is refused nothing is applied and its answer is the batch's.
import { Fault } from '../../base/errors.ts';
import type { Db, Work } from '../../engine/db/db.ts';
import type { Answer } from '../../engine/service/http.ts';
import { answer, type RequestContext, type Rest } from './answer.ts';
import { parsePreferences } from './parse/prefer.ts';
import { faultOf } from './render-error.ts';
import { respondFault } from './respond.ts';
import type { WireRequest } from './wire.ts';

/** More than this in one transaction would hold its locks for too long. */
export const maxRequests = 100;

interface Item {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export function isBatch(wire: WireRequest): boolean {
  return wire.method === 'POST' && wire.path === '/';
}

/** Answers `[{status, headers, body}]`, or the refusal of one request with its `index`. */
export async function answerBatch(rest: Rest, wire: WireRequest, context: RequestContext): Promise<Answer> {
  const settings = rest.config.now();
  const items = parseBatch(wire);
  const preferences = parsePreferences(
    wire.headers.prefer,
    new Set(),
    settings.txEnd.endsWith('-allow-override'),
  );
  const rollback =
    preferences.tx === 'rollback' || (settings.txEnd.startsWith('rollback') && preferences.tx !== 'commit');
  const { caller, cancellation } = context;
  let index = 0;
  try {
    const answers = await rest.db.transaction(
      caller,
      async (step) => {
        // Each request's work becomes a step of the one transaction.
        const db: Pick<Db, 'as' | 'transaction'> = {
          as: async (
            _,
            { verdict, end: _end, cancellation: _cancellation, isolation: _isolation, ...work },
          ) => {
            // A read may not write, but what comes after it may: the end of a savepoint gives that right back.
            if (work.readOnly) await step(plain('savepoint batch_read'));
            const rows = await step(work);
            if (work.readOnly) await step(plain('release savepoint batch_read'));
            verdict?.(rows);
            return rows;
          },
          transaction: (_, run) => run(step),
        };
        const done: Answer[] = [];
        for (const item of items) {
          done.push(await answer({ ...rest, db: { ...rest.db, ...db } }, wireOf(item, wire), context));
          index++;
        }
        return done;
      },
      { ...(rollback ? { end: 'rollback' } : {}), cancellation },
    );
    const body = answers.map(({ status, headers, body }) => ({
      status,
      headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
      body: bodyOf(headers, body),
    }));
    return {
      status: 200,
      headers: [['Content-Type', 'application/json; charset=utf-8']],
      body: JSON.stringify(body),
    };
  } catch (error) {
    if (index >= items.length) throw error;
    const refused = respondFault(faultOf(error, caller.role !== settings.anonRole));
    return { ...refused, body: JSON.stringify({ ...JSON.parse(String(refused.body)), index }) };
  }
}

function plain(text: string): Work {
  return { statement: { text, params: [] } };
}

/** @throws PGRST102 when the body is no list of requests. */
function parseBatch(wire: WireRequest): readonly Item[] {
  let items: unknown;
  try {
    items = JSON.parse(wire.body.toString('utf8'));
  } catch {
    throw invalidBatch('Empty or invalid json');
  }
  if (!Array.isArray(items))
    throw invalidBatch('A batch is a list of requests: [{"method", "path", "headers", "body"}]');
  if (items.length > maxRequests) {
    throw invalidBatch(`A batch holds at most ${maxRequests} requests, this one ${items.length}`);
  }
  return items.map((item: unknown, index) => {
    if (!isItem(item)) {
      throw invalidBatch(
        `Request ${index} of the batch needs a "method" and a "path" that begins with a slash`,
      );
    }
    if (item.method === 'POST' && /^\/?(\?|$)/.test(item.path))
      throw invalidBatch(`Request ${index} of the batch is a batch`);
    return item;
  });
}

function isItem(value: unknown): value is Item {
  if (typeof value !== 'object' || value === null) return false;
  const { method, path, headers } = value as Partial<Record<keyof Item, unknown>>;
  const headersFit =
    headers === undefined ||
    (typeof headers === 'object' &&
      headers !== null &&
      Object.values(headers).every((header) => typeof header === 'string'));
  return typeof method === 'string' && typeof path === 'string' && path.startsWith('/') && headersFit;
}

function invalidBatch(message: string): Fault {
  return new Fault({ status: 400, code: 'PGRST102', message });
}

/** The request as if it had come alone: with the batch's headers, but for those that are about its body or its answer. */
function wireOf(item: Item, batch: WireRequest): WireRequest {
  const {
    prefer: _,
    'content-type': __,
    'content-length': ___,
    accept: ____,
    range: _____,
    ...shared
  } = batch.headers;
  const own = Object.entries(item.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
  // Who asks is decided for the whole.
  const headers = {
    ...shared,
    ...Object.fromEntries(own.filter(([name]) => name !== 'authorization' && name !== 'apikey')),
  };
  const queryStart = item.path.indexOf('?');
  const body =
    item.body === undefined ? '' : typeof item.body === 'string' ? item.body : JSON.stringify(item.body);
  return {
    method: item.method,
    path: queryStart < 0 ? item.path : item.path.slice(0, queryStart),
    query: queryStart < 0 ? '' : item.path.slice(queryStart + 1),
    headers,
    body: Buffer.from(body, 'utf8'),
  };
}

/** JSON stands in the answer as it is, anything else as text. */
function bodyOf(headers: Answer['headers'], body: Answer['body']): unknown {
  if (body === null || body === '') return null;
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  const text = typeof body === 'string' ? body : body.toString('base64');
  return /^application\/(?:[\w.]+\+)?json\b/.test(type) ? JSON.parse(text) : text;
}
