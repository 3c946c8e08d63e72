// In charge of: the settings of text messages: `[auth.sms]` of config.toml and GoTrue's variables.
// Source: supabase/cli apps/cli-go/pkg/config/{auth.go,templates/config.toml}, internal/start/start.go; supabase/auth
// internal/conf/configuration.go `SmsProviderConfiguration`.
import { errorMessage } from '../../../base/errors.ts';
import { explained, flag, oneOf, parsed, text, type ValuesOf, wholeNumber } from '../../../base/settings.ts';
import { parseDurationSeconds } from '../../../base/time.ts';
import { loadTemplate } from '../mail/template.ts';

const live = true;
const secret = true;

/** A phone number of the project's own tests → the code that is always right for it. */
export type TestOtps = Readonly<Record<string, string>>;

const enabled = (name: string, called: string) =>
  flag({
    key: `auth.sms.${name}.enabled`,
    env: [`SUPABASE_AUTH_SMS_${name.toUpperCase()}_ENABLED`],
    default: false,
    live,
    sentence: `Whether text messages go through ${called}.`,
  });

const word = (name: string, member: string, sentence: string) =>
  text({
    key: `auth.sms.${name}.${member}`,
    env: names(name, member),
    default: '',
    live,
    sentence,
  });

const hidden = (name: string, member: string, sentence: string) =>
  text({
    key: `auth.sms.${name}.${member}`,
    env: names(name, member),
    default: '',
    live,
    secret,
    sentence,
  });

function names(name: string, member: string): readonly string[] {
  const tail = `${name}_${member}`.toUpperCase();
  return [`GOTRUE_SMS_${tail}`, `SUPABASE_AUTH_SMS_${tail}`];
}

export const smsSettings = {
  smsProvider: oneOf(
    {
      key: 'auth.sms.provider',
      env: ['GOTRUE_SMS_PROVIDER'],
      default: '',
      live,
      sentence:
        'Who sends text messages. Empty: the one whose section says enabled; without one, in development, the inbox.',
    },
    ['', 'twilio', 'twilio_verify', 'messagebird', 'textlocal', 'vonage'],
  ),
  smsBaseUrl: parsed(
    {
      key: 'auth.sms.base_url',
      env: ['MILLRACE_SMS_BASE_URL'],
      default: '',
      live,
      sentence:
        'Where the provider of text messages is reached in place of its own address: a region of it, or a gateway of yours that speaks as it does.',
    },
    'an address such as "https://api.dublin.ie1.twilio.com"',
    parseBaseUrl,
  ),
  smsTemplate: explained(
    templateComplaints('auth.sms.template'),
    parsed(
      {
        key: 'auth.sms.template',
        env: ['GOTRUE_SMS_TEMPLATE', 'SUPABASE_AUTH_SMS_TEMPLATE'],
        default: 'Your code is {{ .Code }}',
        live,
        sentence: 'What a text message with a code says; `{{ .Code }}` is the code.',
      },
      'a text such as "Your code is {{ .Code }}"',
      parseTemplate,
    ),
  ),
  smsMaxFrequencySeconds: parsed(
    {
      key: 'auth.sms.max_frequency',
      env: ['GOTRUE_SMS_MAX_FREQUENCY', 'SUPABASE_AUTH_SMS_MAX_FREQUENCY'],
      default: 5,
      unit: 'seconds',
      live,
      sentence: 'How long a user waits for a second text message of the same kind.',
    },
    'a duration such as "5s"',
    parseDurationSeconds,
  ),
  smsOtpLength: wholeNumber({
    key: 'auth.sms.otp_length',
    env: ['GOTRUE_SMS_OTP_LENGTH'],
    default: 6,
    min: 6,
    max: 10,
    unit: 'digits',
    live,
    sentence: 'How long the codes in text messages are.',
  }),
  smsOtpExpirySeconds: wholeNumber({
    key: 'auth.sms.otp_expiry',
    env: ['GOTRUE_SMS_OTP_EXP'],
    default: 60,
    unit: 'seconds',
    live,
    sentence: 'How long codes in text messages are good for.',
  }),
  smsTestOtp: parsed<TestOtps>(
    {
      key: 'auth.sms.test_otp',
      env: ['GOTRUE_SMS_TEST_OTP'],
      default: {},
      live,
      secret,
      sentence:
        'Numbers to which nothing is sent, each with the code that is right for it: `4152127777 = "123456"`, in the environment `4152127777:123456,…`.',
    },
    'a table of phone numbers, each with a code',
    parseTestOtps,
  ),
  smsTestOtpValidUntil: parsed(
    {
      key: 'auth.sms.test_otp_valid_until',
      env: ['GOTRUE_SMS_TEST_OTP_VALID_UNTIL'],
      default: '',
      live,
      sentence:
        'Until when the codes of auth.sms.test_otp are right, such as 2027-01-31T00:00:00Z. Empty: always.',
    },
    'a time such as "2027-01-31T00:00:00Z"',
    parseTime,
  ),
  twilioEnabled: enabled('twilio', 'Twilio'),
  twilioAccountSid: word('twilio', 'account_sid', 'The account of Twilio.'),
  twilioAuthToken: hidden('twilio', 'auth_token', 'The token of that account.'),
  twilioMessageServiceSid: word(
    'twilio',
    'message_service_sid',
    'The messaging service of Twilio that sends, or the number.',
  ),
  twilioContentSid: word(
    'twilio',
    'content_sid',
    'The content template of Twilio for WhatsApp, whose first variable is the code. Empty: the text of auth.sms.template.',
  ),
  twilioVerifyEnabled: enabled('twilio_verify', 'Twilio Verify, which makes and checks the codes itself'),
  twilioVerifyAccountSid: word('twilio_verify', 'account_sid', 'The account of Twilio.'),
  twilioVerifyAuthToken: hidden('twilio_verify', 'auth_token', 'The token of that account.'),
  twilioVerifyMessageServiceSid: word(
    'twilio_verify',
    'message_service_sid',
    'The Verify service of Twilio.',
  ),
  messagebirdEnabled: enabled('messagebird', 'MessageBird'),
  messagebirdAccessKey: hidden('messagebird', 'access_key', 'The access key of MessageBird.'),
  messagebirdOriginator: word('messagebird', 'originator', 'Who the messages are from.'),
  textlocalEnabled: enabled('textlocal', 'Textlocal'),
  textlocalApiKey: hidden('textlocal', 'api_key', 'The API key of Textlocal.'),
  textlocalSender: word('textlocal', 'sender', 'Who the messages are from.'),
  vonageEnabled: enabled('vonage', 'Vonage'),
  vonageApiKey: word('vonage', 'api_key', 'The API key of Vonage.'),
  vonageApiSecret: hidden('vonage', 'api_secret', 'The secret of that key.'),
  vonageFrom: word('vonage', 'from', 'Who the messages are from.'),
} as const;

