// In charge of: the mails that sign-in sends, what each is about and what it says unless the project says it itself.
// Source of names, placeholders and meaning: supabase/auth internal/mailer/templatemailer/templatemailer.go. The words are our own.

export interface MailKind {
  /** `[auth.email.template.<name>]`, `[auth.email.notification.<name>]` */
  readonly section: 'template' | 'notification';
  readonly name: string;
  readonly subject: string;
  readonly html: string;
  /** The names that its data has. */
  readonly data: readonly string[];
}

/** By the name that upstream's hook and headers use. */
export type MailName = keyof typeof mailKinds;

const linkData = ['SiteURL', 'ConfirmationURL', 'Email', 'Token', 'TokenHash', 'Data', 'RedirectTo'] as const;
const noticeData = ['SiteURL', 'Email', 'Data'] as const;
const notYours =
  '<p>Was this not you? Then tell us at once, so that we can help you to keep your account.</p>';

/** With the code beside the link, so that `verifyOtp` works without a template of one's own; upstream's own texts have the link alone. */
function withLink(title: string, text: string, action: string): string {
  const link = `<p><a href="{{ .ConfirmationURL }}">${action}</a></p>`;
  return `<h2>${title}</h2>\n\n<p>${text}</p>\n${link}\n<p>Or enter this code: {{ .Token }}</p>\n`;
}

function notice(name: string, subject: string, text: string, more: readonly string[] = []) {
  const html = `<h2>${subject}</h2>\n\n<p>${text}</p>\n${notYours}\n`;
  return { section: 'notification', name, subject, html, data: [...noticeData, ...more] } as const;
}

export const mailKinds = {
  confirmation: {
    section: 'template',
    name: 'confirmation',
    subject: 'Confirm your email address',
    html: withLink(
      'Welcome',
      'One step is left before you can use your account: tell us that this address is yours.',
      'Confirm your email address',
    ),
    data: linkData,
  },
  invite: {
    section: 'template',
    name: 'invite',
    subject: 'You have been invited',
    html: withLink(
      'You have been invited',
      'Somebody wants you to join {{ .SiteURL }}. With this link you make your account there.',
      'Accept the invitation',
    ),
    data: linkData,
  },
  recovery: {
    section: 'template',
    name: 'recovery',
    subject: 'Reset your password',
    html: `${withLink(
      'Reset your password',
      'A new password was asked for. With this link you choose one.',
      'Reset your password',
    )}<p>Nothing changes as long as the link is not used. If it was not you who asked, leave it.</p>\n`,
    data: linkData,
  },
  magic_link: {
    section: 'template',
    name: 'magic_link',
    subject: 'Your link to sign in',
    html: withLink('Sign in', 'This link signs you in. It works once, and not for long.', 'Sign in'),
    data: linkData,
  },
  email_change: {
    section: 'template',
    name: 'email_change',
    subject: 'Confirm your new email address',
    html: `${withLink(
      'Confirm your new email address',
      'Your account is to get the address {{ .NewEmail }} in place of {{ .Email }}.',
      'Confirm the change',
    )}<p>If you did not ask for this, do not use the link: the address then stays as it is.</p>\n`,
    data: [...linkData, 'NewEmail', 'SendingTo'],
  },
  reauthentication: {
    section: 'template',
    name: 'reauthentication',
    subject: '{{ .Token }} is your verification code',
    html: '<h2>Your verification code</h2>\n\n<p>Enter this code to go on. It is valid for a short time only.</p>\n<p>{{ .Token }}</p>\n',
    data: ['SiteURL', 'Email', 'Token', 'Data'],
  },
  password_changed_notification: notice(
    'password_changed',
    'Your password was changed',
    'The password of the account {{ .Email }} is another one now.',
  ),
  email_changed_notification: notice(
    'email_changed',
    'Your email address was changed',
    'Your account has the address {{ .Email }} now; until now it was {{ .OldEmail }}.',
    ['OldEmail'],
  ),
  phone_changed_notification: notice(
    'phone_changed',
    'Your phone number was changed',
    'The account {{ .Email }} has the phone number {{ .Phone }} now; until now it was {{ .OldPhone }}.',
    ['Phone', 'OldPhone'],
  ),
  identity_linked_notification: notice(
    'identity_linked',
    'There is a new way to sign in to your account',
    'You can sign in to the account {{ .Email }} with {{ .Provider }} from now on.',
    ['Provider'],
  ),
  identity_unlinked_notification: notice(
    'identity_unlinked',
    'A way to sign in to your account was removed',
    'You can no longer sign in to the account {{ .Email }} with {{ .Provider }}.',
    ['Provider'],
  ),
  mfa_factor_enrolled_notification: notice(
    'mfa_factor_enrolled',
    'Your account has a new second factor',
    'A factor of the type {{ .FactorType }} was added to the account {{ .Email }}.',
    ['FactorType'],
  ),
  mfa_factor_unenrolled_notification: notice(
    'mfa_factor_unenrolled',
    'A second factor of your account was removed',
    'A factor of the type {{ .FactorType }} was taken from the account {{ .Email }}.',
    ['FactorType'],
  ),
} as const satisfies Readonly<Record<string, MailKind>>;

export const mailNames = Object.keys(mailKinds) as readonly MailName[];
