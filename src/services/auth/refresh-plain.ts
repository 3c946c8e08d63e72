// In charge of: what comes after a refresh token of the first kind: a new row; the one that came before, for a client that lost it; a token of the
// second kind, where the project goes over to these; or the end of the family, because somebody else has it.
// Source: supabase/auth internal/tokens/service.go `RefreshTokenGrant`.
import { crc32 } from 'node:zlib';
import { record } from './audit.ts';
import type { Visit } from './context.ts';
import type { Next } from './refresh-signed.ts';
import { signedTokens } from './refresh-token-settings.ts';
import {
  findActiveToken,
  insertToken,
  isNewest,
  type RefreshToken,
  revokeFamily,
  revokeToken,
} from './refresh-tokens.ts';
import { type SessionKey, sessionKeyOf, setCounter, setKey } from './session-key.ts';
import { endSession, type Session } from './sessions.ts';
import { makeSignedToken } from './signed-refresh-tokens.ts';
import type { Tx } from './transaction.ts';
import { timeMs, type User } from './user.ts';

export async function nextOfPlain(
  tx: Tx,
  visit: Visit,
  facts: { readonly session: Session; readonly user: User; readonly token: RefreshToken },
): Promise<Next> {
  const { session, user, token } = facts;
  const { auth, config } = visit;
  const key = sessionKeyOf(visit, session);
  const reuse = token.revoked ? await reuseOf(tx, visit, { session, token, key }) : undefined;
  if (reuse?.kind === 'stolen') {
    if (config.rotation && key === undefined) await revokeFamily(tx, session.id, auth.now());
    // Its signed token is no row that could be revoked.
    if (config.rotation && key !== undefined) await endSession(tx, session.id);
    return { kind: 'stolen' };
  }
  await record(tx, visit, user, 'token_refreshed');
  if (reuse?.kind === 'present') return given(reuse.token, false);
  const nowMs = auth.now();
  await record(tx, visit, user, 'token_revoked');
  await revokeToken(tx, token.id, nowMs);
  if (isUpgraded(visit, session)) {
    const next =
      key === undefined ? await setKey(tx, session) : await setCounter(tx, session, key, key.counter + 1n);
    return given(next, true);
  }
  const next = { userId: user.id, sessionId: session.id, parent: token.token };
  return given(await insertToken(tx, next, nowMs), true);
}

function given(token: string, touchesUser: boolean): Next {
  return {
    kind: 'token',
    token,
    touchesUser,
    headers: [['sb-auth-refresh-token-prefix', token.slice(0, 5)]],
  };
}

type Reuse =
  | { readonly kind: 'present'; readonly token: string }
  | { readonly kind: 'swap' }
  | { readonly kind: 'stolen' };

/** A revoked token again: by a client that lost the answer, by its second tab, or by somebody else. */
async function reuseOf(
  tx: Tx,
  { auth, config }: Visit,
  facts: { readonly session: Session; readonly token: RefreshToken; readonly key: SessionKey | undefined },
): Promise<Reuse> {
  const { session, token, key } = facts;
  const isLate = auth.now() > timeMs(token.updated_at) + config.reuseIntervalSeconds * 1000;
  if (key !== undefined) {
    // The session has gone over to signed tokens since. Who has not used the first of them may have lost it.
    const hasLostIt = key.counter === 0n && (await isNewest(tx, token));
    if (isLate && !hasLostIt) return { kind: 'stolen' };
    return { kind: 'present', token: makeSignedToken(session.id, key.counter, key.key) };
  }
  const active = await findActiveToken(tx, session.id);
  // The whole family was revoked. Upstream lets the last of it through for one more reuse interval, which whoever stole it would be glad of.
  if (active === undefined) return { kind: 'stolen' };
  if (active.parent === token.token) return { kind: 'present', token: active.token };
  return { kind: isLate ? 'stolen' : 'swap' };
}

/** A part of the sessions, and of one session always the same. Upstream draws by another generator, so that it is another part. */
function isUpgraded({ config }: Visit, { id }: Session): boolean {
  if (config.refreshTokenVersion !== signedTokens) return false;
  return crc32(id) % 100 < config.refreshTokenUpgradePercentage;
}
