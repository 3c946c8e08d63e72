// In charge of: the settings of second factors: `[auth.mfa]` of config.toml and GoTrue's variables.
// Source: supabase/cli apps/cli-go/pkg/config/{auth.go,templates/config.toml}, internal/start/start.go; supabase/auth
// internal/conf/configuration.go `MFAConfiguration`.
import { explained, flag, parsed, wholeNumber } from '../../../base/settings.ts';
import { parseDurationSeconds } from '../../../base/time.ts';
import { parseTemplate, templateComplaints } from '../sms/settings.ts';

const live = true;
/** Source: supabase/auth internal/conf/configuration.go `defaultChallengeExpiryDuration`, `defaultFactorExpiryDuration`. */
const leastSeconds = 300;

/** `[auth.mfa.<name>]`, which variables call `GOTRUE_MFA_<NAME>_…`. */
function factorFlag(name: string, member: 'enroll_enabled' | 'verify_enabled', sentence: string) {
  const tail = `MFA_${name}_${member}`.toUpperCase();
  return flag({
    key: `auth.mfa.${name}.${member}`,
    env: [`GOTRUE_${tail}`, `SUPABASE_AUTH_${tail}`],
    default: false,
    live,
    sentence,
  });
}

/** A duration that is never shorter than upstream's own. */
function lifetime(key: string, env: string, sentence: string) {
  return parsed<number>(
    { key, env: [env], default: leastSeconds, unit: 'seconds', live, sentence },
    'a duration such as "5m"',
    (raw) => {
      const seconds = parseDurationSeconds(raw);
      return seconds === undefined ? undefined : Math.max(Math.floor(seconds), leastSeconds);
    },
  );
}

export const mfaSettings = {
  mfaMaxFactors: wholeNumber({
    key: 'auth.mfa.max_enrolled_factors',
    env: ['GOTRUE_MFA_MAX_ENROLLED_FACTORS', 'SUPABASE_AUTH_MFA_MAX_ENROLLED_FACTORS'],
    default: 10,
    unit: 'factors',
    live,
    sentence: 'How many second factors a user can have, verified or not.',
  }),
  mfaMaxVerifiedFactors: wholeNumber({
    key: 'auth.mfa.max_verified_factors',
    env: ['GOTRUE_MFA_MAX_VERIFIED_FACTORS'],
    default: 10,
    unit: 'factors',
    live,
    sentence: 'How many verified second factors a user can have.',
  }),
  mfaChallengeSeconds: lifetime(
    'auth.mfa.challenge_expiry_duration',
    'GOTRUE_MFA_CHALLENGE_EXPIRY_DURATION',
    'How long a challenge can be answered; less than 300 counts as 300.',
  ),
  mfaFactorSeconds: lifetime(
    'auth.mfa.factor_expiry_duration',
    'GOTRUE_MFA_FACTOR_EXPIRY_DURATION',
    'How long a factor may stay without a challenge before it is forgotten; less than 300 counts as 300.',
  ),
  totpEnroll: factorFlag('totp', 'enroll_enabled', 'Whether users can enrol an authenticator app.'),
  totpVerify: factorFlag('totp', 'verify_enabled', 'Whether codes of authenticator apps are taken.'),
  mfaPhoneEnroll: factorFlag(
    'phone',
    'enroll_enabled',
    'Whether users can enrol a phone number as a second factor.',
  ),
  mfaPhoneVerify: factorFlag(
    'phone',
    'verify_enabled',
    'Whether codes are sent to phone numbers that are second factors.',
  ),
  mfaPhoneOtpLength: parsed<number>(
    {
      key: 'auth.mfa.phone.otp_length',
      env: ['GOTRUE_MFA_PHONE_OTP_LENGTH', 'SUPABASE_AUTH_MFA_PHONE_OTP_LENGTH'],
      default: 6,
      unit: 'digits',
      live,
      sentence:
        'How long the codes for phone numbers that are second factors are, from 6 to 10; another length counts as 6.',
    },
    'a whole number',
    (raw) => {
      const digits = anyNumber.parse(raw);
      // Source: supabase/auth internal/conf/configuration.go `ApplyDefaults`.
      return digits === undefined ? undefined : digits < 6 || digits > 10 ? 6 : digits;
    },
  ),
  mfaPhoneTemplate: explained(
    templateComplaints('auth.mfa.phone.template'),
    parsed(
      {
        key: 'auth.mfa.phone.template',
        env: ['GOTRUE_MFA_PHONE_TEMPLATE', 'SUPABASE_AUTH_MFA_PHONE_TEMPLATE'],
        default: 'Your code is {{ .Code }}',
        live,
        sentence: 'What a text message with a second factor says; `{{ .Code }}` is the code.',
      },
      'a text such as "Your code is {{ .Code }}"',
      parseTemplate,
    ),
  ),
  mfaPhoneMaxFrequencySeconds: parsed(
    {
      key: 'auth.mfa.phone.max_frequency',
      env: ['GOTRUE_MFA_PHONE_MAX_FREQUENCY', 'SUPABASE_AUTH_MFA_PHONE_MAX_FREQUENCY'],
      default: 5,
      unit: 'seconds',
      live,
      sentence: 'How long a user waits for a second text message to the same factor.',
    },
    'a duration such as "5s"',
    parseDurationSeconds,
  ),
  mfaWebauthnEnroll: factorFlag(
    'web_authn',
    'enroll_enabled',
    'Whether users can enrol a security key or a passkey as a second factor.',
  ),
  mfaWebauthnVerify: factorFlag(
    'web_authn',
    'verify_enabled',
    'Whether security keys and passkeys are taken as a second factor.',
  ),
} as const;

const anyNumber = wholeNumber({ key: '', default: 6, sentence: '' });
