// In charge of: where a project's mails go: through its mail server by the queue, or in development into the inbox.
import { readFile } from 'node:fs/promises';
import { errorCode, OperatorError } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import type { Clock } from '../base/time.ts';
import type { Database } from '../engine/db/database.ts';
import type { Egress } from '../engine/egress/egress.ts';
import { openInboxMailer, openInboxOutbox, putSmsInInbox, type SmsInbox } from '../engine/mail/inbox.ts';
import type { Mailer } from '../engine/mail/mail.ts';
import { type Outbox, openMailOutbox } from '../engine/mail/outbox.ts';
import { inboxSettings, smtpSettings } from '../engine/mail/settings.ts';
import { checkSmtp, openSmtpMailer } from '../engine/mail/smtp.ts';
import { openQueue, queueTasks } from '../engine/queue/queue.ts';
import type { Secrets } from '../engine/secrets/secrets.ts';
import type { Task } from '../engine/service/contract.ts';
import { settings as authSettings } from '../services/auth/settings.ts';
import { providerNameOf } from '../services/auth/sms/sms.ts';
import type { Prepared } from './prepare.ts';

export interface ProjectMail {
  readonly outbox: Outbox;
  /** Where text messages go that no provider sends. */
  readonly smsInbox: SmsInbox | undefined;
  readonly tasks: readonly Task[];
  readonly notices: readonly string[];
  close(): Promise<void>;
}

export interface MailParts {
  readonly database: Database;
  readonly egress: Egress;
  readonly secrets: Secrets;
  /** Known once the port is open. */
  readonly externalUrl: () => string;
  readonly observe: Observe;
  readonly now: Clock;
}

/** How long a stop waits for mails that are being handed over. */
const drainMs = 5_000;

/** @throws OperatorError for a mail server that cannot be one, and in production for none where people sign in by mail */
export function openProjectMail(prepared: Prepared, parts: MailParts): ProjectMail {
  const { settings, production } = prepared;
  const { database, egress, secrets, externalUrl, observe, now } = parts;
  const smtp = settings.of(smtpSettings);
  const inbox = settings.of(inboxSettings);
  const sender = () => ({ address: inbox.now().adminEmail, name: inbox.now().senderName });
  const usesInbox = !production && !smtp.now().enabled && inbox.now().enabled;
  const sends = smtp.now().enabled;
  if (sends) checkSmtp(smtp.now());
  else if (production && prepared.serverSettings.now().authEnabled)
    refuseMailToNowhere(settings.of(authSettings).now());
  const localName = () => URL.parse(externalUrl())?.hostname ?? 'localhost';
  const mailer: Mailer = usesInbox
    ? openInboxMailer(database.db, sender)
    : openSmtpMailer({ config: smtp, connect: egress.connect, localName, observe, now });
  const queue = openQueue({ db: database.db, listener: database.listener, observe });
  const queued = openMailOutbox(queue, mailer, secrets);
  const notices =
    sends || usesInbox
      ? []
      : ['No mail server is set ([auth.email.smtp]): mails wait an hour for one, and are then given up.'];
  const smsInbox: SmsInbox | undefined =
    !production && inbox.now().enabled ? { put: (sms, client) => putSmsInInbox(client, sms) } : undefined;
  const auth = settings.of(authSettings).now();
  const isTexting = auth.enablePhone && smsInbox === undefined;
  if (isTexting && providerNameOf(auth) === '' && !auth.hookSendSmsEnabled)
    notices.push(
      'Nobody is set who sends text messages ([auth.sms.twilio] and others): no code reaches a phone.',
    );
  return {
    outbox: usesInbox ? openInboxOutbox(sender) : queued,
    smsInbox,
    tasks: queueTasks(database.db),
    notices,
    async close() {
      await queue.close(drainMs);
      mailer.close();
    },
  };
}

/** Whoever forgets their password would wait for a mail that nobody sends. */
function refuseMailToNowhere(auth: {
  readonly enableEmail: boolean;
  readonly hookSendEmailEnabled: boolean;
}): void {
  if (!auth.enableEmail || auth.hookSendEmailEnabled) return;
  throw new OperatorError(
    '--production needs a mail server for sign-in by mail, and [auth.email.smtp] is not enabled.',
    'Set [auth.email.smtp] with enabled, host and admin_email, or the hook [auth.hook.send_email]; or switch sign-in by mail off: [auth.email] enable_signup = false.',
  );
}

/** The text of a file; undefined when there is none. */
export async function readTextFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
