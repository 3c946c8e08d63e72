// In charge of: what the rest of the auth API asks of whoever counts.
import type { Visit } from '../context.ts';

/** A limit of requests from one address; each is counted by itself. */
export type LimitName =
  | 'anonymous'
  | 'token'
  | 'web3'
  | 'sign_up'
  | 'recover'
  | 'resend'
  | 'magic_link'
  | 'otp'
  | 'user'
  | 'verify'
  | 'factor_challenge'
  | 'factor_verify'
  | 'passkey'
  | 'sso'
  | 'saml_assertion'
  | 'client_register';

export interface AuthLimits {
  /** Counts a request of its address. @throws Fault 429 over_request_rate_limit */
  takeRequest(visit: Visit, name: LimitName): Promise<void>;
  /** Counts a mail that is about to go out. @throws Fault 429 over_email_send_rate_limit */
  takeMail(visit: Visit): Promise<void>;
  /** For who gets no mail: refuses as those are refused who would, as far as this process knows. @throws Fault 429 over_email_send_rate_limit */
  refuseWithoutMail(visit: Visit): void;
  /** Counts a text message that is about to go out. @throws Fault 429 over_sms_send_rate_limit */
  takeSms(visit: Visit): Promise<void>;
  /**
   * Before a password is looked at. `account` is what the client named, whether there is somebody of that name or not, so that
   * the answer does not tell. Asks nobody: it is what this process has heard. @throws Fault 429 over_request_rate_limit
   */
  refuseAfterFailures(account: string): void;
  /** A code, before it is looked at; a password, once it was wrong. @throws Fault 429 over_request_rate_limit */
  countFailure(account: string): Promise<void>;
}
