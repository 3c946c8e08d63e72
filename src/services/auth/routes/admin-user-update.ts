// In charge of: PUT /admin/users/:user_id. Source: supabase/auth internal/api/admin.go `adminUserUpdate`.
import { type Actor, record } from '../audit.ts';
import { requireAdmin } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { banEnd } from '../go-duration.ts';
import { type JsonObject, json, merged } from '../go-json.ts';
import { findIdentity, insertIdentity, ownIdentityData, updateIdentityData } from '../identities.ts';
import { storePassword } from '../new-password.ts';
import { orFailure } from '../new-user.ts';
import { clearTokens } from '../one-time-tokens.ts';
import { checkPassword } from '../password.ts';
import { readParams } from '../request.ts';
import { orTaken } from '../taken.ts';
import { inTransaction, type Tx } from '../transaction.ts';
import type { User } from '../user.ts';
import { userJson } from '../user-json.ts';
import { reload, updateUser } from '../users.ts';
import { validEmail, validPhone } from '../validate.ts';
import { type AdminParams, adminShape, userOfPath } from './admin-users.ts';

export async function updateOneUser(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const user = await userOfPath(visit);
  const { auth, request } = visit;
  const given = await readParams(request, 'AdminUserParams', adminShape);
  const params = {
    ...given,
    email: given.email === '' ? '' : validEmail(given.email),
    phone: given.phone === '' ? '' : validPhone(given.phone),
  };
  const bannedUntil = banEnd(given.ban_duration, auth.now());
  if (given.password !== undefined) await checkPassword(visit, given.password);
  const hash = given.password ? await auth.hasher.hash(given.password, request.cancellation) : null;
  const changed = await orFailure('Error updating user', () =>
    orTaken(() =>
      inTransaction(auth.db, (tx) => change(tx, visit, actor, user, params, { hash, bannedUntil })),
    ),
  );
  return json(200, userJson(changed));
}

interface Made {
  readonly hash: string | null;
  readonly bannedUntil: string | null | undefined;
}

async function change(
  tx: Tx,
  visit: Visit,
  actor: Actor,
  user: User,
  params: AdminParams,
  { hash, bannedUntil }: Made,
): Promise<User> {
  const { auth } = visit;
  const nowMs = auth.now();
  const at = new Date(nowMs).toISOString();
  // The row as it is now: a change between the reading and this is not undone.
  await tx.query('select from auth.users where id = $1 for update', [user.id]);
  const current = await reload(tx, user.id);
  if (params.email_confirm || params.phone_confirm) await clearTokens(tx, user.id);
  if (params.password !== undefined) await storePassword(tx, visit, current, hash, undefined);
  const { email, phone } = params;
  if (email !== '')
    await putIdentity(tx, current, 'email', { email, email_verified: params.email_confirm }, nowMs);
  if (phone !== '')
    await putIdentity(tx, current, 'phone', { phone, phone_verified: params.phone_confirm }, nowMs);
  const isNamed = (email !== '' && params.email_confirm) || (phone !== '' && params.phone_confirm);
  const userData = params.email_confirm
    ? merged(current.raw_user_meta_data, { email_verified: true })
    : current.raw_user_meta_data;
  const changed = await updateUser(
    tx,
    user.id,
    {
      ...(params.role !== '' && { role: params.role.trim() }),
      ...(params.email_confirm && { email_confirmed_at: at, confirmation_token: '' }),
      ...(params.phone_confirm && { phone_confirmed_at: at, confirmation_token: '' }),
      ...(email !== '' && { email }),
      ...(phone !== '' && { phone }),
      ...(isNamed && { is_anonymous: false }),
      ...(params.app_metadata && {
        raw_app_meta_data: merged(current.raw_app_meta_data, params.app_metadata),
      }),
      ...((params.user_metadata || params.email_confirm) && {
        raw_user_meta_data: merged(userData, params.user_metadata ?? {}),
      }),
      ...(bannedUntil !== undefined && { banned_until: bannedUntil }),
    },
    nowMs,
  );
  const traits = { user_id: user.id, user_email: changed.email, user_phone: changed.phone };
  await record(tx, visit, actor, 'user_modified', traits);
  return changed;
}

async function putIdentity(
  tx: Tx,
  user: User,
  provider: 'email' | 'phone',
  data: JsonObject,
  nowMs: number,
): Promise<void> {
  const identity = await findIdentity(tx, user.id, provider);
  if (identity) await updateIdentityData(tx, identity, data);
  else await insertIdentity(tx, user.id, provider, { ...ownIdentityData({ sub: user.id }), ...data }, nowMs);
}
