// In charge of: stopping a query that nobody waits for any more.
import { once } from 'node:events';
import type { PoolClient } from 'pg';
import pg from 'pg';

/** A server that does not close the cancel connection within this time is taken as gone; the session is thrown away then. */
const cancelTimeoutMs = 5_000;

// What `pg` has and @types/pg leaves out. Source: pg 8.23 lib/client.js (`cancel`), lib/connection.js.
interface CancelTarget {
  readonly host: string;
  readonly port: number;
  readonly ssl: unknown;
  readonly processID: number;
  readonly secretKey: number;
  readonly connection: WireConnection;
}
interface WireConnection extends NodeJS.EventEmitter {
  readonly stream: { destroy(): void };
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}

/**
 * Sends a CancelRequest for what `client` runs and resolves when the server has closed that connection: only then is it
 * sure that the cancel cannot hit the session's next query. Never rejects; `false` says that the server did not even take it: the session
 * is ended then, as its query would be waited for without end.
 * Source: PostgreSQL manual, "Canceling Requests in Progress".
 */
export async function cancelQuery(client: PoolClient): Promise<boolean> {
  // Sound: both interfaces name what pg 8.23 has on these objects.
  const target = client as unknown as CancelTarget;
  const Connection = (pg as unknown as { Connection: new (config: object) => WireConnection }).Connection;
  const connection = new Connection({ ssl: target.ssl });
  const closed = once(connection, 'end', { signal: AbortSignal.timeout(cancelTimeoutMs) });
  const request = () => connection.cancel(target.processID, target.secretKey);
  connection.on('connect', () => (target.ssl ? connection.requestSsl() : request()));
  connection.on('sslconnect', request);
  connection.on('error', () => connection.stream.destroy());
  if (target.host?.startsWith('/')) connection.connect(`${target.host}/.s.PGSQL.${target.port}`);
  else connection.connect(target.port, target.host);
  try {
    await closed;
    return true;
  } catch {
    connection.stream.destroy();
    target.connection.stream.destroy();
    return false;
  }
}
