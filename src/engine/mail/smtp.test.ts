// In charge of: what a mail server gets to see, what is done when it refuses, falls silent or cannot be trusted. The server is real.
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeAuthority } from '../../../test/harness/certificates.ts';
import { openSmtpServer, type SmtpServerOptions } from '../../../test/harness/smtp-server.ts';
import type { Observation } from '../../base/observe.ts';
import { openEgress } from '../egress/egress.ts';
import { openSettings } from '../settings/live.ts';
import { isOneAddress, type Mail, MailRefused } from './mail.ts';
import { smtpSettings } from './settings.ts';
import { checkSmtp, openSmtpMailer } from './smtp.ts';

const mail: Mail = {
  id: 'abc123',
  to: 'ada@example.com',
  subject: 'Grüße an O’Brien',
  html: '<h2>Hi</h2><p><a href="https://api.example.com/auth/v1/verify?token=a&amp;type=signup">Confirm</a></p>',
  kind: 'confirmation',
};
const never = new AbortController().signal;

async function open(
  server: SmtpServerOptions = {},
  smtp: Record<string, unknown> = {},
  sendTimeoutMs = 5_000,
) {
  const smtpServer = await openSmtpServer(server);
  onTestFinished(() => smtpServer[Symbol.asyncDispose]());
  const seen: Observation[] = [];
  const settings = openSettings([smtpSettings], {
    file: {
      auth: {
        email: {
          smtp: {
            enabled: true,
            host: '127.0.0.1',
            port: smtpServer.port,
            admin_email: 'app@example.com',
            sender_name: 'The App',
            networks: ['127.0.0.0/8', '::1'],
            ...smtp,
          },
        },
      },
    },
    environment: {},
  });
  const config = settings.of(smtpSettings);
  const egress = openEgress({ allow: () => config.now().networks, observe: () => {}, now: Date.now });
  onTestFinished(() => egress.close());
  const mailer = openSmtpMailer({
    config,
    connect: egress.connect,
    localName: () => 'api.example.com',
    observe: (observation) => seen.push(observation),
    now: Date.now,
    sendTimeoutMs,
  });
  onTestFinished(() => mailer.close());
  return { server: smtpServer, mailer, settings, seen, config };
}

describe('a mail', () => {
  it('arrives with sender, one recipient, a text beside the HTML, and the same Message-ID each time', async () => {
    const { server, mailer, seen } = await open();
    await mailer.send(mail, never);
    const taken = await server.mail(1);
    expect(taken).toMatchObject({ from: 'app@example.com', to: ['ada@example.com'], overTls: false });
    expect(taken.source).toContain('From: The App <app@example.com>\r\n');
    expect(taken.source).toContain('To: ada@example.com\r\n');
    expect(taken.source).toContain('Message-ID: <abc123@example.com>\r\n');
    expect(taken.source).toContain('Auto-Submitted: auto-generated\r\n');
    expect(taken.source).toContain('Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_an_O=E2=80=99Brien?=\r\n');
    expect(taken.source).toContain('Content-Type: text/plain; charset=utf-8');
    expect(taken.source).toContain('Content-Type: text/html; charset=utf-8');
    expect(taken.source.replaceAll('=\r\n', '').replaceAll('=3D', '=')).toContain(
      'Confirm ( https://api.example.com/auth/v1/verify?token=a&type=signup )',
    );
    expect(seen).toMatchObject([{ kind: 'mail.sent', mail: 'confirmation', host: '127.0.0.1' }]);
    // A log tells neither to whom nor what.
    expect(JSON.stringify(seen)).not.toMatch(/ada|verify/);
  });

  it('shares its connection with others', async () => {
    const { server, mailer } = await open();
    await Promise.all(Array.from({ length: 20 }, () => mailer.send(mail, never)));
    expect(server.mails).toHaveLength(20);
    expect(server.connections()).toBeLessThanOrEqual(3);
  });

  it.each([
    'ada@example.com, eve@example.com',
    'ada@example.com\r\nBcc: eve@example.com',
    'Ada <ada@example.com>',
    'ada@example.com;eve@example.com',
    '"ada,eve"@example.com',
    'ada',
    '@example.com',
    `${'a'.repeat(250)}@example.com`,
  ])('goes to nobody when its address is %j', async (to) => {
    const { server, mailer } = await open();
    await expect(mailer.send({ ...mail, to }, never)).rejects.toThrow(MailRefused);
    expect(server.commands).toEqual([]);
    expect(isOneAddress('ada.love+lace@sub.example.com')).toBe(true);
    expect(isOneAddress('jürgen@müller.example')).toBe(true);
  });

  it('cannot add a header by its subject', async () => {
    const { server, mailer } = await open();
    await mailer.send({ ...mail, subject: 'Hi\r\nBcc: eve@example.com' }, never);
    const { source, to } = await server.mail(1);
    expect(to).toEqual(['ada@example.com']);
    expect(source.split('\r\n\r\n')[0]).not.toMatch(/^Bcc/im);
  });
});

