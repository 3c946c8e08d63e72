// In charge of: `[auth.external.<provider>]` of config.toml: which providers people can sign in with, and as which application.
// Source: supabase/auth internal/conf/configuration.go `OAuthProviderConfiguration`, `ProviderConfiguration`, `CustomOAuthConfiguration`;
// supabase/cli apps/cli-go/pkg/config/{auth.go `provider`,templates/config.toml}, internal/start/start.go.
import { flag, list, type Setting, text, type ValuesOf, wholeNumber } from '../../../../base/settings.ts';
import type { ProviderConfig } from '../provider.ts';

/** Every provider of upstream. Source: supabase/auth internal/api/external.go `Provider`. */
export const providerNames = [
  'apple',
  'azure',
  'bitbucket',
  'discord',
  'facebook',
  'figma',
  'fly',
  'github',
  'gitlab',
  'google',
  'kakao',
  'keycloak',
  'linkedin',
  'linkedin_oidc',
  'notion',
  'slack',
  'slack_oidc',
  'snapchat',
  'spotify',
  'twitch',
  'twitter',
  'vercel_marketplace',
  'workos',
  'x',
  'zoom',
] as const;
export type ProviderName = (typeof providerNames)[number];

export const isProviderName = (name: string): name is ProviderName =>
  (providerNames as readonly string[]).includes(name);

const live = true;

function facts(name: ProviderName, member: string) {
  const env = `${name}_${member}`.toUpperCase();
  return {
    key: `auth.external.${name}.${member}`,
    env: [`GOTRUE_EXTERNAL_${env}`, `SUPABASE_AUTH_EXTERNAL_${env}`],
    live,
  };
}

function settingsOf(name: ProviderName) {
  return {
    enabled: flag({
      ...facts(name, 'enabled'),
      default: false,
      sentence: `Whether people can sign in with ${name}.`,
    }),
    client_id: list({
      ...facts(name, 'client_id'),
      default: [],
      sentence: `The application's id at ${name}; more of them, behind commas, are taken as the audience of an id_token.`,
    }),
    secret: text({
      ...facts(name, 'secret'),
      default: '',
      secret: true,
      sentence: `The application's secret at ${name}.`,
    }),
    redirect_uri: text({
      ...facts(name, 'redirect_uri'),
      default: '',
      sentence: `Where ${name} sends people back to. Empty: \`/callback\` below the address of the auth API.`,
    }),
    url: text({
      ...facts(name, 'url'),
      default: '',
      sentence: `Where ${name} is reached when it is not the public one. Empty: the public one.`,
    }),
    skip_nonce_check: flag({
      ...facts(name, 'skip_nonce_check'),
      default: false,
      sentence: `Whether an id_token of ${name} is taken whatever its nonce is. It can be replayed then.`,
    }),
    email_optional: flag({
      ...facts(name, 'email_optional'),
      default: false,
      sentence: `Whether people whose mail address ${name} does not tell can sign in.`,
    }),
  };
}

type Members = ReturnType<typeof settingsOf>;
type Member = keyof Members;
type ExternalSettings = {
  readonly [K in `external:${ProviderName}:${Member}`]: K extends `external:${string}:${infer M extends Member}`
    ? Members[M]
    : never;
};

// Sound: one entry for each name and member, as the type says.
const external = Object.fromEntries(
  providerNames.flatMap((name) =>
    Object.entries(settingsOf(name)).map(([member, setting]): [string, Setting<unknown>] => [
      `external:${name}:${member}`,
      setting,
    ]),
  ),
) as ExternalSettings;

export const externalSettings = {
  ...external,
  iosBundleId: text({
    key: 'auth.external.apple.ios_bundle_id',
    env: ['GOTRUE_EXTERNAL_IOS_BUNDLE_ID'],
    default: '',
    live,
    sentence: "The iOS application's bundle id, which is taken as the audience of Apple's id_tokens.",
  }),
  allowedIdTokenIssuers: list({
    key: 'auth.external_allowed_id_token_issuers',
    env: ['GOTRUE_EXTERNAL_ALLOWED_ID_TOKEN_ISSUERS'],
    default: [],
    live,
    sentence: 'Other issuers whose id_tokens are taken, with the client_id that the request names itself.',
  }),
  customOauthEnabled: flag({
    key: 'auth.custom_oauth.enabled',
    env: ['GOTRUE_CUSTOM_OAUTH_ENABLED'],
    default: true,
    live,
    sentence:
      'Whether administrators can set up providers of their own, and people sign in with them as `custom:<name>`.',
  }),
  customOauthMaxProviders: wholeNumber({
    key: 'auth.custom_oauth.max_providers',
    env: ['GOTRUE_CUSTOM_OAUTH_MAX_PROVIDERS'],
    default: 0,
    unit: 'providers',
    live,
    sentence: 'How many providers administrators can set up; 0: as many as they like.',
  }),
  customOauthExternalUrl: text({
    key: 'auth.custom_oauth.external_url',
    env: ['GOTRUE_CUSTOM_OAUTH_EXTERNAL_URL'],
    default: '',
    live,
    sentence: 'The address of the auth API in the redirects of custom providers. Empty: as for the others.',
  }),
} as const;

export type ExternalValues = ValuesOf<typeof externalSettings>;

/** What is set up for a provider now. */
export function configOf(values: ExternalValues, name: ProviderName): ProviderConfig {
  return {
    enabled: values[`external:${name}:enabled`],
    clientIds: values[`external:${name}:client_id`],
    secret: values[`external:${name}:secret`],
    redirectUri: values[`external:${name}:redirect_uri`],
    url: values[`external:${name}:url`],
    skipNonceCheck: values[`external:${name}:skip_nonce_check`],
    emailOptional: values[`external:${name}:email_optional`],
  };
}
