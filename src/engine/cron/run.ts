// In charge of: one run of a job, on a session of its own that logs in as the job's role: what that role may not do, the job may not either, and
// there is nobody behind it that `reset role` could lead to.
import type { Socket } from 'node:net';
import type { ClientConfig, PoolClient } from 'pg';
import { cancelQuery } from '../db/cancel.ts';
import { withClient } from '../db/client.ts';
import { ScriptRun, type StatementResult } from '../db/script-run.ts';
import type { Job, RunChange } from './job-table.ts';
import { renderAsLibpq } from './libpq-message.ts';

/** How a run logs in; undefined where there is no way in for that role. */
export type LoginOf = (role: string, database: string) => ClientConfig | undefined;

/** Source: citusdata/pg_cron src/pg_cron.c CronTaskStartTimeout. */
const connectTimeoutMs = 10_000;
const maxMessageLength = 10_000;
/** A run that is broken off and does not end by its cancel within this time loses its session: it may catch `query_canceled`. */
const cancelGraceMs = 10_000;

/** Why a run is broken off, in upstream's words. Source: citusdata/pg_cron src/pg_cron.c jobCanceled; job_metadata.c MarkPendingRunsAsFailed. */
export class RunEnded extends Error {
  override readonly name = 'RunEnded';
}

/** Runs it and says each step to `change`; never rejects for what the job does. */
export async function runJob(
  job: Job,
  loginOf: LoginOf,
  change: (change: RunChange) => Promise<void>,
  signal: AbortSignal,
  graceMs = cancelGraceMs,
): Promise<'succeeded' | 'failed'> {
  const login = loginOf(job.username, job.database);
  const fail = async (message: string) => {
    await change({ status: 'failed', message: message.slice(0, maxMessageLength), endedAt: new Date() });
    return 'failed' as const;
  };
  if (login === undefined || !job.isAllowed) return fail(connectionFailed);
  await change({ status: 'connecting' });
  let isConnected = false;
  try {
    const results = await withClient(
      { ...login, application_name: 'pg_cron', connectionTimeoutMillis: connectTimeoutMs },
      async (client) => {
        isConnected = true;
        signal.throwIfAborted();
        // Sound: `pg` has it since the server said it at login; @types/pg leaves it out.
        await change({
          status: 'sending',
          pid: (client as unknown as { readonly processID: number }).processID,
        });
        await change({ status: 'running', startedAt: new Date() });
        return runScript(client as unknown as PoolClient, job.command, signal, graceMs);
      },
    );
    await change({ status: 'succeeded', message: messageOf(results), endedAt: new Date() });
    return 'succeeded';
  } catch (error) {
    if (signal.aborted && signal.reason instanceof RunEnded) return fail(signal.reason.message);
    if (!isConnected) return fail(connectionFailed);
    return fail(renderAsLibpq(error, job.command));
  }
}

function runScript(
  client: PoolClient,
  command: string,
  signal: AbortSignal,
  graceMs: number,
): Promise<readonly StatementResult[]> {
  // Told before anybody listened: nothing is sent.
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    let patience: NodeJS.Timeout | undefined;
    const onAbort = () => {
      void cancelQuery(client);
      patience = setTimeout(() => endSession(client), graceMs);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const ended = () => {
      clearTimeout(patience);
      signal.removeEventListener('abort', onAbort);
    };
    // A session that breaks tells the query that runs on it.
    client.query(
      new ScriptRun(
        command,
        (results) => {
          ended();
          resolve(results);
        },
        (error) => {
          ended();
          reject(error);
        },
      ),
    );
  });
}

/** Sound: `pg` 8.23 has it; @types/pg leaves it out. */
function endSession(client: PoolClient): void {
  (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream.destroy();
}

/** Of the last statement. Source: citusdata/pg_cron src/pg_cron.c GetTaskFeedback. */
function messageOf(results: readonly StatementResult[]): string {
  const last = results.at(-1);
  if (last === undefined) return '0 rows';
  if (last.rows === undefined) return last.tag === '' ? '0 rows' : last.tag;
  return `${last.rows} ${last.rows === 1 ? 'row' : 'rows'}`;
}

const connectionFailed = 'connection failed';
