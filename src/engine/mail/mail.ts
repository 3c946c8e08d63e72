// In charge of: a mail as a value, and the port through which it goes out. What carries it is a mail server, or in development the inbox.

export interface Mail {
  /** The same for every attempt to send it: a mailbox then knows a second copy. Letters, digits and `-`. */
  readonly id: string;
  /** One address, without a name. */
  readonly to: string;
  readonly subject: string;
  readonly html: string;
  /** What it is about, for whoever counts: `recovery`. */
  readonly kind: string;
}

export interface Mailer {
  /**
   * Hands a mail over. Resolves once somebody else has taken it.
   * @throws MailRefused when it will never be taken; anything else may go better later.
   */
  send(mail: Mail, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The address, or the mail itself, is refused for good. */
export class MailRefused extends Error {
  override readonly name = 'MailRefused';
}

/** Who a mail comes from. */
export interface Sender {
  readonly address: string;
  readonly name: string;
}

/** Whether a text is one address and nothing more: no list, no second header, no name (CWE-93). Stricter than RFC 5322. */
export function isOneAddress(text: string): boolean {
  return (
    text.length <= maxAddressLength && /^[^\s@,;:<>()[\]\\"\p{Cc}]+@[^\s@,;:<>()[\]\\"\p{Cc}]+$/u.test(text)
  );
}

/** Source: RFC 5321 section 4.5.3.1.3. */
const maxAddressLength = 254;
