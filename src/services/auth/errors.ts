// In charge of: what a client can be told. Every refusal of the auth API as a Fault with GoTrue's status, code and words.
// Source: supabase/auth internal/api/apierrors/{apierrors,errorcode}.go.
import { Fault } from '../../base/errors.ts';

/** Every code of GoTrue. Source: supabase/auth internal/api/apierrors/errorcode.go. */
export type ErrorCode =
  | 'anonymous_provider_disabled'
  | 'bad_code_verifier'
  | 'bad_json'
  | 'bad_jwt'
  | 'bad_oauth_callback'
  | 'bad_oauth_state'
  | 'captcha_failed'
  | 'conflict'
  | 'current_password_invalid'
  | 'current_password_required'
  | 'custom_provider_not_found'
  | 'email_address_invalid'
  | 'email_address_not_authorized'
  | 'email_address_not_provided'
  | 'email_conflict_identity_not_deletable'
  | 'email_exists'
  | 'email_not_confirmed'
  | 'email_provider_disabled'
  | 'feature_disabled'
  | 'flow_state_already_used'
  | 'flow_state_expired'
  | 'flow_state_not_found'
  | 'hook_payload_invalid_content_type'
  | 'hook_payload_over_size_limit'
  | 'hook_timeout'
  | 'hook_timeout_after_retry'
  | 'identity_already_exists'
  | 'identity_not_found'
  | 'insufficient_aal'
  | 'invalid_credentials'
  | 'invite_not_found'
  | 'manual_linking_disabled'
  | 'mfa_challenge_expired'
  | 'mfa_factor_name_conflict'
  | 'mfa_factor_not_found'
  | 'mfa_ip_address_mismatch'
  | 'mfa_phone_enroll_not_enabled'
  | 'mfa_phone_verify_not_enabled'
  | 'mfa_totp_enroll_not_enabled'
  | 'mfa_totp_verify_not_enabled'
  | 'mfa_verification_failed'
  | 'mfa_verification_rejected'
  | 'mfa_verified_factor_exists'
  | 'mfa_webauthn_enroll_not_enabled'
  | 'mfa_webauthn_verify_not_enabled'
  | 'no_authorization'
  | 'not_admin'
  | 'oauth_authorization_not_found'
  | 'oauth_client_not_found'
  | 'oauth_client_state_expired'
  | 'oauth_client_state_not_found'
  | 'oauth_consent_not_found'
  | 'oauth_dynamic_client_registration_disabled'
  | 'oauth_invalid_state'
  | 'oauth_provider_not_supported'
  | 'otp_disabled'
  | 'otp_expired'
  | 'over_custom_provider_quota'
  | 'over_email_send_rate_limit'
  | 'over_request_rate_limit'
  | 'over_sms_send_rate_limit'
  | 'passkey_disabled'
  | 'phone_exists'
  | 'phone_not_confirmed'
  | 'phone_provider_disabled'
  | 'provider_disabled'
  | 'provider_email_needs_verification'
  | 'reauthentication_needed'
  | 'reauthentication_not_valid'
  | 'refresh_token_already_used'
  | 'refresh_token_not_found'
  | 'request_entity_too_large'
  | 'request_timeout'
  | 'same_password'
  | 'saml_assertion_no_email'
  | 'saml_assertion_no_user_id'
  | 'saml_entity_id_mismatch'
  | 'saml_idp_already_exists'
  | 'saml_idp_not_found'
  | 'saml_metadata_fetch_failed'
  | 'saml_provider_disabled'
  | 'saml_relay_state_expired'
  | 'saml_relay_state_not_found'
  | 'session_expired'
  | 'session_not_found'
  | 'signup_disabled'
  | 'single_identity_not_deletable'
  | 'sms_send_failed'
  | 'sso_domain_already_exists'
  | 'sso_provider_disabled'
  | 'sso_provider_not_found'
  | 'too_many_enrolled_mfa_factors'
  | 'too_many_passkeys'
  | 'unexpected_audience'
  | 'unexpected_failure'
  | 'unknown'
  | 'user_already_exists'
  | 'user_banned'
  | 'user_not_found'
  | 'user_sso_managed'
  | 'validation_failed'
  | 'weak_password'
  | 'web3_provider_disabled'
  | 'web3_unsupported_chain'
  | 'webauthn_challenge_expired'
  | 'webauthn_challenge_not_found'
  | 'webauthn_credential_exists'
  | 'webauthn_credential_not_found'
  | 'webauthn_verification_failed';

export function authFault(status: number, code: ErrorCode, message: string, cause?: unknown): Fault {
  return new Fault({ status, code, message }, cause);
}

/** 400 */
export const badRequest = (code: ErrorCode, message: string, cause?: unknown) =>
  authFault(400, code, message, cause);
/** 403 */
export const forbidden = (code: ErrorCode, message: string, cause?: unknown) =>
  authFault(403, code, message, cause);
/** 404 */
export const notFound = (code: ErrorCode, message: string) => authFault(404, code, message);
/** 422 */
export const unprocessable = (code: ErrorCode, message: string) => authFault(422, code, message);
/** 500; what a client may see of the cause, `render-error.ts` decides. */
export const failed = (message: string, cause?: unknown) =>
  authFault(500, 'unexpected_failure', message, cause);

/** As long as a hook is waited for. */
const retryAfterSeconds = 5;

/**
 * 429 for whoever would have to wait for others that wait for a hook: in upstream's words for who comes too often, which its clients know.
 * Upstream lets them wait until the request's time is over.
 */
export const tooManyAtOnce = (cause?: unknown) =>
  new Fault(
    {
      status: 429,
      code: 'over_request_rate_limit' satisfies ErrorCode,
      message: 'Request rate limit reached',
      headers: { 'retry-after': String(retryAfterSeconds) },
    },
    cause,
  );

/**
 * 504 for a refresh in the same place, as upstream answers when the request's time is over: its clients try again then, while a 429 would make
 * them sign the user out. Source: supabase/auth internal/api/middleware.go `timeoutMiddleware`; supabase/auth-js src/lib/fetch.ts.
 */
export const tryAgainLater = (cause?: unknown) =>
  new Fault(
    {
      status: 504,
      code: 'request_timeout' satisfies ErrorCode,
      message: 'Processing this request timed out, please retry after a moment.',
      headers: { 'retry-after': String(retryAfterSeconds) },
    },
    cause,
  );

/** A refusal in the shape of RFC 6749 section 5.2; its status is always 400. */
export class OAuthRefused extends Error {
  override readonly name = 'OAuthRefused';
  readonly error: string;

  constructor(error: string, description: string) {
    super(description);
    this.error = error;
  }
}

/** One sentence for whoever is unknown, has no password, or gives a wrong one. Source: supabase/auth internal/api/token.go. */
export const invalidCredentials = () => badRequest('invalid_credentials', 'Invalid login credentials');
