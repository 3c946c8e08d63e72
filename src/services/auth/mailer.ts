// In charge of: what the rest of the auth API asks of whoever sends mail, so that it can be tested and built without a mail server.
import type { Visit } from './context.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';

export type MailKind =
  | 'confirmation'
  | 'recovery'
  | 'invite'
  | 'magic_link'
  | 'email_change_current'
  | 'email_change_new'
  | 'reauthentication';

/** A mail with a code or a link for one user. */
export interface AuthMail {
  readonly kind: MailKind;
  readonly to: string;
  readonly user: User;
  /** The digits; what is stored is their hash. */
  readonly otp: string;
  /** What the link carries: the stored hash, with `pkce_` before it in a PKCE flow. */
  readonly tokenHash: string;
  /** Where the link leads to in the end; already found to be allowed. */
  readonly redirectTo: string;
  /** Of a change that the present address confirms as well: what that one is sent. */
  readonly current?: { readonly otp: string; readonly tokenHash: string } | undefined;
}

/** A mail about what has changed. It has no code, so it does not expire. */
export type Notice =
  | { readonly name: 'password_changed_notification' }
  | { readonly name: 'email_changed_notification'; readonly oldEmail: string }
  | { readonly name: 'phone_changed_notification'; readonly oldPhone: string }
  | { readonly name: 'identity_linked_notification'; readonly provider: string }
  | { readonly name: 'identity_unlinked_notification'; readonly provider: string; readonly to: string }
  | {
      readonly name: 'mfa_factor_enrolled_notification' | 'mfa_factor_unenrolled_notification';
      readonly factorType: string;
    };

export interface Mailer {
  /**
   * Hands the mail over within the transaction that stores its token: both happen or neither.
   * @throws Fault 429 over_email_send_rate_limit, and what the hook send_email says
   */
  send(tx: Tx, visit: Visit, mail: AuthMail): Promise<void>;
  /**
   * Tells a user what has changed, where `[auth.email.notification.*]` has it enabled and the user has an address.
   * @throws Fault as `send`
   */
  notify(tx: Tx, visit: Visit, user: User, notice: Notice): Promise<void>;
}
