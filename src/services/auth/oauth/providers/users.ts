// In charge of: who a user is by what each provider says of them: pure functions from its documented answers to addresses and metadata.
// Source: supabase/auth internal/api/provider/<name>.go `GetUserData`, one function each.
import type { JsonObject } from '../../go-json.ts';
import type { ProviderEmail, UserData } from '../provider.ts';
import { flagAt, isObject, listAt, memberAt, metadata, numberAt, oneEmail, textAt } from './answers.ts';

/** `answers` in the order in which the table asks; `issuer` is where they came from. @throws Error for an answer of another shape */
export type ReadUser = (answers: readonly unknown[], issuer: string) => UserData;

export const bitbucket: ReadUser = ([user, emails], issuer) => {
  const [id, name, avatar] = [
    textAt(user, 'uuid'),
    textAt(user, 'display_name'),
    textAt(user, 'avatar', 'href'),
  ];
  return {
    emails: listed(listAt(emails, 'values'), 'is_confirmed', 'is_primary'),
    metadata: metadata({ ...usual(issuer, id, name, avatar), picture: avatar }),
  };
};

export const discord: ReadUser = ([user], issuer) => {
  const [id, name, discriminator] = [
    textAt(user, 'id'),
    textAt(user, 'username'),
    textAt(user, 'discriminator'),
  ];
  const avatar = discordAvatar(id, textAt(user, 'avatar'), discriminator);
  return {
    emails: oneEmail(textAt(user, 'email'), flagAt(user, 'verified')),
    metadata: metadata({
      ...usual(issuer, id, name, avatar),
      name: `${name}#${discriminator}`,
      picture: avatar,
      custom_claims: { global_name: textAt(user, 'global_name') },
    }),
  };
};

/** Source: discord.com/developers/docs/reference#image-formatting. */
function discordAvatar(id: string, avatar: string, discriminator: string): string {
  if (avatar !== '') {
    const kind = avatar.startsWith('a_') ? 'gif' : 'png';
    return `https://cdn.discordapp.com/avatars/${id}/${avatar}.${kind}`;
  }
  if (!/^[+-]?\d{1,18}$/.test(discriminator)) throw new Error('The discriminator is no number.');
  return `https://cdn.discordapp.com/embed/avatars/${Number(discriminator) % 5}.png`;
}

export const facebook: ReadUser = ([user], issuer) => {
  const name = `${textAt(user, 'first_name')} ${textAt(user, 'last_name')}`.trim();
  const [id, alias, avatar] = [
    textAt(user, 'id'),
    textAt(user, 'name'),
    textAt(user, 'picture', 'data', 'url'),
  ];
  return {
    emails: oneEmail(textAt(user, 'email'), true),
    metadata: metadata({
      ...usual(issuer, id, name, avatar),
      nickname: alias,
      picture: avatar,
      slug: alias,
    }),
  };
};

export const figma: ReadUser = ([user], issuer) => {
  const email = textAt(user, 'email');
  return {
    emails: oneEmail(email, true),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'id'), textAt(user, 'handle'), textAt(user, 'img_url')),
      email,
      email_verified: true,
    }),
  };
};

export const fly: ReadUser = ([user], issuer) => {
  const [id, email] = [textAt(user, 'user_id'), textAt(user, 'email')];
  const organizations = memberAt(user, ['organizations']) ?? null;
  return {
    emails: oneEmail(email, true),
    metadata: metadata({
      iss: issuer,
      sub: id,
      full_name: textAt(user, 'user_name'),
      email,
      email_verified: true,
      provider_id: id,
      custom_claims: {
        resource_owner_id: textAt(user, 'resource_owner_id'),
        organizations:
          organizations === null
            ? null
            : listAt(user, 'organizations').map((one) => ({
                id: textAt(one, 'id'),
                role: textAt(one, 'role'),
              })),
        application: memberAt(user, ['application']) ?? null,
        scope: memberAt(user, ['scope']) ?? null,
        created_at: numberAt(user, 'created_at'),
      },
    }),
  };
};

export const github: ReadUser = ([user, emails], issuer) => {
  const [id, login] = [String(numberAt(user, 'id')), textAt(user, 'login')];
  return {
    // Also those that are not shown on the profile: `email` there is not looked at.
    emails: listed(listAt(emails), 'verified', 'primary'),
    metadata: metadata({
      ...usual(issuer, id, textAt(user, 'name'), textAt(user, 'avatar_url')),
      preferred_username: login,
      user_name: login,
    }),
  };
};

