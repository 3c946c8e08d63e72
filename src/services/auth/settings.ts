// In charge of: the settings of sign-in: `[auth]` of config.toml under the names that the Supabase CLI gives them, and GoTrue's variables.
// Source: supabase/cli apps/cli-go/pkg/config/{auth.go,templates/config.toml}, internal/start/start.go `buildGotrueEnv`; supabase/auth
// internal/conf/configuration.go.
import { flag, list, parsed, text, type ValuesOf, wholeNumber } from '../../base/settings.ts';
import { parseDurationSeconds } from '../../base/time.ts';
import { captchaSettings } from './captcha/settings.ts';
import { cleanupSettings } from './cleanup.ts';
import { encryptedTextSettings } from './encrypted-text.ts';
import { hookSettings } from './hooks/settings.ts';
import { authLimitSettings } from './limits/settings.ts';
import { addressSettings } from './mail/address-settings.ts';
import { mailTextSettings } from './mail/texts.ts';
import { mfaSettings } from './mfa/settings.ts';
import { externalSettings } from './oauth/providers/settings.ts';
import { oauthServerSettings } from './oauth-server/settings.ts';
import { passwordSettings } from './passwords/settings.ts';
import { refreshTokenSettings } from './refresh-token-settings.ts';
import { samlSettings } from './saml/settings.ts';
import { smsSettings } from './sms/settings.ts';
import { web3Settings } from './web3/settings.ts';
import { webauthnSettings } from './webauthn/settings.ts';

const live = true;

/** A duration, 0 for none. */
const seconds = (raw: unknown) => parseDurationSeconds(raw);

/** Upstream's longest life of a token. Source: supabase/cli apps/cli-go/pkg/config/templates/config.toml. */
const maxTokenSeconds = 604_800;

