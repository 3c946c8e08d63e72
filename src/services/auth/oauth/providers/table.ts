// In charge of: the facts of every provider: where people are sent, where a code is exchanged, who tells of the user, what is asked for.
// Source: supabase/auth internal/api/provider/<file of each row>.
import { createHmac } from 'node:crypto';
import type { ProviderTokens, TokenAuth } from '../provider.ts';
import type { ProviderName } from './settings.ts';
import * as users from './users.ts';

/** Where a provider is reached, by its setting `url` or publicly. */
export interface Place {
  readonly api: string;
  readonly clientId: string;
  readonly secret: string;
}

export interface Ask {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How the user is found. `id_token`: by the one that came with the tokens; where there is none, by `json` if that is there. */
export interface Person {
  readonly idToken?: 'google' | 'apple' | 'azure' | 'linkedin' | 'vercel';
  readonly json?: {
    readonly asks: (place: Place, tokens: ProviderTokens) => readonly Ask[];
    readonly read: users.ReadUser;
    /** `iss` of what is stored; the API's address where this is not said. */
    readonly issuer?: (place: Place) => string;
  };
  /** The member of the token endpoint's answer that holds the profile. */
  readonly inTokens?: { readonly member: string; readonly read: users.ReadUser };
}

export interface ProviderRow {
  /** In supabase/auth internal/api/provider. */
  readonly source: string;
  /** Host, with a path where upstream has one there: the setting `url` takes its place. Empty: `url` has to be set. */
  readonly auth: readonly [host: string, path: string];
  readonly token: readonly [host: string, path: string];
  readonly api: readonly [host: string, path: string];
  /** What the API's address is made of further where `url` is set. */
  readonly apiOf?: (host: string) => string;
  readonly scopes: readonly string[];
  /** Whether the scopes of the request are asked for as well. */
  readonly takesScopes: boolean;
  /** Whether `url` changes nothing, as upstream warns. */
  readonly ignoresUrl?: true;
  readonly authorizeParams?: Readonly<Record<string, string>>;
  readonly tokenAuth?: TokenAuth;
  readonly pkce?: true;
  /** An `iss` in the callback is this (RFC 9207). */
  readonly issuer?: string;
  readonly person: Person;
}

/** One question, to a path of the API. */
const byJson = (path: string, read: users.ReadUser): Person => ({
  json: { asks: ({ api }) => [{ url: `${api}${path}` }], read },
});
const byTwo = (one: string, two: string, read: users.ReadUser): Person => ({
  json: { asks: ({ api }) => [{ url: `${api}${one}` }, { url: `${api}${two}` }], read },
});

const facebookFields = '/me?fields=email,first_name,last_name,name,picture';
const googleUserInfo = 'https://www.googleapis.com/userinfo/v2/me';

export const providerTable: Readonly<Record<Exclude<ProviderName, 'twitter'>, ProviderRow>> = {
  apple: {
    source: 'apple.go',
    // Its secret is a token that the application's owner signs with Apple's key, as upstream wants it: nothing is made of it here.
    auth: ['appleid.apple.com', '/auth/authorize'],
    token: ['appleid.apple.com', '/auth/token'],
    api: ['appleid.apple.com', ''],
    scopes: ['email', 'name'],
    takesScopes: false,
    ignoresUrl: true,
    authorizeParams: { response_mode: 'form_post' },
    person: { idToken: 'apple' },
  },
  azure: {
    source: 'azure.go',
    auth: ['login.microsoftonline.com/common', '/oauth2/v2.0/authorize'],
    token: ['login.microsoftonline.com/common', '/oauth2/v2.0/token'],
    api: ['login.microsoftonline.com/common', ''],
    scopes: ['openid'],
    takesScopes: true,
    person: { idToken: 'azure' },
  },
  bitbucket: {
    source: 'bitbucket.go',
    auth: ['bitbucket.org', '/site/oauth2/authorize'],
    token: ['bitbucket.org', '/site/oauth2/access_token'],
    api: ['api.bitbucket.org', '/2.0'],
    scopes: ['account', 'email'],
    takesScopes: false,
    person: byTwo('/user', '/user/emails', users.bitbucket),
  },
  discord: {
    source: 'discord.go',
    auth: ['discord.com', '/api/oauth2/authorize'],
    token: ['discord.com', '/api/oauth2/token'],
    api: ['discord.com', '/api'],
    scopes: ['email', 'identify'],
    takesScopes: true,
    person: byJson('/users/@me', users.discord),
  },
  facebook: {
    source: 'facebook.go',
    auth: ['www.facebook.com', '/dialog/oauth'],
    token: ['graph.facebook.com', '/oauth/access_token'],
    api: ['graph.facebook.com', ''],
    scopes: ['email'],
    takesScopes: true,
    person: {
      json: {
        // The proof shows that the token is used by the application itself.
        asks: ({ api, secret }, { accessToken }) => {
          const proof = createHmac('sha256', secret).update(accessToken).digest('hex');
          return [{ url: `${api}${facebookFields}&appsecret_proof=${proof}` }];
        },
        read: users.facebook,
        issuer: ({ api }) => `${api}${facebookFields}`,
      },
    },
  },
  figma: {
    source: 'figma.go',
    auth: ['www.figma.com', '/oauth'],
    token: ['api.figma.com', '/v1/oauth/token'],
    api: ['api.figma.com', ''],
    scopes: ['current_user:read'],
    takesScopes: true,
    person: byJson('/v1/me', users.figma),
  },
  fly: {
    source: 'fly.go',
    auth: ['api.fly.io', '/oauth/authorize'],
    token: ['api.fly.io', '/oauth/token'],
    api: ['api.fly.io', ''],
    scopes: ['read'],
    takesScopes: true,
    person: byJson('/oauth/token/info', users.fly),
  },
  github: {
    source: 'github.go',
    auth: ['github.com', '/login/oauth/authorize'],
    token: ['github.com', '/login/oauth/access_token'],
    api: ['api.github.com', ''],
    apiOf: (host) => (host.endsWith('api.github.com') ? host : `${host}/api/v3`),
    scopes: ['user:email'],
    takesScopes: true,
    person: byTwo('/user', '/user/emails', users.github),
  },
  gitlab: {
    source: 'gitlab.go',
    auth: ['gitlab.com', '/oauth/authorize'],
    token: ['gitlab.com', '/oauth/token'],
    api: ['gitlab.com', ''],
    scopes: ['read_user'],
    takesScopes: true,
    person: byTwo('/api/v4/user', '/api/v4/user/emails', users.gitlab),
  },
  google: {
    source: 'google.go',
    auth: ['accounts.google.com', '/o/oauth2/v2/auth'],
    token: ['oauth2.googleapis.com', '/token'],
    api: ['www.googleapis.com', ''],
    scopes: ['email', 'profile'],
    takesScopes: true,
    ignoresUrl: true,
    issuer: 'https://accounts.google.com',
    person: {
      idToken: 'google',
      json: { asks: () => [{ url: googleUserInfo }], read: users.google, issuer: () => googleUserInfo },
    },
  },
  kakao: {
    source: 'kakao.go',
    auth: ['kauth.kakao.com', '/oauth/authorize'],
    token: ['kauth.kakao.com', '/oauth/token'],
    api: ['kapi.kakao.com', ''],
    scopes: ['account_email', 'profile_image', 'profile_nickname'],
    takesScopes: true,
    tokenAuth: 'body',
    person: byJson('/v2/user/me', users.kakao),
  },
  keycloak: {
    source: 'keycloak.go',
    auth: ['', '/protocol/openid-connect/auth'],
    token: ['', '/protocol/openid-connect/token'],
    api: ['', ''],
    scopes: ['profile', 'email'],
    takesScopes: true,
    person: byJson('/protocol/openid-connect/userinfo', users.keycloak),
  },
  linkedin: {
    source: 'linkedin.go',
    auth: ['api.linkedin.com', '/oauth/v2/authorization'],
    token: ['api.linkedin.com', '/oauth/v2/accessToken'],
    api: ['api.linkedin.com', ''],
    scopes: ['r_emailaddress', 'r_liteprofile'],
    takesScopes: true,
    person: byTwo(
      '/v2/me?projection=(id,firstName,lastName,profilePicture(displayImage~:playableStreams))',
      '/v2/emailAddress?q=members&projection=(elements*(handle~))',
      users.linkedin,
    ),
  },
  linkedin_oidc: {
    source: 'linkedin_oidc.go',
    auth: ['api.linkedin.com', '/oauth/v2/authorization'],
    token: ['api.linkedin.com', '/oauth/v2/accessToken'],
    api: ['api.linkedin.com', ''],
    scopes: ['openid', 'email', 'profile'],
    takesScopes: true,
    person: { idToken: 'linkedin' },
  },
  notion: {
    source: 'notion.go',
    auth: ['api.notion.com', '/v1/oauth/authorize'],
    token: ['api.notion.com', '/v1/oauth/token'],
    api: ['api.notion.com', ''],
    scopes: [],
    takesScopes: false,
    person: {
      json: {
        asks: ({ api }) => [{ url: `${api}/v1/users/me`, headers: { 'notion-version': '2021-08-16' } }],
        read: users.notion,
      },
    },
  },
  slack: {
    source: 'slack.go',
    auth: ['slack.com', '/oauth/authorize'],
    token: ['slack.com', '/api/oauth.access'],
    api: ['slack.com', '/api'],
    scopes: ['profile', 'email', 'openid'],
    takesScopes: true,
    person: byJson('/openid.connect.userInfo', users.slack),
  },
  slack_oidc: {
    source: 'slack_oidc.go',
    auth: ['slack.com', '/openid/connect/authorize'],
    token: ['slack.com', '/api/openid.connect.token'],
    api: ['slack.com', '/api'],
    scopes: ['profile', 'email', 'openid'],
    takesScopes: true,
    person: byJson('/openid.connect.userInfo', users.slackOidc),
  },
  snapchat: {
    source: 'snapchat.go',
    auth: ['accounts.snapchat.com', '/accounts/oauth2/auth'],
    token: ['accounts.snapchat.com', '/accounts/oauth2/token'],
    api: ['kit.snapchat.com', ''],
    scopes: [
      'https://auth.snapchat.com/oauth2/api/user.external_id',
      'https://auth.snapchat.com/oauth2/api/user.display_name',
      'https://auth.snapchat.com/oauth2/api/user.bitmoji.avatar',
    ],
    takesScopes: true,
    person: {
      json: {
        asks: ({ api }) => [
          {
            url: `${api}/v1/me?${new URLSearchParams({
              query: '{me { externalId displayName bitmoji { avatar id } email } }',
            })}`,
          },
        ],
        read: users.snapchat,
      },
    },
  },
  spotify: {
    source: 'spotify.go',
    auth: ['accounts.spotify.com', '/authorize'],
    token: ['accounts.spotify.com', '/api/token'],
    api: ['api.spotify.com/v1', ''],
    scopes: ['user-read-email'],
    takesScopes: true,
    person: byJson('/me', users.spotify),
  },
  twitch: {
    source: 'twitch.go',
    auth: ['id.twitch.tv', '/oauth2/authorize'],
    token: ['id.twitch.tv', '/oauth2/token'],
    api: ['api.twitch.tv', ''],
    scopes: ['user:read:email'],
    takesScopes: true,
    person: {
      json: {
        asks: ({ api, clientId }) => [{ url: `${api}/helix/users`, headers: { 'client-id': clientId } }],
        read: users.twitch,
      },
    },
  },
  vercel_marketplace: {
    source: 'vercel_marketplace.go',
    auth: ['api.vercel.com', '/oauth/v2/authorization'],
    token: ['api.vercel.com', '/oauth/v2/accessToken'],
    api: ['api.vercel.com', ''],
    scopes: [],
    takesScopes: true,
    person: { idToken: 'vercel' },
  },
  workos: {
    source: 'workos.go',
    auth: ['api.workos.com', '/sso/authorize'],
    token: ['api.workos.com', '/sso/token'],
    api: ['api.workos.com', ''],
    scopes: [],
    takesScopes: false,
    person: { inTokens: { member: 'profile', read: users.workos } },
  },
  x: {
    source: 'x.go',
    auth: ['x.com', '/i/oauth2/authorize'],
    token: ['api.x.com', '/2/oauth2/token'],
    api: ['api.x.com', ''],
    scopes: ['users.email', 'tweet.read', 'users.read', 'offline.access'],
    takesScopes: true,
    pkce: true,
    person: byJson(
      '/2/users/me?user.fields=id,name,username,confirmed_email,profile_image_url,url,created_at',
      users.x,
    ),
  },
  zoom: {
    source: 'zoom.go',
    auth: ['zoom.us', '/oauth/authorize'],
    token: ['zoom.us', '/oauth/token'],
    api: ['api.zoom.us', '/v2'],
    scopes: [],
    takesScopes: false,
    person: byJson('/users/me', users.zoom),
  },
};

/** Source: supabase/auth internal/api/provider/provider.go `chooseHost`. */
export function hostOf(url: string, publicHost: string): string {
  return url === '' ? `https://${publicHost}` : url.replace(/\/$/, '');
}
