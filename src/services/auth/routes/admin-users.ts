// In charge of: /admin/users: listed, made, read, deleted. Source: supabase/auth internal/api/admin.go.
import { randomUUID } from 'node:crypto';
import { record } from '../audit.ts';
import { audienceOf, isUuid, requireAdmin } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, failed, notFound, unprocessable } from '../errors.ts';
import { banEnd } from '../go-duration.ts';
import { json, merged } from '../go-json.ts';
import { insertIdentity, ownIdentityData, providerFacts } from '../identities.ts';
import { forgetIdleCodes } from '../mfa/recovery-codes.ts';
import { orFailure } from '../new-user.ts';
import { boundsOf, directionOf, pageHeaders, pageOf } from '../pagination.ts';
import { parseEncoded, UnreadableHash } from '../passwords/encoded.ts';
import { generatePassword } from '../passwords/generate.ts';
import { type Params, queryOf, readParams } from '../request.ts';
import { softDelete } from '../soft-delete.ts';
import { emailTaken, orTaken } from '../taken.ts';
import { inTransaction, withTables } from '../transaction.ts';
import { nilId, type User } from '../user.ts';
import { factorJson, userJson } from '../user-json.ts';
import {
  deleteUser,
  findUserById,
  findUserByPhone,
  findUserWithEmail,
  insertUser,
  listUsers,
  updateUser,
} from '../users.ts';
import { validEmail, validPhone } from '../validate.ts';

export const adminShape = {
  id: 'text',
  aud: 'text',
  role: 'text',
  email: 'text',
  phone: 'text',
  password: 'optional_text',
  password_hash: 'text',
  email_confirm: 'flag',
  phone_confirm: 'flag',
  user_metadata: 'object',
  app_metadata: 'object',
  ban_duration: 'text',
} as const;
export type AdminParams = Params<typeof adminShape>;

export async function listAllUsers(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const aud = audienceOf(visit, { role: actor.email });
  const direction = directionOf(visit);
  const page = pageOf(visit);
  const how = { aud, filter: queryOf(visit, 'filter'), direction, ...boundsOf(page) };
  const { users, total } = await orFailure('Database error finding users', () =>
    withTables(visit.auth.db, (tx) => listUsers(tx, how)),
  );
  return json(200, { users: users.map(userJson), aud }, pageHeaders(visit, page, total));
}

/** The user that the path names. @throws Fault 404 validation_failed, user_not_found */
export async function userOfPath({ auth, params }: Visit): Promise<User> {
  const { user_id: id = '' } = params;
  if (!isUuid(id)) throw notFound('validation_failed', 'user_id must be an UUID');
  const user = await orFailure('Database error loading user', () =>
    withTables(auth.db, (tx) => findUserById(tx, id)),
  );
  if (user === undefined) throw notFound('user_not_found', 'User not found');
  return user;
}

export async function getOneUser(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  return json(200, userJson(await userOfPath(visit)));
}

export async function listFactors(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  const { factors } = await userOfPath(visit);
  return json(200, factors.map(factorJson));
}