/** Without the slash at its end. */
function parseBaseUrl(raw: unknown): string | undefined {
  if (typeof raw !== 'string') return undefined;
  const trimmed = raw.trim().replace(/\/+$/, '');
  if (trimmed === '') return '';
  const url = URL.parse(trimmed);
  const isPlain = url?.search === '' && url.hash === '' && url.username === '' && url.password === '';
  return isPlain && /^https?:$/.test(url.protocol) ? trimmed : undefined;
}

export type SmsSettings = ValuesOf<typeof smsSettings>;

export function parseTemplate(raw: unknown): string | undefined {
  return typeof raw === 'string' && templateProblem('', raw) === undefined ? raw : undefined;
}

export function templateComplaints(key: string) {
  return (raw: unknown): readonly string[] => {
    const problem = typeof raw === 'string' ? templateProblem(key, raw) : undefined;
    return problem === undefined ? [] : [problem];
  };
}

function templateProblem(name: string, template: string): string | undefined {
  try {
    loadTemplate({ name, text: template }, 'text');
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

/** More than anybody's tests have. */
const maxTestOtps = 1000;

function parseTestOtps(raw: unknown): TestOtps | undefined {
  const pairs =
    typeof raw === 'string'
      ? raw.split(',').flatMap((pair) => (pair.trim() === '' ? [] : [pair.split(':')]))
      : typeof raw === 'object' && raw !== null && !Array.isArray(raw)
        ? Object.entries(raw)
        : undefined;
  if (pairs === undefined || pairs.length > maxTestOtps) return undefined;
  const found: [string, string][] = [];
  for (const [phone, code, ...more] of pairs) {
    const number = phone?.trim().replace(/^\+/, '').replaceAll(' ', '') ?? '';
    const isCode = typeof code === 'string' && code.trim() !== '';
    if (!/^[0-9]+$/.test(number) || !isCode || more.length > 0) return undefined;
    found.push([number, code.trim()]);
  }
  return Object.fromEntries(found);
}

function parseTime(raw: unknown): string | undefined {
  const written = raw instanceof Date ? raw.toISOString() : raw;
  if (typeof written !== 'string') return undefined;
  const trimmed = written.trim();
  return trimmed === '' || !Number.isNaN(Date.parse(trimmed)) ? trimmed : undefined;
}