describe('a mail server that', () => {
  it('refuses the address refuses it for good; one that is busy may be asked again', async () => {
    const { server, mailer, seen } = await open({ answers: { RCPT: '550 no such mailbox' } });
    await expect(mailer.send(mail, never)).rejects.toThrow(MailRefused);
    server.answers.RCPT = '451 later';
    const busy = await mailer.send(mail, never).catch((error: unknown) => error);
    expect(busy).not.toBeInstanceOf(MailRefused);
    expect(seen).toMatchObject([
      { kind: 'mail.not_sent', forGood: true },
      { kind: 'mail.not_sent', forGood: false },
    ]);
    delete server.answers.RCPT;
    await mailer.send(mail, never);
    expect(server.mails).toHaveLength(1);
  });

  it('refuses the login refuses no mail: the password may be put right', async () => {
    const { mailer, server, settings } = await open({ login: 'app:secret' }, { user: 'app', pass: 'wrong' });
    const refused = await mailer.send(mail, never).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'EAUTH' });
    expect(refused).not.toBeInstanceOf(MailRefused);
    settings.setStored(new Map([['auth.email.smtp.pass', 'secret']]));
    await mailer.send(mail, never);
    expect(server.mails).toMatchObject([{ login: 'app:secret' }]);
  });

  it.each(['GREETING', 'EHLO', 'DATA', 'BODY'])('falls silent at %s is left in time', async (command) => {
    const { mailer } = await open({ answers: { [command]: null } }, {}, 300);
    await expect(mailer.send(mail, never)).rejects.toThrow();
  });

  it('is not there is tried again', async () => {
    const { mailer } = await open({}, { port: 1 });
    const failure = await mailer.send(mail, never).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect(failure).not.toBeInstanceOf(MailRefused);
  });

  it('leads into a private network is not talked to, unless that is named', async () => {
    const { mailer, server, seen } = await open({}, { networks: [] });
    await expect(mailer.send(mail, never)).rejects.toThrow(
      /does not lead to an address on the public Internet/,
    );
    expect(server.connections()).toBe(0);
    expect(seen).toMatchObject([{ kind: 'mail.not_sent', forGood: false }]);
  });
});

describe('TLS', () => {
  async function trusted(names: readonly string[]) {
    const authority = await makeAuthority();
    const usual = getCACertificates('default');
    setDefaultCACertificates([...usual, authority.cert]);
    onTestFinished(() => setDefaultCACertificates(usual));
    return authority.issue({ names });
  }

  it('is used where it is offered, before the password is said', async () => {
    const certificate = await trusted(['localhost']);
    const { server, mailer } = await open(
      { certificate, login: 'a:b' },
      { host: 'localhost', user: 'a', pass: 'b' },
    );
    await mailer.send(mail, never);
    expect(server.mails).toMatchObject([{ overTls: true, login: 'a:b' }]);
    expect(server.commands.slice(0, 4)).toEqual(['EHLO', 'STARTTLS', 'EHLO', 'AUTH']);
  });

  it('begins at once where that is set, as on port 465', async () => {
    const certificate = await trusted(['localhost']);
    const { server, mailer } = await open(
      { certificate, implicit: true },
      { host: 'localhost', tls: 'implicit' },
    );
    await mailer.send(mail, never);
    expect(server.mails).toMatchObject([{ overTls: true }]);
    expect(server.commands).not.toContain('STARTTLS');
  });

  it('needs a certificate that somebody vouches for, and the right name', async () => {
    const untrusted = await (await makeAuthority()).issue({ names: ['localhost'] });
    const first = await open({ certificate: untrusted }, { host: 'localhost' });
    await expect(first.mailer.send(mail, never)).rejects.toThrow(/certificate/);
    const second = await open({ certificate: await trusted(['other.example']) }, { host: 'localhost' });
    await expect(second.mailer.send(mail, never)).rejects.toThrow(/altnames|certificate/i);
    expect([...first.server.mails, ...second.server.mails]).toEqual([]);
  });

  it('is not given up by whoever stands between: required, nothing is said without it', async () => {
    const { server, mailer } = await open({ login: 'a:b' }, { tls: 'required', user: 'a', pass: 'b' });
    await expect(mailer.send(mail, never)).rejects.toThrow();
    expect(server.commands).not.toContain('AUTH');
    expect(server.mails).toEqual([]);
  });
});

describe('settings that can send nothing', () => {
  it.each([
    [{ host: '', admin_email: '' }, '"host" and "admin_email" is empty'],
    [{ admin_email: 'The App <a@b.c>' }, 'which is no address'],
    [{ user: 'a' }, 'has a user, but no pass'],
  ])('%j', async (smtp, sentence) => {
    const { config } = await open({}, smtp);
    expect(() => checkSmtp(config.now())).toThrow(sentence);
  });
});
