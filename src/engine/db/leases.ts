// In charge of: who does what only one process may do. Rows with expiry and a fencing number; no advisory locks, which a pooler loses.
import { randomUUID } from 'node:crypto';
import type { PoolClient } from 'pg';
import type { Db } from './db.ts';

export interface Lease {
  readonly name: string;
  /** Grows with every new holder. An effect checks it in its own transaction, so that a holder that was asleep cannot act any more. */
  readonly fence: bigint;
  /** Holds it for another term; false when somebody else has it. */
  renew(): Promise<boolean>;
  release(): Promise<void>;
}

export interface Leases {
  /** Takes the lease for `ttlSeconds`, or gives undefined when another process holds it. */
  acquire(name: string, ttlSeconds: number): Promise<Lease | undefined>;
}

/** The holder of a lease lost it: its effect must not happen. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/**
 * Checks in the transaction of `client` that the lease with this fencing number still holds, and keeps it from being
 * taken over until that transaction ends.
 * @throws LeaseLost
 */
export async function assertFence(
  client: Pick<PoolClient, 'query'>,
  name: string,
  fence: bigint,
): Promise<void> {
  const { rowCount } = await client.query(
    'select 1 from _millrace.leases where name = $1 and fence = $2 and expires_at > clock_timestamp() for update',
    [name, fence.toString()],
  );
  if (rowCount !== 1)
    throw new LeaseLost(`the lease "${name}" with fencing number ${fence} is held no longer`);
}

export function openLeases(db: Db): Leases {
  const holder = randomUUID();
  return {
    async acquire(name, ttlSeconds) {
      const fence = await db.asOwner('millrace_admin', async (client) => {
        const { rows } = await client.query<{ fence: string }>(
          `insert into _millrace.leases as lease (name, holder, fence, expires_at)
           values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
           on conflict (name) do update
             set holder = excluded.holder, fence = lease.fence + 1, expires_at = excluded.expires_at
             where lease.expires_at <= clock_timestamp()
           returning fence::text`,
          [name, holder, ttlSeconds],
        );
        return rows[0] && BigInt(rows[0].fence);
      });
      if (fence === undefined) return undefined;
      return {
        name,
        fence,
        renew: () => update('expires_at = clock_timestamp() + make_interval(secs => $4)', [ttlSeconds]),
        async release() {
          await update('expires_at = clock_timestamp()', []);
        },
      };

      async function update(assignment: string, more: readonly unknown[]): Promise<boolean> {
        const { rowCount } = await db.asOwner('millrace_admin', (client) =>
          client.query(
            `update _millrace.leases set ${assignment}
             where name = $1 and holder = $2 and fence = $3 and expires_at > clock_timestamp()`,
            [name, holder, String(fence), ...more],
          ),
        );
        return rowCount === 1;
      }
    },
  };
}

/**
 * Ends all leases, for a server that one process alone works on: whoever holds one by what the table says was killed, and nobody should wait until
 * their time is over. Before this process takes its first.
 */
export async function endLeftLeases(db: Pick<Db, 'asOwner'>): Promise<void> {
  await db.asOwner('millrace_admin', (client) =>
    client.query(
      'update _millrace.leases set expires_at = clock_timestamp() where expires_at > clock_timestamp()',
    ),
  );
}

/** The same within this process alone, where there is no other that could hold one. */
export function openLocalLeases(): Leases {
  const held = new Map<string, bigint>();
  let fences = 0n;
  return {
    async acquire(name) {
      if (held.has(name)) return undefined;
      fences += 1n;
      const fence = fences;
      held.set(name, fence);
      return {
        name,
        fence,
        renew: async () => held.get(name) === fence,
        async release() {
          if (held.get(name) === fence) held.delete(name);
        },
      };
    },
  };
}
