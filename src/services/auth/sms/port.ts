// In charge of: what the rest of the auth API asks of whoever sends text messages.
import type { Visit } from '../context.ts';
import type { Tx } from '../transaction.ts';
import type { User } from '../user.ts';

export type SmsChannel = 'sms' | 'whatsapp';

/** A text with a code for one number. */
export interface CodeMessage {
  readonly user: User;
  /** Digits alone, without `+`. */
  readonly phone: string;
  readonly otp: string;
  /** The whole text, the code in it. */
  readonly text: string;
  readonly channel: SmsChannel;
  /** What it is about: `sms`, `phone_change`, `reauthentication`, `mfa`. */
  readonly kind: string;
}

export interface Sms {
  /**
   * Hands it over: to the send_sms hook where one is set, to the provider of `[auth.sms.*]`, or in development into the inbox. Gives the
   * provider's id of the message, empty where it has none. A provider takes its time: whoever has no transaction open, or can send
   * before it opens one, gives none.
   * @throws Fault 422 sms_send_failed, and what the hook says
   */
  send(tx: Tx | undefined, visit: Visit, message: CodeMessage): Promise<string>;
  /** Whether a code can go this way now: `sms` always, `whatsapp` by Twilio alone, anything where a hook decides. */
  takesChannel(visit: Visit, channel: string): channel is SmsChannel;
  /** Whether codes are made and checked by the provider, by `isRight`, and not here. */
  checksCodes(visit: Visit): boolean;
  /** Asks the provider that made the code. Never with a transaction open. */
  isRight(visit: Visit, phone: string, code: string): Promise<boolean>;
}
