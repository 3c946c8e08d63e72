// In charge of: what the auth API says about itself: GET /health, /settings, /.well-known/jwks.json.
// Source: supabase/auth internal/api/{api,settings,jwks}.go.
import type { Answer, Visit } from '../context.ts';
import { json } from '../go-json.ts';
import { configOf } from '../oauth/providers/settings.ts';
import { providerNameOf } from '../sms/sms.ts';

/** The version whose wire is spoken. */
export const upstreamVersion = 'v2.196.0';

export function health(): Answer {
  return json(200, {
    version: upstreamVersion,
    name: 'GoTrue',
    description: 'GoTrue is a user registration and authentication API',
  });
}

export function publicSettings({ config }: Visit): Answer {
  return json(200, {
    external: {
      anonymous_users: config.enableAnonymous,
      ...Object.fromEntries(providers.map((name) => [name, configOf(config, name).enabled])),
      email: config.enableEmail,
      phone: config.enablePhone,
      zoom: configOf(config, 'zoom').enabled,
    },
    disable_signup: !config.enableSignup,
    mailer_autoconfirm: !config.enableConfirmations,
    phone_autoconfirm: !config.enablePhoneConfirmations,
    sms_provider: providerNameOf(config),
    saml_enabled: config.samlEnabled,
    saml_private_key_next_configured: config.samlPrivateKeyNext !== '',
    passkeys_enabled: config.passkeysEnabled,
  });
}

export function jwks({ auth }: Visit): Answer {
  return json(200, auth.identity.jwks(), [['cache-control', 'public, max-age=600']]);
}

const providers = [
  'apple',
  'azure',
  'bitbucket',
  'discord',
  'facebook',
  'snapchat',
  'figma',
  'fly',
  'github',
  'gitlab',
  'google',
  'keycloak',
  'kakao',
  'linkedin',
  'linkedin_oidc',
  'notion',
  'spotify',
  'slack',
  'slack_oidc',
  'workos',
  'twitch',
  'twitter',
] as const;
