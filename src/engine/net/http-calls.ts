// In charge of: the table of http()'s requests, for each of which a statement waits.
import { errorCode } from '../../base/errors.ts';
import type { Db } from '../db/db.ts';
import type { HeaderPairs } from './outgoing.ts';

export interface HttpCall {
  readonly id: string;
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderPairs;
  readonly body: Buffer | null;
  readonly timeoutMs: number;
  readonly userAgent: string | undefined;
}

export type HttpAnswer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: HeaderPairs;
      readonly content: Buffer;
    }
  | { readonly kind: 'error'; readonly message: string };

export interface HttpCalls {
  /** Undefined where http is not there, or is a real build. */
  take(limit: number): Promise<readonly HttpCall[] | undefined>;
  /** Wakes whoever waits. */
  answer(id: string, answer: HttpAnswer): Promise<void>;
  /** Deletes what nobody waits for any more. */
  clean(): Promise<void>;
}

export function openHttpCalls(db: Pick<Db, 'asOwner'>): HttpCalls {
  let isThere = false;
  const ask = <R extends object>(text: string, values: unknown[] = []) =>
    db.asOwner('millrace_admin', (client) => client.query<R>(text, values));

  async function whenThere<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (!isThere) {
      const { rows } = await ask<{ there: boolean }>(
        `select to_regclass('_millrace.http_calls') is not null as there`,
      );
      isThere = rows[0]!.there;
      if (!isThere) return undefined;
    }
    try {
      return await work();
    } catch (error) {
      // undefined_table: dropped with its extension.
      if (errorCode(error) !== '42P01') throw error;
      isThere = false;
      return undefined;
    }
  }

  return {
    take: (limit) =>
      whenThere(async () => {
        const { rows } = await ask<{
          id: string;
          method: string;
          url: string;
          headers: HeaderPairs;
          body: Buffer | null;
          options: { readonly timeoutMs: number; readonly userAgent: string | null };
        }>(takeStatement, [limit]);
        return rows.map(({ options, ...row }) => ({
          ...row,
          timeoutMs: options.timeoutMs,
          userAgent: options.userAgent ?? undefined,
        }));
      }),
    async answer(id, answer) {
      const isAnswer = answer.kind === 'answer';
      await whenThere(() =>
        ask(answerStatement, [
          id,
          isAnswer ? answer.status : null,
          isAnswer ? JSON.stringify(answer.headers) : null,
          isAnswer ? answer.content : null,
          isAnswer ? null : answer.message,
        ]),
      );
    },
    async clean() {
      // Whoever takes asks whether it is.
      if (isThere)
        await whenThere(() =>
          ask(`delete from _millrace.http_calls where asked_at < clock_timestamp() - interval '15 minutes'`),
        );
    },
  };
}

const takeStatement = `
update _millrace.http_calls as call set taken_at = clock_timestamp() where call.id = any (array(
  select id from _millrace.http_calls where taken_at is null order by asked_at limit $1 for update skip locked))
returning call.id::text, call.method, call.url, call.headers, call.body, call.options`;

const answerStatement = `
with answered as (
  update _millrace.http_calls set status = $2, answer_headers = $3::jsonb, answer = $4, error = $5, answered_at = clock_timestamp()
  where id = $1 returning id
)
select pg_notify('millrace_http_' || id, '') from answered`;
