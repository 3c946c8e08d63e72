// In charge of: the record of what operators changed. Written in the transaction of the change itself, so that neither exists without the other.
import type { Context } from 'hono';
import type { PoolClient } from 'pg';
import type { Db } from '../../engine/db/db.ts';
import type { AdminEnv } from './env.ts';

export interface Change {
  readonly id: string;
  readonly at: string;
  readonly operator: string;
  readonly via: string;
  readonly address: string;
  readonly action: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly request_id: string;
}

/**
 * Writes one change into the record, in the transaction that `client` is in, as `millrace_admin`.
 * `action` is `<thing>.<verb>` (`settings.set`, `keys.rotate`); `details` say what was before and what is now, and never hold a secret.
 */
export async function record(
  c: Context<AdminEnv>,
  client: Pick<PoolClient, 'query'>,
  action: string,
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { name, via } = c.get('operator');
  await client.query(
    `insert into _millrace.operator_changes (operator, via, address, action, details, request_id)
     values ($1, $2, $3, $4, $5, $6)`,
    [name, via, c.get('address'), action, JSON.stringify(details), c.get('requestId')],
  );
}

/** A change waits for another one's lock no longer than this. */
const boundMs = 5_000;

/** One transaction of Millrace's own, bounded in time. A throw undoes it. */
export function inTransaction<T>(
  db: Pick<Db, 'asOwner'>,
  run: (client: PoolClient) => Promise<T>,
): Promise<T> {
  return db.asOwner('millrace_admin', async (client) => {
    await client.query(`begin; set local statement_timeout = ${boundMs}`);
    try {
      const result = await run(client);
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch(() => {});
      throw error;
    }
  });
}

export const maxChangesPerPage = 200;

/** The newest changes first; `before` is the id of the last one seen. */
export async function readChanges(
  db: Pick<Db, 'asOwner'>,
  { before, limit }: { readonly before: bigint | undefined; readonly limit: number },
): Promise<readonly Change[]> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<Change>(
      `select id::text, to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at,
         operator, via, address, action, details, request_id
       from _millrace.operator_changes where id < coalesce($1, 9223372036854775807) order by operator_changes.id desc limit $2`,
      [before?.toString() ?? null, Math.min(limit, maxChangesPerPage)],
    ),
  );
  return rows;
}
