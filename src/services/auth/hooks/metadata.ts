// In charge of: what every hook is told beside its matter: which asking this is, when, and from where.
// Source: supabase/auth internal/hooks/v0hooks/v0hooks.go `NewMetadata`.
import { randomUUID } from 'node:crypto';
import type { Visit } from '../context.ts';
import type { JsonObject } from '../go-json.ts';
import type { HookName } from './port.ts';

/** The member `metadata` of a hook's input, with where the request came from. */
export function hookMetadata({ auth, request }: Visit, name: HookName): JsonObject {
  return { ...metadataOf(name, auth.now()), ...(request.address && { ip_address: request.address }) };
}

/** For whoever asks without it. */
export function metadataOf(name: HookName, nowMs: number): JsonObject {
  return { uuid: randomUUID(), time: new Date(nowMs).toISOString(), name: wireNames[name] };
}

const wireNames: Readonly<Record<HookName, string>> = {
  send_sms: 'send-sms',
  send_email: 'send-email',
  custom_access_token: 'customize-access-token',
  mfa_verification_attempt: 'mfa-verification',
  password_verification_attempt: 'password-verification',
  before_user_created: 'before-user-created',
  after_user_created: 'after-user-created',
};
