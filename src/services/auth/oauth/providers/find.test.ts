// In charge of: where each provider of the table sends people, by its public address and by one of its own, and what it asks of an id_token.
import { describe, expect, it } from 'vitest';
import type { IdTokens } from '../../../../engine/identity/id-tokens.ts';
import type { Visit } from '../../context.ts';
import type { JsonObject } from '../../go-json.ts';
import { findProvider } from './find.ts';
import { externalSettings, providerNames } from './settings.ts';

const authUrl = 'http://127.0.0.1:54321/auth/v1';

/** A project in which everything is set up, with `facts` over it. Only what `findProvider` reads is there. */
function visit(facts: JsonObject = {}, idTokens: Partial<IdTokens> = {}): Visit {
  const values = Object.entries(externalSettings).map(([name, setting]) => {
    if (name.endsWith(':enabled')) return [name, true];
    if (name.endsWith(':client_id')) return [name, ['app', 'ios']];
    if (name.endsWith(':secret')) return [name, 'secret'];
    if (name === 'external:keycloak:url') return [name, 'https://kc.example/realms/one/'];
    return [name, setting.default];
  });
  const config = { ...Object.fromEntries(values), ...facts };
  return { auth: { url: () => authUrl, idTokens }, config } as unknown as Visit;
}

describe('findProvider', () => {
  it('knows where every provider is, by its public address', async () => {
    const places = [];
    for (const name of providerNames) {
      const found = await findProvider(visit(), name, 'more,most');
      places.push([name, found.authorizeUrl, found.tokenUrl, found.scope].join(' | '));
      expect([found.redirectUri, found.clientId]).toEqual([`${authUrl}/callback`, 'app']);
    }
    expect(places).toMatchInlineSnapshot(`
      [
        "apple | https://appleid.apple.com/auth/authorize | https://appleid.apple.com/auth/token | email name",
        "azure | https://login.microsoftonline.com/common/oauth2/v2.0/authorize | https://login.microsoftonline.com/common/oauth2/v2.0/token | openid more most",
        "bitbucket | https://bitbucket.org/site/oauth2/authorize | https://bitbucket.org/site/oauth2/access_token | account email",
        "discord | https://discord.com/api/oauth2/authorize | https://discord.com/api/oauth2/token | email identify more most",
        "facebook | https://www.facebook.com/dialog/oauth | https://graph.facebook.com/oauth/access_token | email more most",
        "figma | https://www.figma.com/oauth | https://api.figma.com/v1/oauth/token | current_user:read more most",
        "fly | https://api.fly.io/oauth/authorize | https://api.fly.io/oauth/token | read more most",
        "github | https://github.com/login/oauth/authorize | https://github.com/login/oauth/access_token | user:email more most",
        "gitlab | https://gitlab.com/oauth/authorize | https://gitlab.com/oauth/token | read_user more most",
        "google | https://accounts.google.com/o/oauth2/v2/auth | https://oauth2.googleapis.com/token | email profile more most",
        "kakao | https://kauth.kakao.com/oauth/authorize | https://kauth.kakao.com/oauth/token | account_email profile_image profile_nickname more most",
        "keycloak | https://kc.example/realms/one/protocol/openid-connect/auth | https://kc.example/realms/one/protocol/openid-connect/token | profile email more most",
        "linkedin | https://api.linkedin.com/oauth/v2/authorization | https://api.linkedin.com/oauth/v2/accessToken | r_emailaddress r_liteprofile more most",
        "linkedin_oidc | https://api.linkedin.com/oauth/v2/authorization | https://api.linkedin.com/oauth/v2/accessToken | openid email profile more most",
        "notion | https://api.notion.com/v1/oauth/authorize | https://api.notion.com/v1/oauth/token | ",
        "slack | https://slack.com/oauth/authorize | https://slack.com/api/oauth.access | profile email openid more most",
        "slack_oidc | https://slack.com/openid/connect/authorize | https://slack.com/api/openid.connect.token | profile email openid more most",
        "snapchat | https://accounts.snapchat.com/accounts/oauth2/auth | https://accounts.snapchat.com/accounts/oauth2/token | https://auth.snapchat.com/oauth2/api/user.external_id https://auth.snapchat.com/oauth2/api/user.display_name https://auth.snapchat.com/oauth2/api/user.bitmoji.avatar more most",
        "spotify | https://accounts.spotify.com/authorize | https://accounts.spotify.com/api/token | user-read-email more most",
        "twitch | https://id.twitch.tv/oauth2/authorize | https://id.twitch.tv/oauth2/token | user:read:email more most",
        "twitter | https://api.twitter.com/oauth/authenticate | https://api.twitter.com/oauth/access_token | ",
        "vercel_marketplace | https://api.vercel.com/oauth/v2/authorization | https://api.vercel.com/oauth/v2/accessToken | more most",
        "workos | https://api.workos.com/sso/authorize | https://api.workos.com/sso/token | ",
        "x | https://x.com/i/oauth2/authorize | https://api.x.com/2/oauth2/token | users.email tweet.read users.read offline.access more most",
        "zoom | https://zoom.us/oauth/authorize | https://zoom.us/oauth/token | ",
      ]
    `);
  });

  it.each([
    ['github', 'https://gh.example/', 'https://gh.example/login/oauth/authorize'],
    ['gitlab', 'https://gl.example', 'https://gl.example/oauth/authorize'],
    [
      'azure',
      'https://login.microsoftonline.com/tenant',
      'https://login.microsoftonline.com/tenant/oauth2/v2.0/authorize',
    ],
    ['google', 'https://ignored.example', 'https://accounts.google.com/o/oauth2/v2/auth'],
    ['apple', 'https://ignored.example', 'https://appleid.apple.com/auth/authorize'],
  ])('sends people to %s at %s', async (name, url, authorizeUrl) => {
    const found = await findProvider(visit({ [`external:${name}:url`]: url }), name.toUpperCase(), '');
    expect(found.authorizeUrl).toBe(authorizeUrl);
  });

  it.each([
    ['myspace', {}, 'Provider myspace could not be found'],
    ['github', { 'external:github:enabled': false }, 'provider is not enabled'],
    ['github', { 'external:github:client_id': [] }, 'missing OAuth client ID'],
    ['github', { 'external:github:secret': '' }, 'missing OAuth secret'],
    ['keycloak', { 'external:keycloak:url': '' }, 'unable to find URL for the Keycloak provider'],
    ['custom:acme', { customOauthEnabled: false }, 'custom OAuth providers are disabled'],
  ])('refuses %s with %o', async (name, facts, message) => {
    await expect(findProvider(visit(facts), name, '')).rejects.toThrow(message);
  });
});

