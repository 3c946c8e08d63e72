// In charge of: the tables of pg_net, as the worker reads and writes them. A request is out of its table before it is sent: at most once.
import { errorCode } from '../../base/errors.ts';
import type { Db, LoginRole } from '../db/db.ts';
import type { HeaderPairs } from './outgoing.ts';

export interface NetRequest {
  /** A bigint. */
  readonly id: string;
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderPairs;
  readonly body: Buffer | null;
  readonly timeoutMs: number;
}

export interface NetResponse {
  readonly statusCode: number | null;
  readonly contentType: string | null;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly content: string | null;
  readonly timedOut: boolean;
  readonly errorMessage: string | null;
}

export interface NetQueue {
  /** The oldest requests, taken out for good; undefined where pg_net is not there, or is a real build with a worker of its own. */
  take(limit: number): Promise<readonly NetRequest[] | undefined>;
  put(id: string, response: NetResponse): Promise<void>;
  /** Deletes answers that are older than pg_net.ttl. */
  expire(signal: AbortSignal): Promise<void>;
}

/** @param owner whose rights the project's triggers on these tables get: those of the project's own role. */
export function openNetQueue(db: Pick<Db, 'asOwner'>, owner: LoginRole): NetQueue {
  /** Undefined: nobody has asked yet. */
  let isThere: boolean | undefined;
  const ask = <R extends object>(text: string, values: unknown[] = []) =>
    db.asOwner(owner, (client) => client.query<R>(text, values));

  async function there(): Promise<boolean> {
    if (isThere === true) return true;
    // Not as the owner: where there is no pg_net, the program has no session in that role.
    const { rows } = await db.asOwner('millrace_admin', (client) =>
      client.query<{ there: boolean }>(thereStatement),
    );
    isThere = rows[0]!.there;
    return isThere;
  }

  /** Dropped meanwhile: then there is nothing to do, and the next look asks again. */
  async function unlessDropped<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!isDropped(error)) throw error;
      isThere = false;
      return undefined;
    }
  }

  const put = inBatches<Answered>(async (answered) => {
    await unlessDropped(() => ask(putStatement, columnsOf(answered)));
  });

  return {
    async take(limit) {
      if (!(await there())) return undefined;
      return unlessDropped(async () => {
        const { rows } = await ask<{
          id: string;
          method: string;
          url: string;
          headers: unknown;
          body: Buffer | null;
          timeout_milliseconds: number;
        }>(takeStatement, [limit]);
        return rows
          .map((row) => ({
            id: row.id,
            method: row.method.toUpperCase(),
            url: row.url,
            headers: pairsOf(row.headers),
            body: row.body,
            timeoutMs: row.timeout_milliseconds,
          }))
          .sort((one, other) => (BigInt(one.id) < BigInt(other.id) ? -1 : 1));
      });
    },
    put: (id, response) => put({ id, response }),
    async expire(signal) {
      // Whoever takes asks again and again.
      if (isThere === false || !(await there())) return;
      await unlessDropped(async () => {
        for (let deleted: number = batch; deleted === batch && !signal.aborted; ) {
          deleted = (await ask(expireStatement, [batch])).rowCount ?? 0;
        }
      });
    },
  };
}

interface Answered {
  readonly id: string;
  readonly response: NetResponse;
}

/** Writes what has come in meanwhile together, one batch at a time: with many requests under way an insert for each costs more than sending them. */
function inBatches<T>(write: (items: readonly T[]) => Promise<void>): (item: T) => Promise<void> {
  let waiting: T[] = [];
  let next: Promise<void> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return (item) => {
    waiting.push(item);
    next ??= last.then(() => {
      const batch = waiting;
      waiting = [];
      next = undefined;
      const written = write(batch);
      last = written.catch(() => {});
      return written;
    });
    return next;
  };
}

/** One array a column. */
function columnsOf(answered: readonly Answered[]): unknown[] {
  return [
    answered.map(({ id }) => id),
    answered.map(({ response }) => response.statusCode),
    answered.map(({ response }) => response.contentType),
    answered.map(({ response }) => response.headers && JSON.stringify(response.headers)),
    answered.map(({ response }) => response.content),
    answered.map(({ response }) => response.timedOut),
    answered.map(({ response }) => response.errorMessage),
  ];
}

/** As `jsonb_each_text` gives them; a null value is no header. */
function pairsOf(headers: unknown): HeaderPairs {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) return [];
  return Object.entries(headers)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const);
}

/** undefined_table, invalid_schema_name, undefined_function */
function isDropped(error: unknown): boolean {
  return ['42P01', '3F000', '42883'].includes(errorCode(error) ?? '');
}

/** Asked of the catalog: by name it would need the right to use the schema. A real build has no such function. */
const thereStatement = `
select exists (
  select from pg_proc where proname = '_worker_is_up' and pronamespace = (select oid from pg_namespace where nspname = 'net')
) as there`;

const batch = 1_000;

const takeStatement = `
delete from net.http_request_queue as queue where queue.id = any (array(
  select id from net.http_request_queue order by id limit $1 for update skip locked))
returning queue.id::text, queue.method::text, queue.url, queue.headers, queue.body, queue.timeout_milliseconds`;

const putStatement = `
insert into net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg)
select id, status_code, content_type, headers::jsonb, content, timed_out, error_msg
from unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[])
  as answered (id, status_code, content_type, headers, content, timed_out, error_msg)`;

/** Source: supabase/pg_net src/worker.c, `pg_net.ttl`. */
const expireStatement = `
delete from net._http_response where ctid = any (array(
  select ctid from net._http_response
  where created < now() - coalesce(nullif(current_setting('pg_net.ttl', true), ''), '6 hours')::interval
  order by created limit $1))`;
