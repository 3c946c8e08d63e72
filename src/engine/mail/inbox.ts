// In charge of: putting mails and SMS into the inbox of development instead of sending them. Within the caller's transaction.
import type { Db } from '../db/db.ts';
import type { Queryable } from '../queue/jobs.ts';
import type { Mail, Mailer, Sender } from './mail.ts';
import type { Outbox } from './outbox.ts';
import { plainTextOf } from './plain-text.ts';

export interface Sms {
  readonly to: string;
  readonly text: string;
  readonly kind: string;
}

export interface SmsInbox {
  /** Puts one into the inbox, in the transaction of `client`. */
  put(sms: Sms, client: Queryable): Promise<void>;
}

/**
 * The outbox whose mails go nowhere. One is in the inbox as soon as its transaction has committed, so that whoever got the answer to a request
 * finds the mail: upstream waits for its mail server as well.
 */
export function openInboxOutbox(sender: () => Sender): Outbox {
  return {
    async put(mail, client) {
      await deliver(client, mailMessage(mail, sender()));
    },
  };
}

/** For mails that come through the queue all the same: those that triggers enqueue. */
export function openInboxMailer(db: Pick<Db, 'asOwner'>, sender: () => Sender): Mailer {
  return {
    async send(mail) {
      await db.asOwner('millrace_admin', (client) => deliver(client, mailMessage(mail, sender())));
    },
    close() {},
  };
}

/** Puts an SMS into the inbox, in the transaction of `client`. */
export async function putSmsInInbox(client: Queryable, { to, text, kind }: Sms): Promise<void> {
  await deliver(client, { medium: 'sms', kind, recipient: to, body: text });
}

function mailMessage({ to, subject, html, kind }: Omit<Mail, 'id'>, { name, address }: Sender) {
  const body = plainTextOf(html);
  return { medium: 'mail', kind, sender_name: name, sender: address, recipient: to, subject, html, body };
}

async function deliver(client: Queryable, message: Readonly<Record<string, string>>): Promise<void> {
  // NUL cannot stand in a Postgres text.
  const json = JSON.stringify(message).replaceAll('\\u0000', '\\ufffd');
  await client.query('select _millrace.deliver_to_inbox($1)', [json]);
}