export const settings = {
  siteUrl: text({
    key: 'auth.site_url',
    env: ['GOTRUE_SITE_URL', 'SUPABASE_AUTH_SITE_URL'],
    default: 'http://127.0.0.1:3000',
    live,
    sentence: "The application's address: where links in mails lead to, and always an allowed redirect.",
  }),
  externalUrl: text({
    key: 'auth.external_url',
    env: ['GOTRUE_API_EXTERNAL_URL', 'SUPABASE_AUTH_EXTERNAL_URL'],
    default: '',
    live,
    sentence: 'Where the auth API is reached. Empty: api.external_url with /auth/v1.',
  }),
  redirectUrls: list({
    key: 'auth.additional_redirect_urls',
    env: ['GOTRUE_URI_ALLOW_LIST', 'SUPABASE_AUTH_ADDITIONAL_REDIRECT_URLS'],
    default: ['https://127.0.0.1:3000'],
    live,
    sentence: 'Where a sign-in may lead to beside the site: addresses, or patterns with `*` and `**`.',
  }),
  externalRedirectUrl: text({
    key: 'auth.external_redirect_url',
    env: ['GOTRUE_EXTERNAL_REDIRECT_URL'],
    default: '',
    live,
    sentence:
      'Where every sign-in with a provider comes back to in the end, whatever the application asked for. Empty: where it asked to.',
  }),
  jwtExpirySeconds: wholeNumber({
    key: 'auth.jwt_expiry',
    env: ['GOTRUE_JWT_EXP', 'SUPABASE_AUTH_JWT_EXPIRY'],
    default: 3600,
    min: 1,
    max: maxTokenSeconds,
    unit: 'seconds',
    live,
    sentence: 'How long an access token is good for.',
  }),
  jwtIssuer: text({
    key: 'auth.jwt_issuer',
    env: ['GOTRUE_JWT_ISSUER', 'SUPABASE_AUTH_JWT_ISSUER'],
    default: '',
    live,
    sentence: 'The `iss` of tokens. Empty: the address of the auth API.',
  }),
  jwtAudience: text({
    key: 'auth.jwt_audience',
    env: ['GOTRUE_JWT_AUD'],
    default: 'authenticated',
    live,
    sentence: 'The `aud` of users and their tokens, unless a request names another.',
  }),
  defaultRole: text({
    key: 'auth.default_role',
    env: ['GOTRUE_JWT_DEFAULT_GROUP_NAME'],
    default: 'authenticated',
    live,
    sentence: 'The database role of a new user.',
  }),
  adminRoles: list({
    key: 'auth.admin_roles',
    env: ['GOTRUE_JWT_ADMIN_ROLES'],
    default: ['service_role', 'supabase_admin'],
    live,
    sentence: 'The roles whose tokens may use the paths below /admin.',
  }),
  rotation: flag({
    key: 'auth.enable_refresh_token_rotation',
    env: ['GOTRUE_SECURITY_REFRESH_TOKEN_ROTATION_ENABLED', 'SUPABASE_AUTH_ENABLE_REFRESH_TOKEN_ROTATION'],
    default: true,
    live,
    sentence: 'Whether a refresh token that is used a second time ends every token of its session.',
  }),
  reuseIntervalSeconds: wholeNumber({
    key: 'auth.refresh_token_reuse_interval',
    env: ['GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL', 'SUPABASE_AUTH_REFRESH_TOKEN_REUSE_INTERVAL'],
    default: 10,
    unit: 'seconds',
    live,
    sentence:
      'How long after its use a refresh token may be used again, by a second tab or after a lost answer.',
  }),
  ...refreshTokenSettings,
  ...encryptedTextSettings,
  ...cleanupSettings,
  enableSignup: flag({
    key: 'auth.enable_signup',
    env: ['SUPABASE_AUTH_ENABLE_SIGNUP'],
    default: true,
    live,
    sentence: 'Whether people can sign up by themselves. GOTRUE_DISABLE_SIGNUP says the opposite.',
  }),
  enableAnonymous: flag({
    key: 'auth.enable_anonymous_sign_ins',
    env: ['GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED', 'SUPABASE_AUTH_ENABLE_ANONYMOUS_SIGN_INS'],
    default: false,
    live,
    sentence: 'Whether a visitor can become a user without a name.',
  }),
  enableManualLinking: flag({
    key: 'auth.enable_manual_linking',
    env: ['GOTRUE_SECURITY_MANUAL_LINKING_ENABLED', 'SUPABASE_AUTH_ENABLE_MANUAL_LINKING'],
    default: false,
    live,
    sentence: 'Whether a user can add and remove ways to sign in.',
  }),
  oneBrowser: flag({
    key: 'auth.one_browser',
    env: ['MILLRACE_AUTH_ONE_BROWSER'],
    default: true,
    live,
    sentence:
      'Whether a sign-in at a provider without PKCE has to end in the browser in which it began, known again by a cookie.',
  }),
  ...passwordSettings,
  ...externalSettings,
  ...samlSettings,
  scimEnabled: flag({
    key: 'auth.scim.enabled',
    env: ['GOTRUE_EXPERIMENTAL_SCIM_ENABLED'],
    default: false,
    live,
    sentence:
      'Whether the documents by which SCIM 2.0 begins are there; there are no resources yet, as upstream.',
  }),
  ...web3Settings,
  ...mailTextSettings,
  ...addressSettings,
  ...mfaSettings,
  ...webauthnSettings,
  ...hookSettings,
  ...oauthServerSettings,
  ...captchaSettings,
  ...authLimitSettings,
  enableEmail: flag({
    key: 'auth.email.enable_signup',
    env: ['GOTRUE_EXTERNAL_EMAIL_ENABLED', 'SUPABASE_AUTH_EMAIL_ENABLE_SIGNUP'],
    default: true,
    live,
    sentence: 'Whether people can sign up and in with a mail address.',
  }),
  enableConfirmations: flag({
    key: 'auth.email.enable_confirmations',
    env: ['SUPABASE_AUTH_EMAIL_ENABLE_CONFIRMATIONS'],
    default: false,
    live,
    sentence:
      'Whether a mail address has to be confirmed before its owner can sign in. GOTRUE_MAILER_AUTOCONFIRM says the opposite.',
  }),
  doubleConfirmChanges: flag({
    key: 'auth.email.double_confirm_changes',
    env: ['GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED', 'SUPABASE_AUTH_EMAIL_DOUBLE_CONFIRM_CHANGES'],
    default: true,
    live,
    sentence: 'Whether a change of the mail address has to be confirmed at the old one as well.',
  }),
  securePasswordChange: flag({
    key: 'auth.email.secure_password_change',
    env: [
      'GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION',
      'SUPABASE_AUTH_EMAIL_SECURE_PASSWORD_CHANGE',
    ],
    default: false,
    live,
    sentence:
      'Whether a password can only be changed within a day of signing in, or with a code sent by mail.',
  }),
  requireCurrentPassword: flag({
    key: 'auth.email.require_current_password',
    env: ['GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD'],
    default: false,
    live,
    sentence: 'Whether a password can only be changed together with the present one.',
  }),
  emailMaxFrequencySeconds: parsed(
    {
      key: 'auth.email.max_frequency',
      env: ['GOTRUE_SMTP_MAX_FREQUENCY', 'SUPABASE_AUTH_EMAIL_MAX_FREQUENCY'],
      default: 1,
      unit: 'seconds',
      live,
      sentence: 'How long a user waits for a second mail of the same kind.',
    },
    'a duration such as "1s"',
    seconds,
  ),
  emailOtpLength: wholeNumber({
    key: 'auth.email.otp_length',
    env: ['GOTRUE_MAILER_OTP_LENGTH', 'SUPABASE_AUTH_EMAIL_OTP_LENGTH'],
    default: 6,
    min: 6,
    max: 10,
    unit: 'digits',
    live,
    sentence: 'How long the codes in mails are.',
  }),
  emailOtpExpirySeconds: wholeNumber({
    key: 'auth.email.otp_expiry',
    env: ['GOTRUE_MAILER_OTP_EXP', 'SUPABASE_AUTH_EMAIL_OTP_EXPIRY'],
    default: 3600,
    unit: 'seconds',
    live,
    sentence: 'How long links and codes in mails are good for.',
  }),
  enablePhone: flag({
    key: 'auth.sms.enable_signup',
    env: ['GOTRUE_EXTERNAL_PHONE_ENABLED', 'SUPABASE_AUTH_SMS_ENABLE_SIGNUP'],
    default: false,
    live,
    sentence: 'Whether people can sign up and in with a phone number.',
  }),
  enablePhoneConfirmations: flag({
    key: 'auth.sms.enable_confirmations',
    env: ['SUPABASE_AUTH_SMS_ENABLE_CONFIRMATIONS'],
    default: false,
    live,
    sentence:
      'Whether a phone number has to be confirmed before its owner can sign in. GOTRUE_SMS_AUTOCONFIRM says the opposite.',
  }),
  ...smsSettings,
  timeboxSeconds: parsed(
    {
      key: 'auth.sessions.timebox',
      env: ['GOTRUE_SESSIONS_TIMEBOX', 'SUPABASE_AUTH_SESSIONS_TIMEBOX'],
      default: 0,
      unit: 'seconds',
      live,
      sentence: 'After this long a session cannot be refreshed any more; 0: never.',
    },
    'a duration such as "24h"',
    seconds,
  ),
  inactivitySeconds: parsed(
    {
      key: 'auth.sessions.inactivity_timeout',
      env: ['GOTRUE_SESSIONS_INACTIVITY_TIMEOUT', 'SUPABASE_AUTH_SESSIONS_INACTIVITY_TIMEOUT'],
      default: 0,
      unit: 'seconds',
      live,
      sentence: 'A session that was not refreshed for this long cannot be any more; 0: never.',
    },
    'a duration such as "8h"',
    seconds,
  ),
  lowAalSeconds: parsed(
    {
      key: 'auth.sessions.allow_low_aal',
      env: ['GOTRUE_SESSIONS_ALLOW_LOW_AAL'],
      default: 0,
      unit: 'seconds',
      live,
      sentence: 'How long a user who has a second factor may go on without it; 0: as long as they like.',
    },
    'a duration such as "5m"',
    seconds,
  ),
  singlePerUser: flag({
    key: 'auth.sessions.single_per_user',
    env: ['GOTRUE_SESSIONS_SINGLE_PER_USER'],
    default: false,
    live,
    sentence: 'Whether only the session that was refreshed last goes on.',
  }),
  auditInDatabase: flag({
    key: 'auth.audit_log.database',
    env: ['MILLRACE_AUTH_AUDIT_LOG'],
    default: true,
    live,
    sentence: 'Whether what users do is written to auth.audit_log_entries, beside the log of the program.',
  }),
} as const;

export type AuthSettings = ValuesOf<typeof settings>;

/** Variables that say the opposite of a setting, under a name that the setting knows. */
export function withOpposites(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  const added = opposites.flatMap(([opposite, own]) => {
    const value = environment[opposite]?.toLowerCase();
    if (value === undefined || environment[own] !== undefined) return [];
    const turned =
      value === 'true' || value === '1' ? 'false' : value === 'false' || value === '0' ? 'true' : value;
    return [[own, turned] as const];
  });
  return added.length === 0 ? environment : { ...environment, ...Object.fromEntries(added) };
}

const opposites = [
  ['GOTRUE_DISABLE_SIGNUP', 'SUPABASE_AUTH_ENABLE_SIGNUP'],
  ['GOTRUE_MAILER_AUTOCONFIRM', 'SUPABASE_AUTH_EMAIL_ENABLE_CONFIRMATIONS'],
  ['GOTRUE_SMS_AUTOCONFIRM', 'SUPABASE_AUTH_SMS_ENABLE_CONFIRMATIONS'],
] as const;
