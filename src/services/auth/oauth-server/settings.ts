// In charge of: the settings of signing in to other applications with this project, `[auth.oauth_server]` of config.toml.
// Source: supabase/cli apps/cli-go/pkg/config/{auth.go `OAuthServer`,templates/config.toml}; supabase/auth internal/conf/configuration.go
// `OAuthServerConfiguration`.
import { flag, parsed, text } from '../../../base/settings.ts';
import { parseDurationSeconds } from '../../../base/time.ts';

const live = true;

/** A code is good as long as the request that it answers. Source: OAuth 2.1 section 4.1.2 recommends ten minutes at most. */
const defaultTtlSeconds = 600;
const maxTtlSeconds = 24 * 60 * 60;

export const oauthServerSettings = {
  oauthServer: flag({
    key: 'auth.oauth_server.enabled',
    env: ['GOTRUE_OAUTH_SERVER_ENABLED', 'SUPABASE_AUTH_OAUTH_SERVER_ENABLED'],
    default: false,
    live,
    sentence:
      "Whether other applications can have this project's users sign in to them (OAuth 2.1, OpenID Connect).",
  }),
  oauthServerRegistration: flag({
    key: 'auth.oauth_server.allow_dynamic_registration',
    env: [
      'GOTRUE_OAUTH_SERVER_ALLOW_DYNAMIC_REGISTRATION',
      'SUPABASE_AUTH_OAUTH_SERVER_ALLOW_DYNAMIC_REGISTRATION',
    ],
    default: false,
    live,
    sentence:
      'Whether an application can register itself, as AI agents do; otherwise an administrator does it.',
  }),
  oauthServerPath: text({
    key: 'auth.oauth_server.authorization_url_path',
    env: ['GOTRUE_OAUTH_SERVER_AUTHORIZATION_PATH', 'SUPABASE_AUTH_OAUTH_SERVER_AUTHORIZATION_URL_PATH'],
    default: '/oauth/consent',
    live,
    sentence: 'The page of the site on which a user is asked; it gets `?authorization_id=`.',
  }),
  oauthServerTtlSeconds: parsed(
    {
      key: 'auth.oauth_server.authorization_ttl',
      env: ['GOTRUE_OAUTH_SERVER_AUTHORIZATION_TTL'],
      default: defaultTtlSeconds,
      unit: 'seconds',
      live,
      sentence: 'How long a user may take to answer, and an application to fetch its tokens after that.',
    },
    'a duration up to "24h", such as "10m"',
    (raw) => {
      const seconds = parseDurationSeconds(raw);
      return seconds !== undefined && seconds > 0 && seconds <= maxTtlSeconds ? seconds : undefined;
    },
  ),
  oauthServerScope: text({
    key: 'auth.oauth_server.default_scope',
    env: ['GOTRUE_OAUTH_SERVER_DEFAULT_SCOPE'],
    default: 'email',
    live,
    sentence: 'What an application asks for that names nothing.',
  }),
} as const;
