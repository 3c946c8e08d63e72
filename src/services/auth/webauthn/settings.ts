// In charge of: the settings of passkeys and of who asks for them: `[auth.passkey]` and `[auth.webauthn]` of config.toml.
// Source: supabase/cli apps/cli-go/pkg/config/auth.go, internal/start/start.go `appendGotruePasskeyEnv`; supabase/auth
// internal/conf/configuration.go `WebAuthnConfiguration`, `PasskeyConfiguration`.
import { flag, list, parsed, text, wholeNumber } from '../../../base/settings.ts';
import { parseDurationSeconds } from '../../../base/time.ts';

const live = true;

export const webauthnSettings = {
  passkeysEnabled: flag({
    key: 'auth.passkey.enabled',
    env: ['GOTRUE_PASSKEY_ENABLED', 'SUPABASE_AUTH_PASSKEY_ENABLED'],
    default: false,
    live,
    sentence: 'Whether users can register passkeys and sign in with them.',
  }),
  maxPasskeys: wholeNumber({
    key: 'auth.passkey.max_passkeys_per_user',
    env: ['GOTRUE_PASSKEY_MAX_PASSKEYS_PER_USER'],
    default: 10,
    unit: 'passkeys',
    live,
    sentence: 'How many passkeys a user can have.',
  }),
  rpId: text({
    key: 'auth.webauthn.rp_id',
    env: ['GOTRUE_WEBAUTHN_RP_ID', 'SUPABASE_AUTH_WEBAUTHN_RP_ID'],
    default: '',
    live,
    sentence:
      'The domain that passkeys and security keys belong to: the one of the application, or one above it. Empty: that of auth.site_url.',
  }),
  rpDisplayName: text({
    key: 'auth.webauthn.rp_display_name',
    env: ['GOTRUE_WEBAUTHN_RP_DISPLAY_NAME', 'SUPABASE_AUTH_WEBAUTHN_RP_DISPLAY_NAME'],
    default: '',
    live,
    sentence: 'What people are told whom they make a passkey for. Empty: the domain.',
  }),
  rpOrigins: list({
    key: 'auth.webauthn.rp_origins',
    env: ['GOTRUE_WEBAUTHN_RP_ORIGINS', 'SUPABASE_AUTH_WEBAUTHN_RP_ORIGINS'],
    default: [],
    live,
    sentence: 'The origins whose pages may ask for a passkey. Empty: that of auth.site_url.',
  }),
  webauthnChallengeSeconds: parsed(
    {
      key: 'auth.webauthn.challenge_expiry_duration',
      env: ['GOTRUE_WEBAUTHN_CHALLENGE_EXPIRY_DURATION'],
      default: 300,
      unit: 'seconds',
      live,
      sentence: 'How long a challenge for a passkey can be answered.',
    },
    'a duration such as "5m"',
    parseDurationSeconds,
  ),
} as const;
