// In charge of: the settings of the mail server. Names: supabase/cli apps/cli-go/pkg/config/auth.go, `smtp`; supabase/auth internal/conf, GOTRUE_SMTP_….

import { parseNetwork } from '../../base/address-ranges.ts';
import { flag, oneOf, parsed, text, wholeNumber } from '../../base/settings.ts';

export const smtpSettings = {
  enabled: flag({
    key: 'auth.email.smtp.enabled',
    env: ['MILLRACE_SMTP'],
    default: false,
    live: true,
    sentence: 'Send mails through a mail server; in development they stand in the inbox otherwise.',
  }),
  host: text({
    key: 'auth.email.smtp.host',
    env: ['GOTRUE_SMTP_HOST', 'SMTP_HOST'],
    default: '',
    live: true,
    sentence: 'Name or address of the mail server.',
  }),
  port: wholeNumber({
    key: 'auth.email.smtp.port',
    env: ['GOTRUE_SMTP_PORT', 'SMTP_PORT'],
    default: 587,
    min: 1,
    max: 65535,
    live: true,
    sentence: 'Port of the mail server. On 465 TLS begins at once, on others by STARTTLS.',
  }),
  user: text({
    key: 'auth.email.smtp.user',
    env: ['GOTRUE_SMTP_USER', 'SMTP_USER'],
    default: '',
    live: true,
    sentence: 'Whom to log in as at the mail server; empty: nobody.',
  }),
  pass: text({
    key: 'auth.email.smtp.pass',
    env: ['GOTRUE_SMTP_PASS', 'SMTP_PASS'],
    default: '',
    live: true,
    secret: true,
    sentence: 'The password at the mail server.',
  }),
  adminEmail: text({
    key: 'auth.email.smtp.admin_email',
    env: ['GOTRUE_SMTP_ADMIN_EMAIL', 'SMTP_ADMIN_EMAIL'],
    default: '',
    live: true,
    sentence: 'The address that mails come from.',
  }),
  senderName: text({
    key: 'auth.email.smtp.sender_name',
    env: ['GOTRUE_SMTP_SENDER_NAME', 'SMTP_SENDER_NAME'],
    default: '',
    live: true,
    sentence: 'The name that mails come from.',
  }),
  tls: oneOf(
    {
      key: 'auth.email.smtp.tls',
      env: ['MILLRACE_SMTP_TLS'],
      default: 'auto',
      live: true,
      sentence:
        '"required": never without TLS; "implicit": TLS from the beginning, also on another port than 465; "auto": required where a password is sent to another machine, else used where it is offered; "opportunistic": used where it is offered, also for a password. The certificate is always checked.',
    },
    ['auto', 'required', 'implicit', 'opportunistic'],
  ),
  networks: parsed<readonly string[]>(
    {
      key: 'auth.email.smtp.networks',
      env: ['MILLRACE_SMTP_NETWORKS'],
      default: [],
      live: true,
      sentence:
        'Networks and addresses beside the public Internet in which the mail server may be, such as `10.0.0.0/8`; other outgoing connections do not get there by this.',
    },
    'a list of networks or addresses such as "10.0.0.0/8"',
    (raw) => {
      const words = typeof raw === 'string' ? raw.split(',').filter((word) => word.trim() !== '') : raw;
      if (!Array.isArray(words)) return undefined;
      const isNetwork = (word: unknown) =>
        typeof word === 'string' && parseNetwork(word.trim()) !== undefined;
      return words.every(isNetwork) ? words.map((word: string) => word.trim()) : undefined;
    },
  ),
} as const;

/** Beside them `[inbucket]`: the sender's name and address there, and the inbox's port. */
export const inboxSettings = {
  enabled: flag({
    key: 'inbucket.enabled',
    env: ['MILLRACE_INBOX'],
    default: true,
    sentence: 'Keep the mails of development in an inbox; never with --production.',
  }),
  port: wholeNumber({
    key: 'inbucket.port',
    env: ['MILLRACE_INBOX_PORT'],
    default: 54324,
    max: 65535,
    sentence: 'A second port with the inbox alone, and Mailpit’s API; 0: none.',
  }),
  adminEmail: text({
    key: 'inbucket.admin_email',
    default: 'admin@email.com',
    sentence: 'The address that mails in the inbox come from.',
  }),
  senderName: text({
    key: 'inbucket.sender_name',
    default: 'Admin',
    sentence: 'The name that mails in the inbox come from.',
  }),
} as const;
