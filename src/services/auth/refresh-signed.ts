// In charge of: what comes after a signed refresh token: the next one; the present one again, for a client that lost it or asks twice at once; or
// the end of the session, because somebody else has it. Source: supabase/auth internal/tokens/service.go `RefreshTokenGrant`.
import type { Fault } from '../../base/errors.ts';
import { record } from './audit.ts';
import type { Visit } from './context.ts';
import { badRequest } from './errors.ts';
import { type SessionKey, setCounter } from './session-key.ts';
import { endSession, lastRefreshedMs, type Session } from './sessions.ts';
import { makeSignedToken, type SignedToken } from './signed-refresh-tokens.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';

/** What a token leads to, of whichever kind it is. */
export type Next =
  | {
      readonly kind: 'token';
      readonly token: string;
      /** Whether the user's row says that something has happened. */
      readonly touchesUser: boolean;
      readonly headers: readonly (readonly [string, string])[];
    }
  /** Whoever comes behind the present token is refused; what had to end has ended. */
  | { readonly kind: 'stolen' }
  | { readonly kind: 'refused'; readonly fault: Fault };

export async function nextOfSigned(
  tx: Tx,
  visit: Visit,
  facts: {
    readonly session: Session;
    readonly user: User;
    readonly token: SignedToken;
    readonly key: SessionKey;
    readonly startedMs: number;
  },
): Promise<Next> {
  const { session, user, token, key, startedMs } = facts;
  const behind = key.counter - token.counter;
  // Ours by its signature, and none that is out yet: the database is older than the client.
  if (behind < 0n)
    return {
      kind: 'refused',
      fault: badRequest('validation_failed', 'Invalid Refresh Token: Not Issued By This Server'),
    };
  const causes = behind === 0n ? [] : causesOf(visit, session, behind, startedMs);
  if (behind > 0n && causes.length === 0) {
    if (visit.config.rotation) await endSession(tx, session.id);
    return { kind: 'stolen' };
  }
  const counter = behind === 0n ? key.counter + 1n : key.counter;
  const issued =
    behind === 0n
      ? await setCounter(tx, session, key, counter)
      : makeSignedToken(session.id, counter, key.key);
  await record(tx, visit, user, 'token_refreshed');
  const headers: readonly (readonly [string, string])[] = [
    ['sb-auth-refresh-token-counter', String(counter)],
    behind === 0n
      ? ['sb-auth-refresh-token-reuse', 'false']
      : ['sb-auth-refresh-token-reuse-cause', causes.join(',')],
  ];
  return { kind: 'token', token: issued, touchesUser: false, headers };
}

/** Why a token that was used already may come once more. The counter stays then, so that everybody ends up with the same token. */
function causesOf({ config }: Visit, session: Session, behind: bigint, startedMs: number): readonly string[] {
  const sinceMs = Math.abs(startedMs - lastRefreshedMs(session));
  return [
    ...(sinceMs < config.reuseIntervalSeconds * 1000 ? ['concurrent-refresh'] : []),
    // The client has not got, or not kept, what it was given last.
    ...(behind === 1n ? ['fail-to-save'] : []),
    ...(config.refreshTokenAllowReuse ? ['always-allow'] : []),
  ];
}
