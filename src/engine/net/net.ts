// In charge of: the requests that SQL asks for: those of pg_net, which go out after the commit, and those of http(), for which a statement waits.
import type { Observe } from '../../base/observe.ts';
import type { Db, LoginRole } from '../db/db.ts';
import type { Listener } from '../db/listener.ts';
import { Failure, renderForHttp, renderForNet } from './failure.ts';
import { type HttpAnswer, type HttpCall, openHttpCalls } from './http-calls.ts';
import { type NetRequest, type NetResponse, openNetQueue } from './net-queue.ts';
import type { Incoming, Send } from './outgoing.ts';
import { openTaker } from './taker.ts';

export interface NetOptions {
  readonly db: Pick<Db, 'asOwner'>;
  /** The project's own role, as which the tables of pg_net are worked on. */
  readonly owner: LoginRole;
  /** Undefined behind a transaction pooler: the tables are then polled. */
  readonly listener: Listener | undefined;
  readonly send: Send;
  readonly observe: Observe;
}

export interface Net {
  readonly tasks: readonly {
    readonly name: string;
    readonly everySeconds: number;
    readonly scope: 'each';
    run(signal: AbortSignal): Promise<void>;
  }[];
  /** Lets requests under way finish for `drainMs`, then gives them up. */
  close(drainMs: number): Promise<void>;
}

/** Together below what the egress lets through at once. */
export const parallelRequests = 32;
const parallelCalls = 16;
/** Where NOTIFY wakes this is for what it did not tell. */
const pollWithListenMs = 10_000;
const pollWithoutListenMs = 500;
/** A migration that creates the extension says so; behind a pooler nobody hears it. */
const absentWithListenMs = 60_000;
const absentWithoutListenMs = 5_000;
/** As libcurl, 0 is for ever, which here is this. */
const maxTimeoutMs = 600_000;
/** Source: supabase/pg_net src/core.c. */
const netAgent = 'pg_net/0.20.4';

export function openNet({ db, owner, listener, send, observe }: NetOptions): Net {
  const queue = openNetQueue(db, owner);
  const calls = openHttpCalls(db);
  const waits = {
    pollMs: listener ? pollWithListenMs : pollWithoutListenMs,
    absentMs: listener ? absentWithListenMs : absentWithoutListenMs,
  };
  /** Those of http() that are under way: their statement may be cancelled. */
  const waiting = new Map<string, AbortController>();

  async function sendRequest(request: NetRequest, signal: AbortSignal): Promise<void> {
    const timeoutMs = boundedMs(request.timeoutMs);
    let response: NetResponse;
    try {
      response = responseOf(await send({ ...request, timeoutMs, userAgent: netAgent }, signal));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      response = {
        ...nothing,
        timedOut: error.kind === 'operation_timedout',
        errorMessage: renderForNet(error, request.timeoutMs),
      };
    }
    await queue.put(request.id, response);
  }

  async function answerCall(call: HttpCall, signal: AbortSignal): Promise<void> {
    const gone = new AbortController();
    waiting.set(call.id, gone);
    let answer: HttpAnswer;
    try {
      const timeoutMs = boundedMs(call.timeoutMs);
      const userAgent = call.userAgent ?? 'pgsql-http';
      const found = await send({ ...call, timeoutMs, userAgent }, AbortSignal.any([signal, gone.signal]));
      answer = { kind: 'answer', status: found.status, headers: found.headers, content: found.body };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      answer = { kind: 'error', message: renderForHttp(error) };
    } finally {
      waiting.delete(call.id);
    }
    if (!gone.signal.aborted) await calls.answer(call.id, answer);
  }

  const requests = openTaker({
    name: 'pg_net',
    parallel: parallelRequests,
    take: queue.take,
    work: sendRequest,
    ...waits,
    observe,
  });
  const answers = openTaker({
    name: 'http',
    parallel: parallelCalls,
    take: calls.take,
    work: answerCall,
    ...waits,
    observe,
  });
  listener?.listen('millrace_net', requests.wake, requests.wake);
  listener?.listen(
    'millrace_http',
    (id) => {
      if (id === '') answers.wake();
      else waiting.get(id)?.abort(new Error('nobody waits for it any more'));
    },
    answers.wake,
  );
  requests.wake();
  answers.wake();

  return {
    // Two that delete the same do no harm, and a lease costs a commit each time, also where there is nothing to delete.
    tasks: [
      { name: 'net.responses', everySeconds: 60, scope: 'each', run: (signal) => queue.expire(signal) },
      { name: 'net.calls', everySeconds: 300, scope: 'each', run: () => calls.clean() },
    ],
    async close(drainMs) {
      await Promise.all([requests.close(drainMs), answers.close(drainMs)]);
    },
  };
}

function boundedMs(timeoutMs: number): number {
  return timeoutMs > 0 ? Math.min(timeoutMs, maxTimeoutMs) : maxTimeoutMs;
}

/** Of several headers of one name the last is kept, and text ends at its first NUL. Source: supabase/pg_net src/core.c insert_response. */
function responseOf({ status, headers, body }: Incoming): NetResponse {
  const [text = ''] = body.toString('utf8').split('\0', 1);
  const contentType = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? null;
  return {
    ...nothing,
    statusCode: status,
    contentType,
    headers: Object.fromEntries(headers.map(([name, value]) => [name, value.replaceAll('\0', '')])),
    content: text === '' ? null : text,
  };
}

const nothing: NetResponse = {
  statusCode: null,
  contentType: null,
  headers: null,
  content: null,
  timedOut: false,
  errorMessage: null,
};
