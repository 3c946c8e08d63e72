// In charge of: the settings of hooks: `[auth.hook.<name>]` of config.toml, and GoTrue's variables.
// Source: supabase/cli apps/cli-go/pkg/config/{auth,config}.go; supabase/auth internal/conf/configuration.go `HookConfiguration`.
import { flag, parsed } from '../../../base/settings.ts';
import { parseHookUri, parseSecrets } from './uri.ts';

const live = true;

const enabled = (key: string, env: string, when: string) =>
  flag({
    key: `auth.hook.${key}.enabled`,
    env: [`GOTRUE_HOOK_${env}_ENABLED`, `SUPABASE_AUTH_HOOK_${env}_ENABLED`],
    default: false,
    live,
    sentence: `Whether a hook of the project is asked ${when}.`,
  });

const uri = (key: string, env: string) =>
  parsed<string>(
    {
      key: `auth.hook.${key}.uri`,
      env: [`GOTRUE_HOOK_${env}_URI`, `SUPABASE_AUTH_HOOK_${env}_URI`],
      default: '',
      live,
      sentence:
        'The hook: a function of the database as `pg-functions://postgres/<schema>/<function>`, or an address with https, on this machine also http.',
    },
    'pg-functions://postgres/<schema>/<function>, or an address with https (http on this machine only)',
    (raw) =>
      typeof raw === 'string' && (raw === '' || parseHookUri(raw).kind !== 'nothing') ? raw : undefined,
  );

const secrets = (key: string, env: string) =>
  parsed<readonly string[]>(
    {
      key: `auth.hook.${key}.secrets`,
      env: [`GOTRUE_HOOK_${env}_SECRETS`, `SUPABASE_AUTH_HOOK_${env}_SECRETS`],
      default: [],
      live,
      secret: true,
      sentence:
        'What a hook by HTTP is signed with, as `v1,whsec_<base64>`; several with `|` between them, each of which signs.',
    },
    'secrets as "v1,whsec_<base64>" with "|" between them',
    parseSecrets,
  );

export const hookSettings = {
  hookAccessTokenEnabled: enabled(
    'custom_access_token',
    'CUSTOM_ACCESS_TOKEN',
    'for the claims of every access token',
  ),
  hookAccessTokenUri: uri('custom_access_token', 'CUSTOM_ACCESS_TOKEN'),
  hookAccessTokenSecrets: secrets('custom_access_token', 'CUSTOM_ACCESS_TOKEN'),
  hookSendEmailEnabled: enabled(
    'send_email',
    'SEND_EMAIL',
    'to send every mail of sign-in, in place of a mail server',
  ),
  hookSendEmailUri: uri('send_email', 'SEND_EMAIL'),
  hookSendEmailSecrets: secrets('send_email', 'SEND_EMAIL'),
  hookSendSmsEnabled: enabled(
    'send_sms',
    'SEND_SMS',
    'to send every text message of sign-in, in place of a provider',
  ),
  hookSendSmsUri: uri('send_sms', 'SEND_SMS'),
  hookSendSmsSecrets: secrets('send_sms', 'SEND_SMS'),
  hookMfaEnabled: enabled(
    'mfa_verification_attempt',
    'MFA_VERIFICATION_ATTEMPT',
    'whether a second factor that was tried may count',
  ),
  hookMfaUri: uri('mfa_verification_attempt', 'MFA_VERIFICATION_ATTEMPT'),
  hookMfaSecrets: secrets('mfa_verification_attempt', 'MFA_VERIFICATION_ATTEMPT'),
  hookPasswordEnabled: enabled(
    'password_verification_attempt',
    'PASSWORD_VERIFICATION_ATTEMPT',
    'whether a password that was tried may count',
  ),
  hookPasswordUri: uri('password_verification_attempt', 'PASSWORD_VERIFICATION_ATTEMPT'),
  hookPasswordSecrets: secrets('password_verification_attempt', 'PASSWORD_VERIFICATION_ATTEMPT'),
  hookBeforeUserEnabled: enabled(
    'before_user_created',
    'BEFORE_USER_CREATED',
    'whether a new user may become one',
  ),
  hookBeforeUserUri: uri('before_user_created', 'BEFORE_USER_CREATED'),
  hookBeforeUserSecrets: secrets('before_user_created', 'BEFORE_USER_CREATED'),
  hookAfterUserEnabled: enabled(
    'after_user_created',
    'AFTER_USER_CREATED',
    'after a new user has become one',
  ),
  hookAfterUserUri: uri('after_user_created', 'AFTER_USER_CREATED'),
  hookAfterUserSecrets: secrets('after_user_created', 'AFTER_USER_CREATED'),
} as const;
