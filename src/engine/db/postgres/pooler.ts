// In charge of: whether a transaction pooler stands before a server, when the URL does not say so.
import { randomUUID } from 'node:crypto';
import type { ClientConfig } from 'pg';
import pg from 'pg';
import { delay } from '../../../base/time.ts';

// What `pg` has and @types/pg leaves out. Source: pg 8.23 lib/client.js.
interface WithProcessId {
  readonly processID: number;
}

const heardWithinMs = 1_000;

/**
 * A pooler hands out process numbers of its own, so the number of the login is not the number of the server process; that
 * costs one question, and a server without one is done with it. Then what matters is tried: in a session of its own
 * a client hears what it listens to, and behind a transaction pooler it does not.
 * Source: PostgreSQL manual, "Canceling Requests in Progress"; PgBouncer's manual, "Feature matrix for pooling modes".
 */
export async function hasTransactionPooler(login: ClientConfig): Promise<boolean> {
  const [listener, other] = [new pg.Client(login), new pg.Client(login)];
  // A connection that breaks makes the query fail that waits for it.
  for (const client of [listener, other]) client.on('error', () => {});
  try {
    await listener.connect();
    const { rows } = await listener.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
    // Sound: see WithProcessId.
    if (rows[0]?.pid === (listener as unknown as WithProcessId).processID) return false;
    const channel = `millrace_${randomUUID()}`;
    const heard = new Promise<boolean>((resolve) => listener.once('notification', () => resolve(true)));
    await listener.query(`listen "${channel}"`);
    await other.connect();
    await other.query('select pg_catalog.pg_notify($1, $2)', [channel, '']);
    return !(await Promise.race([heard, delay(heardWithinMs).then(() => false)]));
  } catch {
    // A standby listens to nothing, for one; what cannot be tried is not relied on.
    return true;
  } finally {
    await Promise.allSettled([listener.end(), other.end()]);
  }
}
