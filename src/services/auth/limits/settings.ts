// In charge of: the settings of limits: `[auth.rate_limit]` of config.toml, and GoTrue's variables.
// Source: supabase/cli apps/cli-go/pkg/config/{auth.go,templates/config.toml}, internal/start/start.go; supabase/auth internal/conf.
import { parsed, wholeNumber } from '../../../base/settings.ts';
import { parseDurationSeconds } from '../../../base/time.ts';
import { limitSettings } from '../../../engine/limits/settings.ts';
import { smtpSettings } from '../../../engine/mail/settings.ts';

const max = 1_000_000_000;

/** A number in an hour, or as upstream's variables also say it: `10/1h`. Source: supabase/auth internal/conf/rate.go. */
export type AmountOrRate = number | string;

export function rateOf(value: AmountOrRate): { readonly amount: number; readonly seconds: number } {
  if (typeof value === 'number') return { amount: value, seconds: 3600 };
  const [amount = '', span = ''] = value.split('/');
  return { amount: Number(amount), seconds: parseDurationSeconds(span) ?? 0 };
}

function hourlyLimit(key: string, env: readonly string[], value: number, sentence: string) {
  return parsed<AmountOrRate>(
    {
      key: `auth.rate_limit.${key}`,
      env,
      default: value,
      unit: 'an hour',
      live: true,
      sentence: `${sentence} Over another time as a rate: \`10/30m\`.`,
    },
    `a whole number from 0 to ${max}, or a rate such as "10/30m" over at least a second`,
    parseAmountOrRate,
  );
}

function parseAmountOrRate(raw: unknown): AmountOrRate | undefined {
  const text = typeof raw === 'number' ? String(raw) : raw;
  if (typeof text !== 'string') return undefined;
  if (/^\d+$/.test(text.trim()) && Number(text) <= max) return Number(text);
  const { amount, seconds } = /^\d+\/[0-9.a-zµ]*[a-z]$/.test(text)
    ? rateOf(text)
    : { amount: max + 1, seconds: 0 };
  return amount <= max && Number.isInteger(seconds) && seconds >= 1 ? text : undefined;
}

function limit(key: string, env: readonly string[], value: number, sentence: string) {
  return wholeNumber({
    key: `auth.rate_limit.${key}`,
    env,
    default: value,
    max,
    unit: 'requests',
    live: true,
    sentence,
  });
}

const per5Minutes =
  'in five minutes from one client address. Loopback counts, as one, in production and for whoever comes by a proxy that nobody named.';

export const authLimitSettings = {
  limitEmailSent: hourlyLimit(
    'email_sent',
    ['GOTRUE_RATE_LIMIT_EMAIL_SENT', 'SUPABASE_AUTH_RATE_LIMIT_EMAIL_SENT'],
    2,
    'Mails of sign-in in an hour, of the whole project, where a mail server is set and addresses have to be confirmed; 0: none at all.',
  ),
  limitSmsSent: hourlyLimit(
    'sms_sent',
    ['GOTRUE_RATE_LIMIT_SMS_SENT', 'SUPABASE_AUTH_RATE_LIMIT_SMS_SENT'],
    30,
    'Text messages of sign-in in an hour, of the whole project, where numbers have to be confirmed.',
  ),
  limitAnonymousUsers: limit(
    'anonymous_users',
    ['GOTRUE_RATE_LIMIT_ANONYMOUS_USERS', 'SUPABASE_AUTH_RATE_LIMIT_ANONYMOUS_USERS'],
    30,
    'Anonymous sign-ins in an hour from one client address. Loopback counts, as one, in production and for whoever comes by a proxy that nobody named.',
  ),
  limitTokenRefresh: limit(
    'token_refresh',
    ['GOTRUE_RATE_LIMIT_TOKEN_REFRESH', 'SUPABASE_AUTH_RATE_LIMIT_TOKEN_REFRESH'],
    150,
    `Requests for a token, by a password, a refresh token, a code or an id_token, ${per5Minutes}`,
  ),
  limitSignInSignUps: limit(
    'sign_in_sign_ups',
    ['GOTRUE_RATE_LIMIT_OTP', 'SUPABASE_AUTH_RATE_LIMIT_SIGN_IN_SIGN_UPS'],
    30,
    `Sign-ups, and as many of each kind of request that sends something or changes a user, ${per5Minutes}`,
  ),
  limitTokenVerifications: limit(
    'token_verifications',
    ['GOTRUE_RATE_LIMIT_VERIFY', 'SUPABASE_AUTH_RATE_LIMIT_TOKEN_VERIFICATIONS'],
    30,
    `Codes and links that are tried, ${per5Minutes}`,
  ),
  limitWeb3: limit(
    'web3',
    ['GOTRUE_RATE_LIMIT_WEB3', 'SUPABASE_AUTH_RATE_LIMIT_WEB3'],
    30,
    `Sign-ins with a wallet ${per5Minutes}`,
  ),
  limitSso: limit('sso', ['GOTRUE_RATE_LIMIT_SSO'], 30, `Sign-ins by SSO that are begun ${per5Minutes}`),
  limitSamlAssertion: limit(
    'saml_assertion',
    ['GOTRUE_SAML_RATE_LIMIT_ASSERTION'],
    15,
    `Answers of identity providers ${per5Minutes}`,
  ),
  limitPasskey: limit(
    'passkey',
    ['GOTRUE_RATE_LIMIT_PASSKEY'],
    30,
    `Sign-ins with a passkey that are begun ${per5Minutes}`,
  ),
  limitClientRegister: limit(
    'oauth_dynamic_client_register',
    ['GOTRUE_RATE_LIMIT_OAUTH_DYNAMIC_CLIENT_REGISTER'],
    10,
    `Applications that register themselves ${per5Minutes}`,
  ),
  limitFactors: limit(
    'mfa_challenge_and_verify',
    ['GOTRUE_MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY'],
    15,
    'Challenges of second factors, and as many tries, in a minute from one client address. Loopback counts, as one, in production and for whoever comes by a proxy that nobody named.',
  ),
  limitFailedAttempts: limit(
    'failed_attempts',
    ['MILLRACE_AUTH_LIMIT_FAILED_ATTEMPTS'],
    100,
    'Wrong passwords and codes in five minutes for one account, wherever they come from; then every try is refused until these are over. 0: not counted.',
  ),
  /** The same settings as the mail's and the gateway's own. */
  smtpEnabled: smtpSettings.enabled,
  limitProcesses: limitSettings.processes,
} as const;
