// In charge of: what a client can be told. Every refusal of the auth API as a Fault with GoTrue's status, code and words.
// Source: supabase/auth internal/api/apierrors/{apierrors,errorcode}.go.
import { Fault } from '../../base/errors.ts';

/** GoTrue's codes that are in use here. Source: supabase/auth internal/api/apierrors/errorcode.go. */
export type ErrorCode =
  | 'anonymous_provider_disabled'
  | 'bad_json'
  | 'bad_jwt'
  | 'conflict'
  | 'current_password_invalid'
  | 'current_password_required'
  | 'email_exists'
  | 'email_not_confirmed'
  | 'email_provider_disabled'
  | 'feature_disabled'
  | 'bad_code_verifier'
  | 'flow_state_expired'
  | 'flow_state_not_found'
  | 'otp_disabled'
  | 'otp_expired'
  | 'insufficient_aal'
  | 'invalid_credentials'
  | 'manual_linking_disabled'
  | 'mfa_factor_not_found'
  | 'no_authorization'
  | 'provider_disabled'
  | 'not_admin'
  | 'over_email_send_rate_limit'
  | 'over_request_rate_limit'
  | 'passkey_disabled'
  | 'phone_exists'
  | 'phone_not_confirmed'
  | 'phone_provider_disabled'
  | 'reauthentication_needed'
  | 'reauthentication_not_valid'
  | 'refresh_token_already_used'
  | 'refresh_token_not_found'
  | 'request_entity_too_large'
  | 'request_timeout'
  | 'same_password'
  | 'saml_provider_disabled'
  | 'session_expired'
  | 'session_not_found'
  | 'signup_disabled'
  | 'unexpected_failure'
  | 'unknown'
  | 'user_already_exists'
  | 'user_banned'
  | 'user_not_found'
  | 'user_sso_managed'
  | 'validation_failed'
  | 'weak_password'
  | 'web3_provider_disabled';

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
