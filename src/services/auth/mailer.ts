// In charge of: what the rest of the auth API asks of whoever sends mail, so that it can be tested and built without a mail server.
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
}

export interface Mailer {
  /** Hands the mail over within the transaction that stores its token: both happen or neither. */
  send(tx: Tx, mail: AuthMail): Promise<void>;
}