const noJson = async () => Promise.reject(new Error('nobody is asked'));
const tokenOf = (claims: object) =>
  ['{}', JSON.stringify(claims), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.');

/** Whose keys are asked; every token is good by them. */
function believing() {
  const asked: string[] = [];
  const idTokens = {
    discover: async (issuer: string) => {
      asked.push(issuer);
      return { issuer } as never;
    },
    verify: async (token: string) => ({
      claims: JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as JsonObject,
      alg: 'RS256',
    }),
  };
  return { asked, idTokens };
}

const tenant = 'https://login.microsoftonline.com/t1';
const common = 'https://login.microsoftonline.com/common';

describe('the id_token that comes with the code', () => {
  it.each([
    ['azure', '', `${tenant}/v2.0`, 'taken'],
    ['azure', '', 'https://evil.example', 'azure: ID token issuer not valid'],
    ['azure', common, 'https://evil.example', 'azure: ID token issuer not valid'],
    ['azure', common, `${tenant}/v2.0`, 'taken'],
    ['azure', tenant, `${tenant}/v2.0`, 'taken'],
    ['azure', tenant, 'https://login.microsoftonline.com/t2/v2.0', 'does not match expected issuer'],
    ['azure', 'https://t.ciamlogin.com/t1', 'https://t.ciamlogin.com/t1/v2.0', 'taken'],
  ])('of %s at "%s" by %s is: %s', async (name, url, iss, outcome) => {
    const { asked, idTokens } = believing();
    const provider = await findProvider(visit({ [`external:${name}:url`]: url }, idTokens), name, '');
    const idToken = tokenOf({ iss, aud: 'app', sub: 's' });
    const user = provider.userOf({ accessToken: 'a', refreshToken: '', idToken, all: {} }, noJson);
    if (outcome === 'taken') {
      expect((await user).metadata.sub).toBe('s');
      expect(asked).toEqual([iss]);
    } else {
      await expect(user).rejects.toThrow(outcome);
      expect(asked).toEqual([]);
    }
  });

  it('has to be for the application that asked', async () => {
    const { idTokens } = believing();
    const provider = await findProvider(visit({}, idTokens), 'google', '');
    const idToken = tokenOf({ iss: 'https://accounts.google.com', aud: 'other', sub: 's' });
    const tokens = { accessToken: 'a', refreshToken: '', idToken, all: {} };
    await expect(provider.userOf(tokens, noJson)).rejects.toThrow('the id token is for another client');
  });

  it('of Apple comes with a name, the first time', async () => {
    const { idTokens } = believing();
    const provider = await findProvider(visit({}, idTokens), 'apple', 'ignored');
    const idToken = tokenOf({ iss: 'https://appleid.apple.com', aud: ['app'], sub: 's', email: 'a@b.c' });
    const user = await provider.userOf({ accessToken: 'a', refreshToken: '', idToken, all: {} }, noJson);
    const form = new URLSearchParams({ user: '{"name":{"firstName":"Mara","lastName":"Jade"}}' });
    expect(provider.withForm?.(user, form)).toEqual({
      emails: [{ email: 'a@b.c', verified: true, primary: true }],
      metadata: {
        iss: 'https://appleid.apple.com',
        sub: 's',
        provider_id: 's',
        email_verified: false,
        phone_verified: false,
        name: 'Mara Jade',
        full_name: 'Mara Jade',
      },
    });
    expect(provider.withForm?.(user, new URLSearchParams())).toEqual(user);
    expect(() => provider.withForm?.(user, new URLSearchParams({ user: '{' }))).toThrow();
  });

  it('is missed where nothing else says who somebody is', async () => {
    const tokens = { accessToken: 'a', refreshToken: '', idToken: '', all: {} };
    const azure = await findProvider(visit(), 'azure', '');
    await expect(azure.userOf(tokens, noJson)).rejects.toThrow('no OIDC ID token present in response');
    const apple = await findProvider(visit(), 'apple', '');
    expect((await apple.userOf(tokens, noJson)).emails).toEqual([]);
  });
});

describe('what is asked of a provider', () => {
  const tokens = { accessToken: 'at', refreshToken: '', idToken: '', all: { profile: { id: 'w1' } } };

  it('goes with the headers and the proof that it wants', async () => {
    const asked: unknown[] = [];
    const fetchJson = async (url: string, request?: object) => {
      asked.push([url, request]);
      return url.includes('helix') ? { data: [{ id: 't1' }] } : { id: 'f1' };
    };
    await (await findProvider(visit(), 'twitch', '')).userOf(tokens, fetchJson);
    await (await findProvider(visit(), 'notion', '')).userOf(tokens, fetchJson);
    await (await findProvider(visit(), 'facebook', '')).userOf(tokens, fetchJson);
    expect(asked).toEqual([
      ['https://api.twitch.tv/helix/users', { headers: { authorization: 'Bearer at', 'client-id': 'app' } }],
      [
        'https://api.notion.com/v1/users/me',
        { headers: { authorization: 'Bearer at', 'notion-version': '2021-08-16' } },
      ],
      [
        'https://graph.facebook.com/me?fields=email,first_name,last_name,name,picture&appsecret_proof=71d6183b3a7d28dab38dc8d16d1ece5a9b4d8ea9d6f1a13e2f3f703624fc324f',
        { headers: { authorization: 'Bearer at' } },
      ],
    ]);
  });

  it('is nothing where the tokens say it already', async () => {
    const user = await (await findProvider(visit(), 'workos', '')).userOf(tokens, noJson);
    expect(user.metadata.sub).toBe('w1');
  });
});
