// In charge of: the key under which codes of mails and text messages are hashed. A code has six digits: without a key whoever knows the address
// computes every hash that a link could carry, and tries them past what is counted for the account (CWE-330). Upstream hashes without one.
import { randomBytes } from 'node:crypto';
import type { Db } from '../../engine/db/db.ts';
import type { Ctx } from '../../engine/service/contract.ts';

const [purpose, id] = ['code', 'codes of sign-in'] as const;
const sizeBytes = 32;

/** The one key of all processes; the first of them makes it. */
export async function openCodeKey(db: Pick<Db, 'asOwner'>, secrets: Ctx['secrets']): Promise<Buffer> {
  return db.asOwner('millrace_admin', async (client) => {
    await client.query('begin');
    try {
      // Of two that start at once one makes it, and the other one waits.
      await client.query(`select pg_advisory_xact_lock(hashtext('millrace auth code key'))`);
      const known = await secrets.find(client, purpose, id);
      const key = known ?? randomBytes(sizeBytes);
      if (known === undefined) await secrets.put(client, purpose, id, key);
      await client.query('commit');
      return key;
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  });
}
