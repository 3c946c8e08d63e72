// In charge of: what somebody else signed and may be used once only: a wallet's message, an identity provider's assertion. A row of
// auth.flow_state stands for each, whose id is made from it; upstream lets such things come again for as long as they are fresh (CWE-294).
import { createHash } from 'node:crypto';
import type { AuthenticationMethod } from './sessions.ts';
import type { Tx } from './transaction.ts';

const keptMs = 24 * 60 * 60 * 1000;
/** What is older goes a few rows with each new one. */
const sweepRows = 100;

/**
 * Within the transaction of the sign-in. Of many who come with one thing, one gets true. What is remembered is kept for a day, so nothing
 * may be fresh for longer.
 */
export async function useOnce(
  tx: Tx,
  method: AuthenticationMethod,
  parts: readonly string[],
  nowMs: number,
): Promise<boolean> {
  const hex = createHash('sha256')
    .update(JSON.stringify([method, ...parts]))
    .digest('hex');
  // Version 8 is for whoever makes ids in a way of their own. Source: RFC 9562 section 5.8.
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  await tx.query(
    `delete from auth.flow_state where id in (select id from auth.flow_state
       where created_at < $1 and provider_type = 'used' order by created_at limit ${sweepRows} for update skip locked)`,
    [new Date(nowMs - keptMs).toISOString()],
  );
  const { rowCount } = await tx.query(
    `insert into auth.flow_state (id, provider_type, authentication_method, created_at, updated_at)
     values ($1, 'used', $2, $3, $3) on conflict do nothing`,
    [id, method, new Date(nowMs).toISOString()],
  );
  return rowCount === 1;
}
