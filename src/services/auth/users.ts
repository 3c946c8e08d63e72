// In charge of: users in their table: found, made, changed. Each comes with its identities and factors, in one statement.
// Source: supabase/auth internal/models/user.go.
import type { JsonObject } from './go-json.ts';
import type { Tx } from './transaction.ts';
import { nilId, type User } from './user.ts';

const texts = [
  'aud',
  'role',
  'email',
  'phone',
  'encrypted_password',
  'confirmation_token',
  'recovery_token',
  'email_change_token_current',
  'email_change_token_new',
  'email_change',
  'phone_change_token',
  'phone_change',
  'reauthentication_token',
] as const;

const others = [
  'id',
  'email_confirmed_at',
  'invited_at',
  'phone_confirmed_at',
  'confirmation_sent_at',
  'confirmed_at',
  'recovery_sent_at',
  'email_change_sent_at',
  'email_change_confirm_status',
  'phone_change_sent_at',
  'reauthentication_sent_at',
  'last_sign_in_at',
  'raw_app_meta_data',
  'raw_user_meta_data',
  'is_sso_user',
  'is_anonymous',
  'created_at',
  'updated_at',
  'banned_until',
  'deleted_at',
] as const;

// A row that a project's own SQL made may have nulls where upstream's never has; upstream fails on it, which helps nobody.
const columns = [
  ...texts.map((name) => `coalesce(u.${name}, '') as ${name}`),
  ...others.map((name) => `u.${name}`),
  `coalesce((select json_agg(i order by i.created_at, i.id) from auth.identities i where i.user_id = u.id), '[]') as identities`,
  `coalesce((select json_agg(json_build_object('id', f.id, 'created_at', f.created_at, 'updated_at', f.updated_at,
     'status', f.status, 'friendly_name', f.friendly_name, 'factor_type', f.factor_type, 'phone', f.phone,
     'last_challenged_at', f.last_challenged_at, 'web_authn_aaguid', f.web_authn_aaguid) order by f.created_at, f.id)
     from auth.mfa_factors f where f.user_id = u.id), '[]') as factors`,
].join(', ');

const select = `select ${columns} from auth.users u where u.instance_id = '${nilId}' and`;

export async function findUserById(tx: Tx, id: string): Promise<User | undefined> {
  return first(tx, `${select} u.id = $1`, [id]);
}

/** By address, of whom no other organisation's sign-on decides. */
export async function findUserByEmail(tx: Tx, email: string, aud: string): Promise<User | undefined> {
  return first(tx, `${select} lower(u.email) = $1 and u.aud = $2 and u.is_sso_user = false limit 1`, [
    email.toLowerCase(),
    aud,
  ]);
}

export async function findUserByPhone(tx: Tx, phone: string, aud: string): Promise<User | undefined> {
  return first(tx, `${select} u.phone = $1 and u.aud = $2 and u.is_sso_user = false limit 1`, [phone, aud]);
}

/**
 * Who has an address already, as a user or by an identity of theirs; `except` is the one who asks. An identity of a single sign-on
 * counts for nobody else. Source: internal/models/user.go `IsDuplicatedEmail`, internal/models/linking.go `GetAccountLinkingDomain`.
 */
export async function findUserWithEmail(
  tx: Tx,
  email: string,
  aud: string,
  except?: string,
): Promise<User | undefined> {
  const byIdentity = await first(
    tx,
    `${select} u.aud = $2 and u.id is distinct from $3::uuid and u.id in (
       select i.user_id from auth.identities i where i.email = $1 and i.provider not like 'sso:%')
     limit 1`,
    [email.toLowerCase(), aud, except ?? null],
  );
  return byIdentity ?? findUserByEmail(tx, email, aud);
}

export interface NewUser {
  readonly id: string;
  readonly aud: string;
  readonly role: string;
  readonly email: string;
  readonly phone: string;
  readonly encryptedPassword: string;
  readonly appMetaData: JsonObject;
  readonly userMetaData: JsonObject;
  readonly isAnonymous: boolean;
  readonly isSsoUser?: boolean;
}