export const gitlab: ReadUser = ([user, emails], issuer) => {
  const avatar = textAt(user, 'avatar_url');
  // Of further addresses nobody says whether they are confirmed.
  const further = listAt(emails)
    .map((one) => ({ email: textAt(one, 'email'), verified: false, primary: false }))
    .filter(({ email }) => email !== '');
  return {
    emails: [...further, ...oneEmail(textAt(user, 'email'), textAt(user, 'confirmed_at') !== '')],
    metadata: metadata({
      ...usual(issuer, String(numberAt(user, 'id')), textAt(user, 'name'), avatar),
      picture: avatar,
    }),
  };
};

/** Where no id_token came. */
export const google: ReadUser = ([user], issuer) => {
  const [email, avatar] = [textAt(user, 'email'), textAt(user, 'picture')];
  const verified = flagAt(user, 'verified_email') || flagAt(user, 'email_verified');
  return {
    emails: oneEmail(email, verified),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'id'), textAt(user, 'name'), avatar),
      picture: avatar,
      email,
      email_verified: verified,
    }),
  };
};

export const kakao: ReadUser = ([user], issuer) => {
  const account = memberAt(user, ['kakao_account']);
  const name = textAt(account, 'profile', 'nickname');
  return {
    emails: oneEmail(
      textAt(account, 'email'),
      flagAt(account, 'is_email_verified') && flagAt(account, 'is_email_valid'),
    ),
    metadata: metadata({
      ...usual(issuer, String(numberAt(user, 'id')), name, textAt(account, 'profile', 'profile_image_url')),
      preferred_username: name,
      user_name: name,
    }),
  };
};

export const keycloak: ReadUser = ([user], issuer) => {
  if (!isObject(user)) throw new Error('What Keycloak says of the user is no object.');
  const textOf = (name: string) => (typeof user[name] === 'string' ? user[name] : '');
  const [email, sub, name] = [textOf('email'), textOf('sub'), textOf('name')];
  const verified = user.email_verified === true;
  const { name: _name, sub: _sub, email: _email, email_verified: _verified, ...rest } = user;
  return {
    emails: oneEmail(email, verified),
    metadata: metadata({
      iss: issuer,
      sub,
      name,
      email,
      email_verified: verified,
      custom_claims: rest,
      full_name: name,
      provider_id: sub,
    }),
  };
};

export const linkedin: ReadUser = ([user, emails], issuer) => {
  const name = `${linkedinName(user, 'firstName')} ${linkedinName(user, 'lastName')}`.trim();
  const [picture] = listAt(user, 'profilePicture', 'displayImage~', 'elements');
  const avatar = picture === undefined ? '' : textAt(listAt(picture, 'identifiers')[0], 'identifier');
  const [first] = listAt(emails, 'elements');
  if (first === undefined) throw new Error('LinkedIn names no mail address.');
  const email = textAt(first, 'handle~', 'emailAddress');
  return {
    emails: oneEmail(email, true),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'id'), name, avatar),
      picture: avatar,
      email,
      email_verified: true,
    }),
  };
};

/** @throws Error when there is no name in the language that is said to be the preferred one */
function linkedinName(user: unknown, which: string): string {
  const locale = ['preferredLocale'] as const;
  const key = `${textAt(user, which, ...locale, 'language')}_${textAt(user, which, ...locale, 'country')}`;
  const name = memberAt(user, [which, 'localized', key]);
  if (typeof name !== 'string') throw new Error(`"${which}" has no name in "${key}".`);
  return name;
}

export const notion: ReadUser = ([answer], issuer) => {
  const user = memberAt(answer, ['bot', 'owner', 'user']);
  const avatar = textAt(user, 'avatar_url');
  return {
    // Notion does not say whether it is confirmed.
    emails: oneEmail(textAt(user, 'person', 'email'), true),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'id'), textAt(user, 'name'), avatar),
      picture: avatar,
    }),
  };
};

// The older Slack sign-in does not say whether an address is confirmed.
export const slack: ReadUser = ([user], issuer) => slackUser(user, issuer, true);
export const slackOidc: ReadUser = ([user], issuer) =>
  slackUser(user, issuer, flagAt(user, 'email_verified'));

function slackUser(user: unknown, issuer: string, verified: boolean): UserData {
  const avatar = textAt(user, 'picture');
  return {
    emails: oneEmail(textAt(user, 'email'), verified),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'https://slack.com/user_id'), textAt(user, 'name'), avatar),
      picture: avatar,
      custom_claims: { 'https://slack.com/team_id': textAt(user, 'https://slack.com/team_id') },
    }),
  };
}

