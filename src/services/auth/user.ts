// In charge of: a user as the auth API knows one: its columns as they are stored, with its identities and factors.
// Source: supabase/auth internal/models/{user,identity,factor}.go.
import type { JsonObject } from './go-json.ts';

/** The tenant of every row; upstream has had one only for years. */
export const nilId = '00000000-0000-0000-0000-000000000000';

/** Times are text as Postgres writes it; `goTime` brings them into their form. Texts that are null in the table are empty here, as upstream. */
export interface User {
  readonly id: string;
  readonly aud: string;
  readonly role: string;
  readonly email: string;
  readonly phone: string;
  readonly encrypted_password: string;
  readonly email_confirmed_at: string | null;
  readonly invited_at: string | null;
  readonly phone_confirmed_at: string | null;
  readonly confirmation_token: string;
  readonly confirmation_sent_at: string | null;
  readonly confirmed_at: string | null;
  readonly recovery_token: string;
  readonly recovery_sent_at: string | null;
  readonly email_change_token_current: string;
  readonly email_change_token_new: string;
  readonly email_change: string;
  readonly email_change_sent_at: string | null;
  readonly email_change_confirm_status: number;
  readonly phone_change_token: string;
  readonly phone_change: string;
  readonly phone_change_sent_at: string | null;
  readonly reauthentication_token: string;
  readonly reauthentication_sent_at: string | null;
  readonly last_sign_in_at: string | null;
  readonly raw_app_meta_data: JsonObject | null;
  readonly raw_user_meta_data: JsonObject | null;
  readonly is_sso_user: boolean;
  readonly is_anonymous: boolean;
  readonly created_at: string;
  readonly updated_at: string;
  readonly banned_until: string | null;
  readonly deleted_at: string | null;
  readonly identities: readonly Identity[];
  readonly factors: readonly Factor[];
}

export interface Identity {
  readonly id: string;
  readonly provider_id: string;
  readonly user_id: string;
  readonly identity_data: JsonObject | null;
  readonly provider: string;
  readonly last_sign_in_at: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly email: string | null;
}

/** A second factor, without its secret. */
export interface Factor {
  readonly id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly status: 'unverified' | 'verified';
  readonly friendly_name: string | null;
  readonly factor_type: 'totp' | 'phone' | 'webauthn';
  readonly phone: string | null;
  readonly last_challenged_at: string | null;
  readonly web_authn_aaguid: string | null;
}

export const isConfirmed = (user: User) => user.email_confirmed_at !== null;
export const isPhoneConfirmed = (user: User) => user.phone_confirmed_at !== null;
export const hasPassword = (user: User) => user.encrypted_password !== '';
export const hasVerifiedFactor = (user: User) => user.factors.some(({ status }) => status === 'verified');

export function isBanned(user: Pick<User, 'banned_until'>, nowMs: number): boolean {
  return user.banned_until !== null && nowMs < timeMs(user.banned_until);
}

/** A time of Postgres in milliseconds. */
export function timeMs(text: string): number {
  // `infinity` is what people write who mean for ever.
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  if (text === '-infinity') return Number.NEGATIVE_INFINITY;
  const iso = text.replace(' ', 'T');
  return Date.parse(
    /[+-]\d{2}$/.test(iso) ? `${iso}:00` : /[Z]$|[+-]\d{2}:?\d{2}$/.test(iso) ? iso : `${iso}Z`,
  );
}
