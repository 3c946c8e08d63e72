// In charge of: which mail the auth API sends, to whom and with what in it.
import { describe, expect, it } from 'vitest';
import type { MailToSend } from '../../../engine/mail/outbox.ts';
import type { AuthMail } from '../mailer.ts';
import type { Tx } from '../transaction.ts';
import type { User } from '../user.ts';
import { openAuthMailer } from './auth-mailer.ts';
import type { MailName } from './kinds.ts';
import type { TemplateData } from './template-run.ts';

const tx: Tx = { query: async () => ({ rows: [], rowCount: 0 }) };
// Sound: what the mailer reads of a user.
const user = {
  email: 'ada@example.com',
  email_change: 'new@example.com',
  phone: '15551234567',
  raw_user_meta_data: { name: 'Ada' },
} as unknown as User;

function open(enabled: readonly MailName[] = []) {
  const sent: { mail: MailToSend; data: TemplateData }[] = [];
  let rendered: TemplateData = {};
  const mailer = openAuthMailer({
    texts: {
      isEnabled: (name) => enabled.includes(name),
      render: (name, data) => {
        rendered = data;
        return { subject: name, html: 'text' };
      },
    },
    outbox: { put: async (mail) => void sent.push({ mail, data: rendered }) },
    authUrl: () => 'https://api.example.com/auth/v1',
    config: () => ({ siteUrl: 'https://app.example.com', emailOtpExpirySeconds: 600 }),
    now: () => Date.parse('2026-01-01T00:00:00Z'),
  });
  return { mailer, sent };
}

const common = {
  SiteURL: 'https://app.example.com',
  Email: 'ada@example.com',
  Token: '123456',
  Data: { name: 'Ada' },
};
const linked = (type: string) => ({
  ...common,
  ConfirmationURL: `https://api.example.com/auth/v1/verify?token=abc&type=${type}&redirect_to=https://app.example.com/in`,
  TokenHash: 'abc',
  RedirectTo: 'https://app.example.com/in',
});
const change = { NewEmail: 'new@example.com' };

describe('a mail with a code', () => {
  it.each<[AuthMail['kind'], string, MailName, TemplateData]>([
    ['confirmation', 'ada@example.com', 'confirmation', linked('signup')],
    ['invite', 'ada@example.com', 'invite', linked('invite')],
    ['recovery', 'ada@example.com', 'recovery', linked('recovery')],
    ['magic_link', 'ada@example.com', 'magic_link', linked('magiclink')],
    [
      'email_change_current',
      'ada@example.com',
      'email_change',
      { ...linked('email_change'), ...change, SendingTo: 'ada@example.com' },
    ],
    [
      'email_change_new',
      'new@example.com',
      'email_change',
      { ...linked('email_change'), ...change, SendingTo: 'new@example.com' },
    ],
    ['reauthentication', 'ada@example.com', 'reauthentication', common],
  ])('%s goes to %s', async (kind, to, name, data) => {
    const { mailer, sent } = open();
    await mailer.send(tx, {
      kind,
      to,
      user,
      otp: '123456',
      tokenHash: 'abc',
      redirectTo: 'https://app.example.com/in',
    });
    expect(sent).toEqual([
      {
        mail: { to, kind: name, subject: name, html: 'text', expiresAt: new Date('2026-01-01T00:10:00Z') },
        data,
      },
    ]);
  });
});

describe('a notice', () => {
  it('is sent where it is enabled; of a change of address the old one hears', async () => {
    const { mailer, sent } = open(['email_changed_notification']);
    await mailer.notify(tx, user, { name: 'password_changed_notification' });
    await mailer.notify(tx, user, { name: 'email_changed_notification', oldEmail: 'old@example.com' });
    await mailer.notify(tx, user, { name: 'email_changed_notification', oldEmail: '' });
    expect(sent).toEqual([
      {
        mail: {
          to: 'old@example.com',
          kind: 'email_changed_notification',
          subject: 'email_changed_notification',
          html: 'text',
        },
        data: {
          SiteURL: 'https://app.example.com',
          Data: { name: 'Ada' },
          Email: 'ada@example.com',
          OldEmail: 'old@example.com',
        },
      },
    ]);
  });
});
