// In charge of: that one process at a time applies migrations to a database.
import pg from 'pg';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { cancelQuery } from '../cancel.ts';

/** "millrace migrations" as a number that nobody else uses in this database. */
const lockKey = '7883951835720016742';
const waitSeconds = 600;

/**
 * Waits until no other process applies migrations, runs `work`, and lets the next one in.
 * The lock belongs to a transaction of a session of its own: it outlives the commits of the migrations, ends with the process,
 * and holds behind a pooler, which keeps a transaction on one connection.
 * @throws OperatorError when the other one is not through within ten minutes.
 */
export async function withGuard<T>(
  login: pg.ClientConfig,
  observe: Observe,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const client = new pg.Client({ ...login, application_name: 'millrace migration lock' });
  client.on('error', () => {});
  await client.connect();
  // Sound: cancelQuery reads what a Client and a PoolClient have in common.
  const onAbort = () => void cancelQuery(client as unknown as pg.PoolClient);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await client.query(
      `begin; set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0; set local lock_timeout = '${waitSeconds}s'`,
    );
    const { rows } = await client.query<{ held: boolean }>(
      `select pg_try_advisory_xact_lock(${lockKey}) as held`,
    );
    if (rows[0]?.held !== true) await waitFor(client, observe);
    return await work();
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await client.end();
  }
}

async function waitFor(client: pg.Client, observe: Observe): Promise<void> {
  observe({
    kind: 'migrations.waiting',
    message: 'Another process is applying migrations to this database.',
  });
  try {
    await client.query(`select pg_advisory_xact_lock(${lockKey})`);
  } catch (error) {
    if (errorCode(error) !== lockNotAvailable) throw error;
    throw new OperatorError(
      `Another process has been applying migrations to this database for more than ${waitSeconds / 60} minutes.`,
      "Wait for it, or stop it: select pid, query from pg_stat_activity where application_name like 'millrace migration%'.",
      error,
    );
  }
}

const lockNotAvailable = '55P03';