export async function createOneUser(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const { auth, config, request } = visit;
  const given = await readParams(request, 'AdminUserParams', adminShape);
  const aud = given.aud || audienceOf(visit, { role: actor.email });
  if (given.email === '' && given.phone === '')
    throw badRequest('validation_failed', 'Cannot create a user without either an email or phone');
  const email = given.email === '' ? '' : validEmail(given.email);
  const phone = given.phone === '' ? '' : validPhone(given.phone);
  await refuseDuplicate(visit, { email, phone, aud });
  const encryptedPassword = await encrypted(visit, given);
  const id = idOf(given);
  const bannedUntil = banEnd(given.ban_duration, auth.now());
  const providers = [...(email === '' ? [] : ['email']), ...(phone === '' ? [] : ['phone'])];
  const create = () =>
    inTransaction(auth.db, async (tx) => {
      const nowMs = auth.now();
      const user = await insertUser(
        tx,
        {
          id,
          aud,
          role: given.role || config.defaultRole,
          email,
          phone,
          encryptedPassword,
          appMetaData: providerFacts(providers),
          userMetaData: given.user_metadata ?? {},
          isAnonymous: false,
        },
        nowMs,
      );
      if (email !== '') await insertIdentity(tx, id, 'email', ownIdentityData({ sub: id, email }), nowMs);
      if (phone !== '') await insertIdentity(tx, id, 'phone', ownIdentityData({ sub: id, phone }), nowMs);
      const traits = { user_id: id, user_email: email, user_phone: phone, provider: providers[0] };
      await record(tx, visit, actor, 'user_signedup', traits);
      const at = new Date(nowMs).toISOString();
      return updateUser(
        tx,
        id,
        {
          ...(given.app_metadata && {
            raw_app_meta_data: merged(user.raw_app_meta_data, given.app_metadata),
          }),
          ...(given.email_confirm && {
            email_confirmed_at: at,
            raw_user_meta_data: merged(user.raw_user_meta_data, { email_verified: true }),
          }),
          ...(given.phone_confirm && { phone_confirmed_at: at }),
          ...(bannedUntil !== undefined && { banned_until: bannedUntil }),
        },
        nowMs,
      );
    });
  const created = await orFailure('Database error creating new user', () => orTaken(create, phoneOfAnother));
  return json(200, userJson(created));
}

async function refuseDuplicate(
  { auth }: Visit,
  { email, phone, aud }: { readonly email: string; readonly phone: string; readonly aud: string },
): Promise<void> {
  await withTables(auth.db, async (tx) => {
    if (email !== '' && (await findUserWithEmail(tx, email, aud))) throw emailTaken();
    if (phone !== '' && (await findUserByPhone(tx, phone, aud))) throw phoneOfAnother();
  });
}

/** Other words than elsewhere. */
const phoneOfAnother = () => unprocessable('phone_exists', 'Phone number already registered by another user');

/** Nobody knows it, and nobody will guess it. */
const unknownLength = 64;

/** A hash that was made elsewhere is taken as it is; without password and hash nobody knows the password. */
async function encrypted({ auth, request }: Visit, given: AdminParams): Promise<string> {
  const { password, password_hash: hash } = given;
  if (password !== undefined && hash !== '')
    throw badRequest('validation_failed', 'Only a password or a password hash should be provided');
  if (hash === '')
    return auth.hasher.hash(password || generatePassword([], unknownLength), request.cancellation);
  try {
    parseEncoded(hash);
  } catch (error) {
    if (error instanceof UnreadableHash) throw failed('Error creating user', error);
    throw error;
  }
  return hash;
}

function idOf({ id }: AdminParams): string {
  if (id === '') return randomUUID();
  if (!isUuid(id)) throw badRequest('validation_failed', 'ID must conform to the uuid v4 format');
  if (id === nilId) throw badRequest('validation_failed', 'ID cannot be a nil uuid');
  return id.toLowerCase();
}

export async function deleteOneUser(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const { auth, request } = visit;
  const user = await userOfPath(visit);
  const { should_soft_delete: isSoft } = await readParams(
    request,
    'adminUserDeleteParams',
    { should_soft_delete: 'flag' },
    'whole_or_nothing',
  );
  await inTransaction(auth.db, async (tx) => {
    const traits = { user_id: user.id, user_email: user.email, user_phone: user.phone };
    await record(tx, visit, actor, 'user_deleted', traits);
    if (!isSoft) {
      await orFailure('Database error deleting user', () => deleteUser(tx, user.id));
      await forgetIdleCodes(tx, user.id);
    } else if (user.deleted_at === null)
      await orFailure('Error soft deleting user', () => softDelete(tx, visit, user));
  });
  return json(200, {});
}
