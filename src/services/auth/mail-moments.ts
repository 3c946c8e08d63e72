// In charge of: how long whoever asks for a mail waits for the next one, the same for an address that has an account and for one that has none
// (CWE-204). Upstream looks into the user's row, so that only an account can be asked for too often.
import { createHash } from 'node:crypto';
import type { Visit } from './context.ts';
import { TooSoon } from './send.ts';
import { inTransaction, withTables } from './transaction.ts';
import { timeMs } from './user.ts';

/**
 * What upstream's row has a time of its own for. Which of them a request would use depends on the account, so each claims all that it might:
 * a link to sign in is a confirmation for whoever has not confirmed yet.
 */
export type MailMoment = 'confirmation' | 'recovery' | 'email_change';

/** Older rows go a few with each new one; where a setting asks for a longer wait, after that. */
const keptSeconds = 3600;
const sweptRows = 100;

/**
 * Runs `work` when its moments have come, for an address as the client named it. What fails gives them back.
 * @throws Fault 429 over_email_send_rate_limit, and what `work` throws
 */
export async function withMailMoments<T>(
  visit: Visit,
  email: string,
  moments: readonly MailMoment[],
  work: () => Promise<T>,
): Promise<T> {
  const claim = await claimMoments(visit, email, moments);
  try {
    return await work();
  } catch (error) {
    await giveBack(visit, claim);
    throw error;
  }
}

/**
 * What `work` would refuse by the row of a user is done as far as anybody is told: a mail went out already, for another reason than these
 * paths, and nobody without an account could hear of that. Nothing is written yet where that is found, so that a transaction can go on.
 */
export async function orQuiet<T>(work: () => Promise<T>, quiet: () => T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TooSoon) return quiet();
    throw error;
  }
}

interface Claim {
  readonly keys: readonly Buffer[];
  readonly at: string;
}

async function claimMoments(visit: Visit, email: string, moments: readonly MailMoment[]): Promise<Claim> {
  const { auth, config } = visit;
  const nowMs = auth.now();
  const at = new Date(nowMs).toISOString();
  const waitMs = config.emailMaxFrequencySeconds * 1000;
  if (waitMs === 0 || moments.length === 0) return { keys: [], at };
  const keys = moments.map((moment) => keyOf(moment, email)).sort(Buffer.compare);
  await inTransaction(auth.db, async (tx) => {
    await tx.query(
      `delete from _millrace.mail_moments where key in (
         select key from _millrace.mail_moments where asked_at < $1 order by asked_at limit ${sweptRows} for update skip locked)`,
      [new Date(nowMs - Math.max(waitMs, keptSeconds * 1000)).toISOString()],
    );
    // In the order of the keys, so that two requests with the same ones do not wait for each other.
    for (const key of keys) {
      const { rowCount } = await tx.query(claimQuery, [key, at, new Date(nowMs - waitMs).toISOString()]);
      if (rowCount === 1) continue;
      const { rows } = await tx.query<{ readonly before: string }>(
        'select asked_at as before from _millrace.mail_moments where key = $1',
        [key],
      );
      // The transaction takes back what it has claimed.
      throw new TooSoon(timeMs(rows[0]?.before ?? at) + waitMs - nowMs);
    }
  });
  return { keys, at };
}

const claimQuery = `insert into _millrace.mail_moments as m (key, asked_at) values ($1, $2)
  on conflict (key) do update set asked_at = excluded.asked_at where m.asked_at <= $3`;

async function giveBack({ auth }: Visit, { keys, at }: Claim): Promise<void> {
  if (keys.length === 0) return;
  try {
    await withTables(auth.db, (tx) =>
      tx.query('delete from _millrace.mail_moments where key = any($1) and asked_at = $2', [keys, at]),
    );
  } catch (error) {
    // Somebody waits a moment longer; what is told is why the mail did not go out.
    auth.observe({ kind: 'auth.mail_moment_kept', level: 'warn', error });
  }
}

function keyOf(moment: MailMoment, email: string): Buffer {
  return createHash('sha256').update(`${moment}\n${email.toLowerCase()}`).digest();
}
