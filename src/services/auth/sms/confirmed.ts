// In charge of: what a confirmed code from a text message changes. Source: supabase/auth internal/api/verify.go `smsVerify`;
// internal/models/user.go `ConfirmPhone`, `ConfirmPhoneChange`.
import { record } from '../audit.ts';
import type { Visit } from '../context.ts';
import { merged } from '../go-json.ts';
import {
  findIdentity,
  insertIdentity,
  ownIdentityData,
  providerFacts,
  providersOf,
  updateIdentityData,
} from '../identities.ts';
import { tell } from '../notice.ts';
import { clearTokens } from '../one-time-tokens.ts';
import { phoneTaken } from '../taken.ts';
import type { Tx } from '../transaction.ts';
import type { User } from '../user.ts';
import { findUserByPhone, updateUser } from '../users.ts';

/** The number is the user's, who signs up or in with it. */
export async function confirmPhone(tx: Tx, visit: Visit, user: User): Promise<User> {
  const { auth } = visit;
  await record(tx, visit, user, 'user_signedup', { provider: 'phone' });
  await clearTokens(tx, user.id);
  const at = new Date(auth.now()).toISOString();
  return updateUser(
    tx,
    user.id,
    { confirmation_token: '', phone_confirmed_at: at, is_anonymous: false },
    auth.now(),
  );
}

/** Another number is the user's from now on. */
export async function confirmPhoneChange(tx: Tx, visit: Visit, user: User, phone: string): Promise<User> {
  const { auth } = visit;
  const nowMs = auth.now();
  const owner = await findUserByPhone(tx, phone, user.aud);
  // Since the code was sent somebody else has confirmed it. Upstream answers 500.
  if (owner !== undefined && owner.id !== user.id) throw phoneTaken();
  await record(tx, visit, user, 'user_modified');
  const identity = await findIdentity(tx, user.id, 'phone');
  if (identity === undefined) {
    const data = ownIdentityData({ sub: user.id, phone, phoneVerified: true });
    await insertIdentity(tx, user.id, 'phone', data, nowMs);
  } else await updateIdentityData(tx, identity, { phone, phone_verified: true });
  await clearTokens(tx, user.id);
  const app =
    identity === undefined
      ? merged(user.raw_app_meta_data, providerFacts(await providersOf(tx, user.id)))
      : undefined;
  const changed = await updateUser(
    tx,
    user.id,
    {
      phone,
      phone_change: '',
      phone_change_token: '',
      phone_confirmed_at: new Date(nowMs).toISOString(),
      is_anonymous: false,
      ...(app && { raw_app_meta_data: app }),
    },
    nowMs,
  );
  if (user.phone !== '' && user.phone !== phone)
    await tell(tx, visit, changed, { name: 'phone_changed_notification', oldPhone: user.phone });
  if (identity === undefined)
    await tell(tx, visit, changed, { name: 'identity_linked_notification', provider: 'phone' });
  return changed;
}
