// In charge of: the mails of the auth API: which text, which data, which link. Handed over in the transaction that stores the token.
// Source: supabase/auth internal/mailer/templatemailer/templatemailer.go, `ConfirmationMail` and its like.
import type { Outbox } from '../../../engine/mail/outbox.ts';
import type { AuthMail, Notice } from '../mailer.ts';
import type { Tx } from '../transaction.ts';
import type { User } from '../user.ts';
import type { MailName } from './kinds.ts';
import { confirmationUrl, type LinkType } from './links.ts';
import type { TemplateData } from './template-run.ts';
import type { MailTexts } from './texts.ts';

export interface AuthMailerOptions {
  readonly texts: Pick<MailTexts, 'render' | 'isEnabled'>;
  readonly outbox: Outbox;
  /** Where the auth API is reached. */
  readonly authUrl: () => string;
  readonly config: () => { readonly siteUrl: string; readonly emailOtpExpirySeconds: number };
  readonly now: () => number;
}

export interface AuthMailer {
  /** Hands the mail over within the transaction that stores its token: both happen or neither. */
  send(tx: Tx, mail: AuthMail): Promise<void>;
  /** Whether `notify` would send anything. */
  wantsNotice(user: User, notice: Notice): boolean;
  /** Tells a user what has changed, where `[auth.email.notification.*]` has it enabled and the user has an address. */
  notify(tx: Tx, user: User, notice: Notice): Promise<void>;
}

export function openAuthMailer({ texts, outbox, authUrl, config, now }: AuthMailerOptions): AuthMailer {
  async function put(
    tx: Tx,
    to: string,
    name: MailName,
    data: TemplateData,
    expiresAt?: Date,
  ): Promise<void> {
    const more = expiresAt === undefined ? {} : { expiresAt };
    await outbox.put({ to, kind: name, ...texts.render(name, data), ...more }, queryableOf(tx));
  }
  return {
    async send(tx, mail) {
      const { siteUrl, emailOtpExpirySeconds } = config();
      const { name, type } = kinds[mail.kind];
      const data = { SiteURL: siteUrl, ...dataOf(mail), ...linkOf(mail, type) };
      await put(tx, mail.to, name, data, new Date(now() + emailOtpExpirySeconds * 1000));
    },
    wantsNotice,
    async notify(tx, user, notice) {
      if (!wantsNotice(user, notice)) return;
      const to = recipientOf(user, notice);
      const common = { SiteURL: config().siteUrl, Data: user.raw_user_meta_data ?? {} };
      await put(tx, to, notice.name, { ...common, ...noticeData(user, notice, to) });
    },
  };

  function wantsNotice(user: User, notice: Notice): boolean {
    return recipientOf(user, notice) !== '' && texts.isEnabled(notice.name);
  }

  function linkOf({ tokenHash, redirectTo }: AuthMail, type: LinkType | undefined): TemplateData {
    if (type === undefined) return {};
    const link = confirmationUrl({ authUrl: authUrl(), type, tokenHash, redirectTo });
    return { ConfirmationURL: link, TokenHash: tokenHash, RedirectTo: redirectTo };
  }
}

function dataOf({ kind, to, user, otp }: AuthMail): TemplateData {
  const change = kind === 'email_change_current' || kind === 'email_change_new';
  return {
    Email: user.email,
    Token: otp,
    Data: user.raw_user_meta_data ?? {},
    ...(change ? { NewEmail: user.email_change, SendingTo: to } : {}),
  };
}

/** Whoever had the address until now hears of the new one. Source: supabase/auth, `EmailChangedNotificationMail`. */
function recipientOf(user: User, notice: Notice): string {
  if (notice.name === 'email_changed_notification') return notice.oldEmail;
  return notice.name === 'identity_unlinked_notification' ? notice.to : user.email;
}

function noticeData(user: User, notice: Notice, to: string): TemplateData {
  switch (notice.name) {
    case 'password_changed_notification':
      return { Email: user.email };
    case 'email_changed_notification':
      return { Email: user.email, OldEmail: notice.oldEmail };
    case 'phone_changed_notification':
      return { Email: user.email, Phone: user.phone, OldPhone: notice.oldPhone };
    case 'identity_linked_notification':
      return { Email: user.email, Provider: notice.provider };
    case 'identity_unlinked_notification':
      return { Email: to, Provider: notice.provider };
    case 'mfa_factor_enrolled_notification':
    case 'mfa_factor_unenrolled_notification':
      return { Email: user.email, FactorType: notice.factorType };
  }
}

function queryableOf(tx: Tx): Parameters<Outbox['put']>[1] {
  return { query: async (text, values) => ({ rows: (await tx.query(text, values)).rows }) };
}

/** The text of each, and what its link says that it confirms; a re-authentication has a code alone. */
const kinds: Readonly<
  Record<AuthMail['kind'], { readonly name: MailName; readonly type: LinkType | undefined }>
> = {
  confirmation: { name: 'confirmation', type: 'signup' },
  recovery: { name: 'recovery', type: 'recovery' },
  invite: { name: 'invite', type: 'invite' },
  magic_link: { name: 'magic_link', type: 'magiclink' },
  email_change_current: { name: 'email_change', type: 'email_change' },
  email_change_new: { name: 'email_change', type: 'email_change' },
  reauthentication: { name: 'reauthentication', type: undefined },
};
