// In charge of: for every provider what it documents that it says of a user, and the whole of what is kept of it.
// Source: supabase/auth internal/api/external_<name>_test.go and the providers' own references, named in each row.
import { describe, expect, it } from 'vitest';
import type { UserData } from '../provider.ts';
import * as users from './users.ts';

interface Row {
  readonly name: string;
  readonly read: users.ReadUser;
  readonly issuer?: string;
  readonly answers: readonly unknown[];
  readonly user: UserData;
}

const email = 'mara@example.com';
const verified = [{ email, verified: true, primary: true }];
const unverified = [{ email, verified: false, primary: true }];
const flags = { email_verified: false, phone_verified: false };
const api = 'https://api.example.com';

const githubUser = {
  login: 'mara',
  id: 583231,
  node_id: 'MDQ6VXNlcjU4MzIzMQ==',
  avatar_url: 'https://avatars.githubusercontent.com/u/583231?v=4',
  type: 'User',
  name: 'Mara Jade',
  email: null,
};
const githubMetadata = {
  ...flags,
  iss: api,
  sub: '583231',
  name: 'Mara Jade',
  preferred_username: 'mara',
  avatar_url: githubUser.avatar_url,
  full_name: 'Mara Jade',
  provider_id: '583231',
  user_name: 'mara',
};