export const snapchat: ReadUser = ([answer]) => {
  const me = memberAt(answer, ['data', 'me']);
  const [name, avatar] = [textAt(me, 'displayName'), textAt(me, 'bitmoji', 'avatar')];
  return {
    emails: oneEmail(textAt(me, 'email'), true),
    metadata: metadata({
      ...usual(snapchatIssuer, textAt(me, 'externalId'), name, avatar),
      picture: avatar,
      slug: name,
    }),
  };
};
export const snapchatIssuer = 'https://accounts.snapchat.com/accounts/oauth2/token';

export const spotify: ReadUser = ([user], issuer) => {
  const area = (image: unknown) => numberAt(image, 'height') * numberAt(image, 'width');
  const images = listAt(user, 'images');
  const largest = images.reduce((best, image) => (area(image) > area(best) ? image : best), images[0]);
  const avatar = textAt(largest, 'url');
  return {
    // Spotify says that the address is not confirmed to be the user's.
    emails: oneEmail(textAt(user, 'email'), false),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'id'), textAt(user, 'display_name'), avatar),
      picture: avatar,
    }),
  };
};

export const twitch: ReadUser = ([answer], issuer) => {
  const [user] = listAt(answer, 'data');
  if (user === undefined) throw new Error('unable to find user with twitch provider');
  const [avatar, shown] = [textAt(user, 'profile_image_url'), textAt(user, 'display_name')];
  return {
    emails: oneEmail(textAt(user, 'email'), true),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'id'), textAt(user, 'login'), avatar),
      picture: avatar,
      nickname: shown,
      custom_claims: {
        broadcaster_type: textAt(user, 'broadcaster_type'),
        description: textAt(user, 'description'),
        type: textAt(user, 'type'),
        offline_image_url: textAt(user, 'offline_image_url'),
        view_count: numberAt(user, 'view_count'),
      },
      slug: shown,
    }),
  };
};

export const twitter: ReadUser = ([user], issuer) => {
  const [avatar, login] = [textAt(user, 'profile_image_url_https'), textAt(user, 'screen_name')];
  return {
    emails: oneEmail(textAt(user, 'email'), true),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'id_str'), textAt(user, 'name'), avatar),
      picture: avatar,
      preferred_username: login,
      user_name: login,
    }),
  };
};

/** WorkOS sends the profile along with the token. */
export const workos: ReadUser = ([profile], issuer) => {
  const name = `${textAt(profile, 'first_name')} ${textAt(profile, 'last_name')}`.trim();
  return {
    emails: oneEmail(textAt(profile, 'email'), true),
    metadata: metadata({
      ...usual(issuer, textAt(profile, 'id'), name, ''),
      custom_claims: {
        connection_id: textAt(profile, 'connection_id'),
        organization_id: textAt(profile, 'organization_id'),
      },
    }),
  };
};

export const x: ReadUser = ([answer], issuer) => {
  const user = memberAt(answer, ['data']);
  const [login, avatar] = [textAt(user, 'username'), textAt(user, 'profile_image_url')];
  return {
    // Only confirmed addresses are told.
    emails: oneEmail(textAt(user, 'confirmed_email'), true),
    metadata: metadata({
      ...usual(issuer, textAt(user, 'id'), textAt(user, 'name'), avatar),
      preferred_username: login,
      picture: avatar,
      profile: `https://x.com/${login}`,
      website: textAt(user, 'url'),
      custom_claims: { created_at: textAt(user, 'created_at') },
      user_name: login,
    }),
  };
};

export const zoom: ReadUser = ([user], issuer) => {
  const name = `${textAt(user, 'first_name')} ${textAt(user, 'last_name')}`.trim();
  const avatar = textAt(user, 'pic_url');
  const loginType = memberAt(user, ['login_type']) ?? '';
  // 100 is a sign-in by address and password, whose address is confirmed only when Zoom says so.
  const verified = String(loginType) !== '100' || numberAt(user, 'verified') !== 0;
  return {
    emails: oneEmail(textAt(user, 'email'), verified),
    metadata: metadata({ ...usual(issuer, textAt(user, 'id'), name, avatar), picture: avatar }),
  };
};

/** What is told of everybody, under new names and old. */
function usual(
  issuer: string,
  id: string,
  name: string,
  avatar: string,
): JsonObject & { readonly sub: string } {
  return { iss: issuer, sub: id, name, avatar_url: avatar, full_name: name, provider_id: id };
}

function listed(emails: readonly unknown[], verified: string, primary: string): readonly ProviderEmail[] {
  return emails
    .map((one) => ({
      email: textAt(one, 'email'),
      verified: flagAt(one, verified),
      primary: flagAt(one, primary),
    }))
    .filter(({ email }) => email !== '');
}
