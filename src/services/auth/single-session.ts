// In charge of: one session per user, where the project wants that: only the one that was refreshed last goes on.
// Source: supabase/auth internal/tokens/service.go `RefreshTokenGrant`, `SinglePerUser`.
import type { Fault } from '../../base/errors.ts';
import type { Visit } from './context.ts';
import { badRequest } from './errors.ts';
import { lastRefreshedMs, type Session, validityOf } from './sessions.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';

type Verdict = { readonly kind: 'busy' } | { readonly kind: 'refused'; readonly fault: Fault };

/** Undefined: this is the one. The user's row is locked, so that two sessions cannot both find it of themselves. */
export async function refuseOlderSession(
  tx: Tx,
  { config }: Visit,
  facts: {
    readonly user: User;
    readonly session: Session;
    /** When the row of the refresh token was written, where there is one. */
    readonly tokenTime: string | undefined;
    readonly startedMs: number;
  },
): Promise<Verdict | undefined> {
  const { user, session, tokenTime, startedMs } = facts;
  const locked = await tx.query('select from auth.users where id = $1 for update skip locked', [user.id]);
  if (locked.rowCount !== 1) return { kind: 'busy' };
  const { rows } = await tx.query<Session>(
    `select s.*, '[]'::json as amr from auth.sessions s where s.user_id = $1 and s.id <> $2`,
    [user.id, session.id],
  );
  const mineMs = lastRefreshedMs(session, tokenTime);
  const isNewer = rows.some(
    (other) => validityOf(other, user, config, startedMs) === 'valid' && lastRefreshedMs(other) > mineMs,
  );
  if (!isNewer) return undefined;
  const fault = badRequest(
    'session_expired',
    'Invalid Refresh Token: Session Expired (Revoked by Newer Login)',
  );
  return { kind: 'refused', fault };
}