const rows: readonly Row[] = [
  {
    // Source: developer.atlassian.com/cloud/bitbucket/rest/api-group-users.
    name: 'bitbucket',
    read: users.bitbucket,
    answers: [
      {
        type: 'user',
        uuid: '{b9d1}',
        display_name: 'Mara',
        nickname: 'mara',
        account_id: '557058:1',
        avatar: null,
      },
      {
        values: [
          { email: 'old@example.com', is_primary: false, is_confirmed: false, type: 'email' },
          { email, is_primary: true, is_confirmed: true, type: 'email' },
        ],
      },
    ],
    user: {
      emails: [{ email: 'old@example.com', verified: false, primary: false }, ...verified],
      metadata: {
        ...flags,
        iss: api,
        sub: '{b9d1}',
        name: 'Mara',
        full_name: 'Mara',
        provider_id: '{b9d1}',
      },
    },
  },
  {
    // Source: discord.com/developers/docs/resources/user.
    name: 'discord',
    read: users.discord,
    answers: [
      {
        id: '80351110224678912',
        username: 'Nelly',
        discriminator: '1337',
        global_name: 'Nelly B.',
        avatar: 'a_8342729096ea3675442027381ff50dfe',
        verified: true,
        email,
        flags: 64,
      },
    ],
    user: {
      emails: verified,
      metadata: {
        ...flags,
        iss: api,
        sub: '80351110224678912',
        name: 'Nelly#1337',
        picture:
          'https://cdn.discordapp.com/avatars/80351110224678912/a_8342729096ea3675442027381ff50dfe.gif',
        avatar_url:
          'https://cdn.discordapp.com/avatars/80351110224678912/a_8342729096ea3675442027381ff50dfe.gif',
        full_name: 'Nelly',
        provider_id: '80351110224678912',
        custom_claims: { global_name: 'Nelly B.' },
      },
    },
  },
  {
    name: 'discord without a picture, an address that is not confirmed',
    read: users.discord,
    answers: [
      {
        id: '1',
        username: 'nelly',
        discriminator: '7',
        global_name: null,
        avatar: null,
        verified: false,
        email,
      },
    ],
    user: {
      emails: unverified,
      metadata: {
        ...flags,
        iss: api,
        sub: '1',
        name: 'nelly#7',
        picture: 'https://cdn.discordapp.com/embed/avatars/2.png',
        avatar_url: 'https://cdn.discordapp.com/embed/avatars/2.png',
        full_name: 'nelly',
        provider_id: '1',
        custom_claims: { global_name: '' },
      },
    },
  },
  {
    // Source: developers.facebook.com/docs/graph-api/reference/user.
    name: 'facebook',
    read: users.facebook,
    answers: [
      {
        id: '1003',
        email,
        first_name: 'Mara',
        last_name: 'Jade',
        name: 'Mara Jade',
        picture: { data: { height: 50, is_silhouette: false, url: 'https://fb/p.jpg', width: 50 } },
      },
    ],
    user: {
      emails: verified,
      metadata: {
        ...flags,
        iss: api,
        sub: '1003',
        name: 'Mara Jade',
        nickname: 'Mara Jade',
        picture: 'https://fb/p.jpg',
        slug: 'Mara Jade',
        avatar_url: 'https://fb/p.jpg',
        full_name: 'Mara Jade',
        provider_id: '1003',
      },
    },
  },
  {
    name: 'facebook of somebody who signed up by phone: no address',
    read: users.facebook,
    answers: [{ id: '1003', first_name: 'Mara', last_name: '', name: 'Mara' }],
    user: {
      emails: [],
      metadata: {
        ...flags,
        iss: api,
        sub: '1003',
        name: 'Mara',
        nickname: 'Mara',
        slug: 'Mara',
        full_name: 'Mara',
        provider_id: '1003',
      },
    },
  },
  {
    // Source: developers.figma.com/docs/rest-api/users-endpoints.
    name: 'figma',
    read: users.figma,
    answers: [{ id: '2910', email, handle: 'Mara', img_url: 'https://figma/i.png' }],
    user: {
      emails: verified,
      metadata: {
        iss: api,
        sub: '2910',
        name: 'Mara',
        email,
        email_verified: true,
        phone_verified: false,
        avatar_url: 'https://figma/i.png',
        full_name: 'Mara',
        provider_id: '2910',
      },
    },
  },
  {
    // Source: fly.io/docs/reference/extensions_api "Single sign-on".
    name: 'fly',
    read: users.fly,
    answers: [
      {
        resource_owner_id: 'ro1',
        scope: ['read'],
        expires_in: 7200,
        application: { uid: 'app' },
        created_at: 1_696_003_692,
        user_id: 'u1',
        user_name: 'Mara',
        email,
        organizations: [{ id: 'o1', role: 'admin' }],
      },
    ],
    user: {
      emails: verified,
      metadata: {
        iss: api,
        sub: 'u1',
        email,
        email_verified: true,
        phone_verified: false,
        full_name: 'Mara',
        provider_id: 'u1',
        custom_claims: {
          resource_owner_id: 'ro1',
          organizations: [{ id: 'o1', role: 'admin' }],
          application: { uid: 'app' },
          scope: ['read'],
          created_at: 1_696_003_692,
        },
      },
    },
  },
  {
    // Source: docs.github.com/en/rest/users/emails: the profile shows no address, /user/emails has them.
    name: 'github with a private address',
    read: users.github,
    answers: [
      githubUser,
      [
        { email: 'mara@users.noreply.github.com', primary: false, verified: true, visibility: null },
        { email, primary: true, verified: true, visibility: 'private' },
      ],
    ],
    user: {
      emails: [{ email: 'mara@users.noreply.github.com', verified: true, primary: false }, ...verified],
      metadata: githubMetadata,
    },
  },
  {
    name: 'github with an address that is not confirmed',
    read: users.github,
    answers: [githubUser, [{ email, primary: true, verified: false, visibility: 'public' }]],
    user: { emails: unverified, metadata: githubMetadata },
  },
  {
    name: 'github without addresses',
    read: users.github,
    answers: [githubUser, []],
    user: { emails: [], metadata: githubMetadata },
  },
  {
    // Source: docs.gitlab.com/api/users, docs.gitlab.com/api/user_email_addresses.
    name: 'gitlab',
    read: users.gitlab,
    answers: [
      {
        id: 1,
        username: 'mara',
        email,
        name: 'Mara',
        avatar_url: 'https://gl/a.png',
        confirmed_at: '2012-05-23T09:05:22.000Z',
      },
      [{ id: 3, email: 'work@example.com', confirmed_at: '2021-03-26T19:07:56.248Z' }],
    ],
    user: {
      emails: [{ email: 'work@example.com', verified: false, primary: false }, ...verified],
      metadata: {
        ...flags,
        iss: api,
        sub: '1',
        name: 'Mara',
        picture: 'https://gl/a.png',
        avatar_url: 'https://gl/a.png',
        full_name: 'Mara',
        provider_id: '1',
      },
    },
  },
  {
    name: 'gitlab before the address is confirmed',
    read: users.gitlab,
    answers: [{ id: 1, email, name: 'Mara', confirmed_at: null, avatar_url: null }, []],
    user: {
      emails: unverified,
      metadata: { ...flags, iss: api, sub: '1', name: 'Mara', full_name: 'Mara', provider_id: '1' },
    },
  },
  {
    // Source: www.googleapis.com/userinfo/v2/me.
    name: 'google without an id_token',
    read: users.google,
    answers: [
      { id: '110', email, verified_email: true, name: 'Mara', given_name: 'Mara', picture: 'https://g/p' },
    ],
    user: {
      emails: verified,
      metadata: {
        iss: api,
        sub: '110',
        name: 'Mara',
        picture: 'https://g/p',
        email,
        email_verified: true,
        phone_verified: false,
        avatar_url: 'https://g/p',
        full_name: 'Mara',
        provider_id: '110',
      },
    },
  },
  {
    // Source: developers.kakao.com/docs/latest/en/kakaologin/rest-api#req-user-info.
    name: 'kakao, whose address is known to be the user’s but is not valid any more',
    read: users.kakao,
    answers: [
      {
        id: 123456789,
        connected_at: '2022-04-11T01:45:28Z',
        kakao_account: {
          profile_needs_agreement: false,
          profile: { nickname: 'Mara', profile_image_url: 'https://k/p.jpg', is_default_image: false },
          email,
          is_email_valid: false,
          is_email_verified: true,
        },
      },
    ],
    user: {
      emails: unverified,
      metadata: {
        ...flags,
        iss: api,
        sub: '123456789',
        name: 'Mara',
        preferred_username: 'Mara',
        avatar_url: 'https://k/p.jpg',
        full_name: 'Mara',
        provider_id: '123456789',
        user_name: 'Mara',
      },
    },
  },
  {
    // Source: OpenID Connect Core 1.0 section 5.3.2, www.keycloak.org/securing-apps/oidc-layers.
    name: 'keycloak',
    read: users.keycloak,
    answers: [
      {
        sub: 'k1',
        email_verified: true,
        name: 'Mara Jade',
        preferred_username: 'mara',
        email,
        groups: ['/admins'],
      },
    ],
    user: {
      emails: verified,
      metadata: {
        iss: api,
        sub: 'k1',
        name: 'Mara Jade',
        email,
        email_verified: true,
        phone_verified: false,
        custom_claims: { preferred_username: 'mara', groups: ['/admins'] },
        full_name: 'Mara Jade',
        provider_id: 'k1',
      },
    },
  },
  {
    name: 'keycloak without an address',
    read: users.keycloak,
    answers: [{ sub: 'k1', email_verified: false }],
    user: {
      emails: [],
      metadata: { ...flags, iss: api, sub: 'k1', custom_claims: {}, provider_id: 'k1' },
    },
  },
  {
    // Source: learn.microsoft.com/linkedin/shared/integrations/people/profile-api, primary-contact-api.
    name: 'linkedin',
    read: users.linkedin,
    answers: [
      {
        id: 'yrZCpj2Z12',
        firstName: {
          localized: { en_US: 'Mara' },
          preferredLocale: { country: 'US', language: 'en' },
        },
        lastName: { localized: { en_US: 'Jade' }, preferredLocale: { country: 'US', language: 'en' } },
        profilePicture: {
          'displayImage~': { elements: [{ identifiers: [{ identifier: 'https://li/p.jpg' }] }] },
        },
      },
      { elements: [{ handle: 'urn:li:emailAddress:1', 'handle~': { emailAddress: email } }] },
    ],
    user: {
      emails: verified,
      metadata: {
        iss: api,
        sub: 'yrZCpj2Z12',
        name: 'Mara Jade',
        picture: 'https://li/p.jpg',
        email,
        email_verified: true,
        phone_verified: false,
        avatar_url: 'https://li/p.jpg',
        full_name: 'Mara Jade',
        provider_id: 'yrZCpj2Z12',
      },
    },
  },
  {
    // Source: developers.notion.com/reference/get-self.
    name: 'notion',
    read: users.notion,
    answers: [
      {
        object: 'user',
        type: 'bot',
        bot: {
          owner: {
            type: 'user',
            user: { object: 'user', id: 'n1', name: 'Mara', avatar_url: 'https://n/a', person: { email } },
          },
        },
      },
    ],
    user: {
      emails: verified,
      metadata: {
        ...flags,
        iss: api,
        sub: 'n1',
        name: 'Mara',
        picture: 'https://n/a',
        avatar_url: 'https://n/a',
        full_name: 'Mara',
        provider_id: 'n1',
      },
    },
  },
  ...[users.slack, users.slackOidc].map((read): Row => {
    // Source: docs.slack.dev/reference/methods/openid.connect.userInfo.
    const isOidc = read === users.slackOidc;
    return {
      name: isOidc ? 'slack_oidc with an address that is not confirmed' : 'slack',
      read,
      answers: [
        {
          ok: true,
          sub: 'U0R7JM',
          'https://slack.com/user_id': 'U0R7JM',
          'https://slack.com/team_id': 'T0R7GR',
          email,
          email_verified: false,
          name: 'Mara',
          picture: 'https://s/p.png',
        },
      ],
      user: {
        emails: isOidc ? unverified : verified,
        metadata: {
          ...flags,
          iss: api,
          sub: 'U0R7JM',
          name: 'Mara',
          picture: 'https://s/p.png',
          custom_claims: { 'https://slack.com/team_id': 'T0R7GR' },
          avatar_url: 'https://s/p.png',
          full_name: 'Mara',
          provider_id: 'U0R7JM',
        },
      },
    };
  }),
  {
    // Source: developers.snap.com/snap-kit/login-kit, whose answers have no address.
    name: 'snapchat',
    read: users.snapchat,
    answers: [
      {
        data: {
          me: { externalId: 'sc1', displayName: 'Mara', bitmoji: { avatar: 'https://sc/b.png', id: 'b' } },
        },
      },
    ],
    user: {
      emails: [],
      metadata: {
        ...flags,
        iss: 'https://accounts.snapchat.com/accounts/oauth2/token',
        sub: 'sc1',
        name: 'Mara',
        picture: 'https://sc/b.png',
        slug: 'Mara',
        avatar_url: 'https://sc/b.png',
        full_name: 'Mara',
        provider_id: 'sc1',
      },
    },
  },
  {
    // Source: developer.spotify.com/documentation/web-api/reference/get-current-users-profile: the address is not confirmed.
    name: 'spotify',
    read: users.spotify,
    answers: [
      {
        id: 'mara',
        display_name: 'Mara',
        email,
        images: [
          { url: 'https://sp/64', height: 64, width: 64 },
          { url: 'https://sp/300', height: 300, width: 300 },
        ],
      },
    ],
    user: {
      emails: unverified,
      metadata: {
        ...flags,
        iss: api,
        sub: 'mara',
        name: 'Mara',
        picture: 'https://sp/300',
        avatar_url: 'https://sp/300',
        full_name: 'Mara',
        provider_id: 'mara',
      },
    },
  },
  {
    // Source: dev.twitch.tv/docs/api/reference#get-users.
    name: 'twitch',
    read: users.twitch,
    answers: [
      {
        data: [
          {
            id: '141981764',
            login: 'mara',
            display_name: 'Mara',
            type: '',
            broadcaster_type: 'partner',
            description: 'Plays.',
            profile_image_url: 'https://tw/p.png',
            offline_image_url: 'https://tw/o.png',
            view_count: 5,
            email,
            created_at: '2016-12-14T20:32:28Z',
          },
        ],
      },
    ],
    user: {
      emails: verified,
      metadata: {
        ...flags,
        iss: api,
        sub: '141981764',
        name: 'mara',
        nickname: 'Mara',
        picture: 'https://tw/p.png',
        custom_claims: {
          broadcaster_type: 'partner',
          description: 'Plays.',
          type: '',
          offline_image_url: 'https://tw/o.png',
          view_count: 5,
        },
        slug: 'Mara',
        avatar_url: 'https://tw/p.png',
        full_name: 'mara',
        provider_id: '141981764',
      },
    },
  },
  {
    // Source: developer.x.com "GET account/verify_credentials".
    name: 'twitter',
    read: users.twitter,
    answers: [
      {
        id_str: '38895958',
        screen_name: 'mara',
        name: 'Mara',
        profile_image_url_https: 'https://t/p',
        email,
      },
    ],
    user: {
      emails: verified,
      metadata: {
        ...flags,
        iss: api,
        sub: '38895958',
        name: 'Mara',
        picture: 'https://t/p',
        preferred_username: 'mara',
        user_name: 'mara',
        full_name: 'Mara',
        avatar_url: 'https://t/p',
        provider_id: '38895958',
      },
    },
  },
  {
    // Source: workos.com/docs/reference/sso/profile.
    name: 'workos',
    read: users.workos,
    answers: [
      {
        id: 'prof_1',
        connection_id: 'conn_1',
        connection_type: 'OktaSAML',
        organization_id: 'org_1',
        email,
        first_name: 'Mara',
        last_name: 'Jade',
        object: 'profile',
        raw_attributes: {},
      },
    ],
    user: {
      emails: verified,
      metadata: {
        ...flags,
        iss: api,
        sub: 'prof_1',
        name: 'Mara Jade',
        custom_claims: { connection_id: 'conn_1', organization_id: 'org_1' },
        full_name: 'Mara Jade',
        provider_id: 'prof_1',
      },
    },
  },
  {
    // Source: docs.x.com/x-api/users/get-my-user.
    name: 'x without a confirmed address',
    read: users.x,
    answers: [
      {
        data: {
          id: '2244994945',
          name: 'Mara',
          username: 'mara',
          profile_image_url: 'https://x/p',
          url: 'https://t.co/1',
          created_at: '2013-12-14T04:35:55.000Z',
        },
      },
    ],
    user: {
      emails: [],
      metadata: {
        ...flags,
        iss: api,
        sub: '2244994945',
        name: 'Mara',
        preferred_username: 'mara',
        picture: 'https://x/p',
        profile: 'https://x.com/mara',
        website: 'https://t.co/1',
        custom_claims: { created_at: '2013-12-14T04:35:55.000Z' },
        avatar_url: 'https://x/p',
        full_name: 'Mara',
        provider_id: '2244994945',
        user_name: 'mara',
      },
    },
  },
  ...[
    ['by address and password, not confirmed', { login_type: '100', verified: 0 }, unverified],
    ['by address and password, confirmed', { login_type: '100', verified: 1 }, verified],
    ['by Google', { login_type: 1, verified: 0 }, verified],
  ].map(
    ([how, facts, emails]): Row => ({
      // Source: developers.zoom.us/docs/api/users "Get a user".
      name: `zoom ${how}`,
      read: users.zoom,
      answers: [
        {
          id: 'z1',
          first_name: 'Mara',
          last_name: 'Jade',
          email,
          pic_url: 'https://z/p',
          ...(facts as object),
        },
      ],
      user: {
        emails: emails as UserData['emails'],
        metadata: {
          ...flags,
          iss: api,
          sub: 'z1',
          name: 'Mara Jade',
          picture: 'https://z/p',
          avatar_url: 'https://z/p',
          full_name: 'Mara Jade',
          provider_id: 'z1',
        },
      },
    }),
  ),
];

describe('what a provider says of a user', () => {
  it.each(rows)('$name', ({ read, answers, user }) => {
    expect(read(answers, api)).toEqual(user);
  });

  it.each<[string, users.ReadUser, readonly unknown[]]>([
    ['an address that is a number', users.discord, [{ id: '1', email: 5, avatar: 'a' }]],
    ['a number that is text', users.github, [{ id: '1' }, []]],
    ['addresses that are an object', users.github, [{ id: 1 }, { message: 'Requires authentication' }]],
    ['a user that is a list', users.figma, [[]]],
    ['a user that is text', users.keycloak, ['no']],
    ['nobody', users.twitch, [{ data: [] }]],
    ['no picture and no number to choose one by', users.discord, [{ id: '1', discriminator: 'x' }]],
    ['a name in no language', users.linkedin, [{ id: '1' }, { elements: [{ 'handle~': {} }] }]],
    ['more addresses than anybody has', users.github, [{ id: 1 }, Array(1001).fill({ email })]],
  ])('refuses %s', (_, read, answers) => {
    expect(() => read(answers, api)).toThrow();
  });
});
