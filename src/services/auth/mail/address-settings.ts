// In charge of: the settings that say to which addresses mails of sign-in go at all. Upstream has them as variables alone; config.toml of the CLI has
// none of them. Source: supabase/auth internal/conf/configuration.go `EmailProviderConfiguration`, `MailerConfiguration`.
import { flag, list, parsed, text } from '../../../base/settings.ts';

const live = true;

export const addressSettings = {
  magicLinkEnabled: flag({
    key: 'auth.email.magic_link_enabled',
    env: ['GOTRUE_EXTERNAL_EMAIL_MAGIC_LINK_ENABLED'],
    default: true,
    live,
    sentence: 'Whether a mail can sign somebody in, by its link or its code.',
  }),
  authorizedAddresses: list({
    key: 'auth.email.authorized_addresses',
    env: ['GOTRUE_EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES'],
    default: [],
    live,
    sentence:
      'The only addresses that mails go to, also with a label (`+label`) before the @; every other one is refused. Empty: all.',
  }),
  validationExtended: flag({
    key: 'auth.email.validation.extended',
    env: ['GOTRUE_MAILER_EMAIL_VALIDATION_EXTENDED'],
    default: false,
    live,
    sentence:
      'Whether an address is looked at before a mail goes there: names that are nobody’s, and domains that take no mail by what DNS says.',
  }),
  validationServiceUrl: text({
    key: 'auth.email.validation.service_url',
    env: ['GOTRUE_MAILER_EMAIL_VALIDATION_SERVICE_URL'],
    default: '',
    live,
    secret: true,
    sentence:
      'Who is asked about an address before a mail goes there, by POST of `{"email": …}`; `{"valid": false}` refuses it, any other answer does not.',
  }),
  validationServiceHeaders: parsed<Readonly<Record<string, readonly string[]>>>(
    {
      key: 'auth.email.validation.service_headers',
      env: ['GOTRUE_MAILER_EMAIL_VALIDATION_SERVICE_HEADERS'],
      default: {},
      live,
      secret: true,
      sentence: 'Headers of that request, as `{"name": ["value"]}`.',
    },
    'an object of lists of text, such as {"x-api-key": ["secret"]}',
    (raw) => parseHeaders(jsonOf(raw)),
  ),
  validationBlockedMx: parsed<readonly string[]>(
    {
      key: 'auth.email.validation.blocked_mx',
      env: ['GOTRUE_MAILER_EMAIL_VALIDATION_BLOCKED_MX'],
      default: [],
      live,
      sentence: 'Mail servers, by their names in DNS, whose domains get no mail; a list, or its JSON.',
    },
    'a list of names of mail servers',
    (raw) => {
      const names = raw === '' ? [] : jsonOf(raw);
      return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined;
    },
  ),
} as const;

/** The value of JSON; what is no text is a value already. */
function jsonOf(raw: unknown): unknown {
  if (typeof raw !== 'string') return raw;
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}

function parseHeaders(value: unknown): Readonly<Record<string, readonly string[]>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const isRight = Object.values(value).every(
    (items) => Array.isArray(items) && items.every((item) => typeof item === 'string'),
  );
  // Sound: each value was looked at.
  return isRight ? (value as Readonly<Record<string, readonly string[]>>) : undefined;
}
