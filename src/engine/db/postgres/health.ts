// In charge of: asking a server one question on a connection of its own, bounded.
import pg from 'pg';
import { errorCode, errorMessage } from '../../../base/errors.ts';
import type { ServerHealth } from './server.ts';

export type Answer =
  | { readonly ok: true; readonly rows: readonly (readonly unknown[])[] }
  | { readonly ok: false; readonly error: unknown };

const connectWithinMs = 2_000;
const answerWithinMs = 2_000;

/** Connects, asks, leaves. Never throws. */
export async function askOnce(
  login: pg.ClientConfig,
  sql: string,
  withinMs: number = connectWithinMs,
): Promise<Answer> {
  const client = new pg.Client({
    ...login,
    connectionTimeoutMillis: withinMs,
    query_timeout: answerWithinMs,
  });
  // A connection that breaks between two steps is told here as well; the step that waits tells it too.
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return { ok: true, rows };
  } catch (error) {
    return { ok: false, error };
  } finally {
    await client.end().catch(() => {});
  }
}

/** Whether a server answers. One that refuses the role has answered too: its roles may not be made yet. */
export async function askHealth(login: pg.ClientConfig): Promise<ServerHealth> {
  const answer = await askOnce(login, 'select 1');
  if (answer.ok || errorCode(answer.error)?.startsWith('28') === true)
    return { ok: true, sentence: 'PostgreSQL answers.' };
  return { ok: false, sentence: `PostgreSQL does not answer: ${errorMessage(answer.error)}.` };
}
