// In charge of: the key and the counter of a session that has signed refresh tokens. Source: supabase/auth internal/models/{sessions,refresh_token}.go
// `GetRefreshTokenHmacKey`, `SetupRefreshTokenData`.
import type { Visit } from './context.ts';
import { readText } from './encrypted-text.ts';
import type { Session } from './sessions.ts';
import { makeSessionKey, makeSignedToken } from './signed-refresh-tokens.ts';
import type { Tx } from './transaction.ts';

export interface SessionKey {
  readonly key: Buffer;
  /** Of the token that is good now. */
  readonly counter: bigint;
}

/** Undefined: the session has none. @throws TextUnreadable */
export function sessionKeyOf({ config }: Pick<Visit, 'config'>, session: Session): SessionKey | undefined {
  const { id, refresh_token_hmac_key: stored, refresh_token_counter: counter } = session;
  if (stored === null || counter === null) return undefined;
  const key = Buffer.from(readText(config.decryptionKeys, id, stored), 'base64url');
  return { key, counter: BigInt(counter) };
}

/** The session counts from here on, and this is its token. */
export async function setCounter(
  tx: Tx,
  { id }: Session,
  { key }: SessionKey,
  counter: bigint,
): Promise<string> {
  await tx.query('update auth.sessions set refresh_token_counter = $2 where id = $1', [id, String(counter)]);
  return makeSignedToken(id, counter, key);
}

/** Gives a session a key, and its first token; whatever an older key has signed is worth nothing. */
export async function setKey(tx: Tx, { id }: Session): Promise<string> {
  const key = makeSessionKey();
  await tx.query(
    'update auth.sessions set refresh_token_hmac_key = $2, refresh_token_counter = 0 where id = $1',
    [id, key],
  );
  return makeSignedToken(id, 0n, Buffer.from(key, 'base64url'));
}
