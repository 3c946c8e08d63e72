// In charge of: a session outside of the pools, for what is done once: bootstrap, migrations, a check.

import type { ClientConfig } from 'pg';
import pg from 'pg';

/** A server that does not take a connection within this time is down. */
const connectTimeoutMs = 10_000;

/** Opens a session, runs `work` on it, and closes it in any case. */
export async function withClient<T>(
  config: ClientConfig,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionTimeoutMillis: connectTimeoutMs, ...config });
  // A connection that breaks between two queries would end the process; the next query says what happened.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
