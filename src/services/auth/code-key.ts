// In charge of: the key under which codes of mails and text messages are hashed. A code has six digits: without a key whoever knows the address
// computes every hash that a link could carry, and tries them past what is counted for the account (CWE-330). Upstream hashes without one.
import { randomBytes } from 'node:crypto';
import type { PoolClient } from 'pg';
import type { Db } from '../../engine/db/db.ts';
import type { Ctx } from '../../engine/service/contract.ts';

const [purpose, id] = ['code', 'codes of sign-in'] as const;
const sizeBytes = 32;

/**
 * The one key of all processes, which the first of them makes. Read each time, because a reset takes it away under processes that run on: one
 * that went on with what it had would send codes that no other one knows.
 * @throws DatabaseUnavailable
 */
export type CodeKey = () => Promise<Buffer>;

export function openCodeKey(db: Pick<Db, 'asOwner'>, secrets: Ctx['secrets']): CodeKey {
  const find = (client: PoolClient) => secrets.find(client, purpose, id);
  return () =>
    db.asOwner('millrace_admin', async (client) => (await find(client)) ?? makeKey(client, find, secrets));
}

/**
 * The same where a transaction keeps everybody else out: the key is wanted inside of them, so it is read before each of them, by `beforehand`,
 * and kept for as long as one may take.
 */
export function keepCodeKey(read: CodeKey): { readonly codeKey: CodeKey; readonly beforehand: CodeKey } {
  let kept: { readonly key: Buffer; readonly atMs: number } | undefined;
  const within = async (ms: number): Promise<Buffer> => {
    if (kept === undefined || performance.now() - kept.atMs > ms) {
      const atMs = performance.now();
      kept = { key: await read(), atMs };
    }
    return kept.key;
  };
  return { codeKey: () => within(keptMs), beforehand: () => within(freshMs) };
}

const keptMs = 30_000;
/** After a reset the old key is used no longer than this. */
const freshMs = 2_000;

async function makeKey(
  client: PoolClient,
  find: (client: PoolClient) => Promise<Buffer | undefined>,
  secrets: Ctx['secrets'],
): Promise<Buffer> {
  await client.query('begin');
  try {
    // Of two at once one makes it, and the other one waits.
    await client.query(`select pg_advisory_xact_lock(hashtext('millrace auth code key'))`);
    const known = await find(client);
    const key = known ?? randomBytes(sizeBytes);
    if (known === undefined) await secrets.put(client, purpose, id, key);
    await client.query('commit');
    return key;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}