/** @throws DatabaseError, also by what a trigger of the project says */
export async function insertUser(tx: Tx, user: NewUser, nowMs: number): Promise<User> {
  const at = new Date(nowMs).toISOString();
  await tx.query(
    `insert into auth.users (instance_id, id, aud, role, email, phone, encrypted_password, raw_app_meta_data, raw_user_meta_data,
       is_anonymous, is_sso_user, confirmation_token, recovery_token, email_change_token_current, email_change_token_new, email_change,
       created_at, updated_at)
     values ('${nilId}', $1, $2, $3, nullif($4, ''), nullif($5, ''), $6, $7, $8, $9, $10, '', '', '', '', '', $11, $11)`,
    [
      user.id,
      user.aud,
      user.role.trim(),
      user.email,
      user.phone,
      user.encryptedPassword,
      JSON.stringify(user.appMetaData),
      JSON.stringify(user.userMetaData),
      user.isAnonymous,
      user.isSsoUser ?? false,
      at,
    ],
  );
  // Read again, because triggers of the project may have changed it.
  return reload(tx, user.id);
}

/** Columns that change; a text that becomes null where upstream writes null is given as null. */
export type UserChanges = {
  readonly [K in Changeable]?: K extends 'raw_app_meta_data' | 'raw_user_meta_data'
    ? JsonObject
    : User[K] | null;
};
type Changeable = Exclude<
  keyof User,
  'id' | 'identities' | 'factors' | 'confirmed_at' | 'created_at' | 'updated_at'
>;

const changeable: ReadonlySet<string> = new Set<Changeable>([
  ...texts,
  ...others.filter(
    (name) => name !== 'id' && name !== 'confirmed_at' && name !== 'created_at' && name !== 'updated_at',
  ),
]);

/** Writes what changed and gives the user as it is then. */
export async function updateUser(tx: Tx, id: string, changes: UserChanges, nowMs: number): Promise<User> {
  const entries = Object.entries(changes).filter(
    ([name, value]) => value !== undefined && changeable.has(name),
  );
  const values = entries.map(([name, value]) => {
    if (typeof value === 'object' && value !== null) return JSON.stringify(value);
    // No address is null: two users without one are no duplicates.
    return value === '' && (name === 'email' || name === 'phone') ? null : value;
  });
  // The names are those of the set above, never a client's.
  const sets = entries.map(([name], at) => `${name} = $${at + 3}`);
  const { rows } = await tx.query<User>(
    `update auth.users u set ${[...sets, 'updated_at = $2'].join(', ')} where u.id = $1 returning ${columns}`,
    [id, new Date(nowMs).toISOString(), ...values],
  );
  const user = rows[0];
  if (user === undefined) throw new Error(`user ${id} is gone`);
  return user;
}

export async function deleteUser(tx: Tx, id: string): Promise<void> {
  await tx.query('delete from auth.users where id = $1', [id]);
}

export async function reload(tx: Tx, id: string): Promise<User> {
  const user = await findUserById(tx, id);
  if (user === undefined) throw new Error(`user ${id} is gone`);
  return user;
}

export interface UserPage {
  readonly users: readonly User[];
  readonly total: number;
}

/** A page of the users of an audience. `direction` is of `created_at`, the one column that can be sorted by. */
export async function listUsers(
  tx: Tx,
  how: {
    readonly aud: string;
    readonly filter: string;
    readonly direction: 'asc' | 'desc' | undefined;
    readonly limit: string;
    readonly offset: string;
  },
): Promise<UserPage> {
  const where = `u.instance_id = '${nilId}' and u.aud = $1
    and ($2 = '' or u.email like $3 or u.raw_user_meta_data ->> 'full_name' ilike $3)`;
  const values = [how.aud, how.filter, `%${how.filter}%`];
  const order = how.direction === undefined ? '' : `order by u.created_at ${how.direction}`;
  const { rows } = await tx.query<User>(
    `select ${columns} from auth.users u where ${where} ${order} limit $4 offset $5`,
    [...values, how.limit, how.offset],
  );
  const count = await tx.query<{ readonly total: string }>(
    `select count(*) as total from auth.users u where ${where}`,
    values,
  );
  return { users: rows, total: Number(count.rows[0]?.total ?? 0) };
}

async function first(tx: Tx, text: string, values: readonly unknown[]): Promise<User | undefined> {
  const { rows } = await tx.query<User>(text, values);
  return rows[0];
}
