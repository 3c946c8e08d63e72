// In charge of: a user, an identity and a factor as clients see them: which members, in which order, and what is left out when it is empty.
// Source: supabase/auth internal/models/{user,identity,factor}.go, the `json` tags.
import { goTime, type JsonObject, sorted } from './go-json.ts';
import type { Factor, Identity, User } from './user.ts';

export function userJson(user: User): JsonObject {
  return {
    id: user.id,
    aud: user.aud,
    role: user.role,
    email: user.email,
    email_confirmed_at: time(user.email_confirmed_at),
    invited_at: time(user.invited_at),
    phone: user.phone,
    phone_confirmed_at: time(user.phone_confirmed_at),
    confirmation_sent_at: time(user.confirmation_sent_at),
    confirmed_at: time(user.confirmed_at),
    recovery_sent_at: time(user.recovery_sent_at),
    new_email: filled(user.email_change),
    email_change_sent_at: time(user.email_change_sent_at),
    new_phone: filled(user.phone_change),
    phone_change_sent_at: time(user.phone_change_sent_at),
    reauthentication_sent_at: time(user.reauthentication_sent_at),
    last_sign_in_at: time(user.last_sign_in_at),
    app_metadata: sorted(user.raw_app_meta_data),
    user_metadata: sorted(user.raw_user_meta_data),
    factors: user.factors.length === 0 ? undefined : user.factors.map(factorJson),
    identities: user.identities.map(identityJson),
    created_at: time(user.created_at),
    updated_at: time(user.updated_at),
    banned_until: time(user.banned_until),
    deleted_at: time(user.deleted_at),
    is_anonymous: user.is_anonymous,
  };
}

export function identityJson(identity: Identity): JsonObject {
  const data = identity.identity_data;
  return {
    // Both names are as the client libraries have known them since before identities had ids of their own.
    identity_id: identity.id,
    id: identity.provider_id,
    user_id: identity.user_id,
    identity_data: data === null || Object.keys(data).length === 0 ? undefined : sorted(data),
    provider: identity.provider,
    last_sign_in_at: time(identity.last_sign_in_at),
    created_at: time(identity.created_at),
    updated_at: time(identity.updated_at),
    email: filled(identity.email),
  };
}

export function factorJson(factor: Factor): JsonObject {
  return {
    id: factor.id,
    created_at: time(factor.created_at),
    updated_at: time(factor.updated_at),
    status: factor.status,
    friendly_name: filled(factor.friendly_name),
    factor_type: factor.factor_type,
    phone: factor.phone ?? '',
    last_challenged_at: factor.last_challenged_at === null ? null : goTime(factor.last_challenged_at),
    web_authn_aaguid: filled(factor.web_authn_aaguid),
  };
}

function time(text: string | null): string | undefined {
  return text === null ? undefined : goTime(text);
}

function filled(text: string | null): string | undefined {
  return text === null || text === '' ? undefined : text;
}
