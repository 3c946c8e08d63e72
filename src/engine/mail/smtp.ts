// In charge of: sending through a mail server. Connections go through the egress guard, are few, and each mail has a bound in time.
import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import { errorCode, errorMessage, OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { ValuesOf } from '../../base/settings.ts';
import type { Clock } from '../../base/time.ts';
import type { Live } from '../settings/live.ts';
import { isOneAddress, type Mail, type Mailer, MailRefused } from './mail.ts';
import { plainTextOf } from './plain-text.ts';
import type { smtpSettings } from './settings.ts';

type SmtpValues = ValuesOf<typeof smtpSettings>;

export interface SmtpOptions {
  readonly config: Live<SmtpValues>;
  /** A connection that the egress guard has judged; TLS goes on top of it. */
  readonly connect: (host: string, port: number) => Promise<Socket>;
  /** What this machine calls itself: the host of the external URL. */
  readonly localName: () => string;
  readonly observe: Observe;
  readonly now: Clock;
  /** One mail, from the connection to the server's word that it has it. */
  readonly sendTimeoutMs?: number;
}

const connectTimeoutMs = 10_000;
const greetingTimeoutMs = 10_000;
const socketTimeoutMs = 30_000;
const defaultSendTimeoutMs = 60_000;
const maxConnections = 3;
const maxMailsPerConnection = 50;
const idleMs = 20_000;

/** @throws OperatorError where what is set cannot send anything. */
export function checkSmtp(values: SmtpValues): void {
  const missing = (['host', 'adminEmail'] as const).filter((name) => values[name] === '');
  const keys = { host: 'host', adminEmail: 'admin_email' } as const;
  if (missing.length > 0) {
    throw new OperatorError(
      `[auth.email.smtp] is enabled, but ${missing.map((name) => `"${keys[name]}"`).join(' and ')} is empty.`,
      'Set it, or enabled = false.',
    );
  }
  if (!isOneAddress(values.adminEmail)) {
    throw new OperatorError(
      `[auth.email.smtp].admin_email is "${values.adminEmail}", which is no address.`,
      'Give an address alone; the name goes into sender_name.',
    );
  }
  if ((values.user === '') !== (values.pass === '')) {
    throw new OperatorError(
      `[auth.email.smtp] has a ${values.user === '' ? 'pass, but no user' : 'user, but no pass'}.`,
      'Set both, or none where the mail server asks for none.',
    );
  }
}

/** A mailer whose settings may change while it runs: mails under way end on the old connections. */
export function openSmtpMailer(options: SmtpOptions): Mailer {
  const { config, observe, now } = options;
  const sendTimeoutMs = options.sendTimeoutMs ?? defaultSendTimeoutMs;
  /** Opened by the first mail: what sends it takes as long to load as a tenth of a start. */
  let transport: ReturnType<typeof openTransport> | undefined;
  const closeTransport = () => {
    // One that could not be opened has told those who waited for it.
    transport?.then(
      (opened) => opened.close(),
      () => {},
    );
    transport = undefined;
  };
  const stop = config.onChange(closeTransport);
  return {
    async send(mail, signal) {
      const values = config.now();
      checkSmtp(values);
      if (!isOneAddress(mail.to)) throw new MailRefused(`"${mail.to}" is not one address`);
      const startedAt = now();
      const about = { kind: 'mail.sent', mail: mail.kind, host: values.host };
      try {
        transport ??= openTransport(values, options);
        const opened = await transport;
        await opened.sendMail({
          ...messageOf(mail, values),
          signal: AbortSignal.any([signal, AbortSignal.timeout(sendTimeoutMs)]),
        });
        observe({ ...about, level: 'info', durationMs: now() - startedAt });
      } catch (error) {
        const failure = isForGood(error) ? new MailRefused(errorMessage(error), { cause: error }) : error;
        // Neither to whom nor what: a log is read by more people than a mail.
        observe({
          ...about,
          kind: 'mail.not_sent',
          level: 'warn',
          code: errorCode(error),
          forGood: failure !== error,
          durationMs: now() - startedAt,
        });
        throw failure;
      }
    },
    close() {
      stop();
      closeTransport();
    },
  };
}

async function openTransport(values: SmtpValues, { connect, localName }: SmtpOptions) {
  const { createTransport } = await import('nodemailer');
  const { host, port, user, pass } = values;
  const secure = values.tls === 'implicit' || port === implicitTlsPort;
  return createTransport({
    pool: true,
    host,
    port,
    secure,
    requireTLS: !secure && needsTls(values),
    ...(user === '' ? {} : { auth: { user, pass } }),
    tls: {
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ...(isIP(host) === 0 ? { servername: host } : {}),
    },
    ...(localName() === '' ? {} : { name: localName() }),
    maxConnections,
    maxMessages: maxMailsPerConnection,
    // Failures are the queue's to judge.
    maxRequeues: 0,
    idleTimeout: idleMs,
    connectionTimeout: connectTimeoutMs,
    greetingTimeout: greetingTimeoutMs,
    socketTimeout: socketTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    getSocket(
      _socketOptions: unknown,
      callback: (error: Error | null, socket?: { readonly connection: Socket }) => void,
    ) {
      connect(host, port).then(
        (connection) => callback(null, { connection }),
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
      );
    },
  });
}

/** Source: RFC 8314 section 3: submission with implicit TLS. */
const implicitTlsPort = 465;

function needsTls({ tls, user, host }: SmtpValues): boolean {
  if (tls !== 'auto') return tls === 'required';
  const isHere = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  return user !== '' && !isHere;
}

function messageOf(mail: Mail, { adminEmail, senderName }: SmtpValues) {
  return {
    from: { name: senderName, address: adminEmail },
    to: { name: '', address: mail.to },
    // Given, so that nothing within an address can add a recipient.
    envelope: { from: adminEmail, to: [mail.to] },
    subject: mail.subject,
    html: mail.html,
    text: plainTextOf(mail.html),
    messageId: `<${mail.id}@${adminEmail.slice(adminEmail.lastIndexOf('@') + 1)}>`,
    // Nobody's out-of-office note has to come back. Source: RFC 3834 section 5.
    headers: { 'auto-submitted': 'auto-generated' },
  };
}

/** A server that has read who it is for, or what it says, and answers 5xx. A refused login or an unknown host may be put right. */
function isForGood(error: unknown): boolean {
  const code = errorCode(error);
  if (code !== 'EENVELOPE' && code !== 'EMESSAGE') return false;
  const status = (error as { readonly responseCode?: unknown }).responseCode;
  return typeof status === 'number' && status >= 500;
}
