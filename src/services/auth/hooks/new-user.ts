// In charge of: the hooks around a new user: one that may refuse them, one that hears of them.
// Source: supabase/auth internal/api/hooks.go, internal/api/signup.go `ToUserModel`.
import type { Visit } from '../context.ts';
import type { User } from '../user.ts';
import { userJson } from '../user-json.ts';
import type { NewUser } from '../users.ts';
import { hookMetadata } from './metadata.ts';

/**
 * Asks before a user is made, and before the transaction that makes them. The user has their id already, and nothing else that the
 * database gives.
 * @throws Fault with what the hook says
 */
export async function beforeUserCreated(visit: Visit, user: NewUser): Promise<void> {
  const { hooks } = visit.auth;
  if (!hooks.isEnabled('before_user_created')) return;
  await hooks.run('before_user_created', {
    metadata: hookMetadata(visit, 'before_user_created'),
    user: userJson(unmade(user)),
  });
}

/** After the transaction that made a user. What it throws is the answer, and the user stays. @throws Fault with what the hook says */
export async function afterUserCreated(visit: Visit, user: User): Promise<void> {
  const { hooks } = visit.auth;
  if (!hooks.isEnabled('after_user_created')) return;
  await hooks.run('after_user_created', {
    metadata: hookMetadata(visit, 'after_user_created'),
    user: userJson(user),
  });
}

/** What Go writes for a time that nobody has set. */
const noTime = '0001-01-01T00:00:00Z';

/** A user as they are before there is a row of them: nothing is known, and nothing has happened. */
export function unmade(user: NewUser): User {
  return {
    id: user.id,
    aud: user.aud,
    role: user.role,
    email: user.email,
    phone: user.phone,
    encrypted_password: '',
    email_confirmed_at: null,
    invited_at: null,
    phone_confirmed_at: null,
    confirmation_token: '',
    confirmation_sent_at: null,
    confirmed_at: null,
    recovery_token: '',
    recovery_sent_at: null,
    email_change_token_current: '',
    email_change_token_new: '',
    email_change: '',
    email_change_sent_at: null,
    email_change_confirm_status: 0,
    phone_change_token: '',
    phone_change: '',
    phone_change_sent_at: null,
    reauthentication_token: '',
    reauthentication_sent_at: null,
    last_sign_in_at: null,
    raw_app_meta_data: user.appMetaData,
    raw_user_meta_data: user.userMetaData,
    is_sso_user: user.isSsoUser ?? false,
    is_anonymous: user.isAnonymous,
    created_at: noTime,
    updated_at: noTime,
    banned_until: null,
    deleted_at: null,
    identities: [],
    factors: [],
  };
}
