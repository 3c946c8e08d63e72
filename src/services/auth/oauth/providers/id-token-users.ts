// In charge of: who a user is by the claims of an id_token that was verified. Each issuer has its own words.
// Source: supabase/auth internal/api/provider/oidc.go `ParseIDToken`, snapchat.go `parseSnapchatIDToken`, apple.go, azure.go.
import type { JsonObject } from '../../go-json.ts';
import { profileClaims, type UserData } from '../provider.ts';
import { flagAt, metadata, oneEmail, textAt } from './answers.ts';
import { snapchatIssuer } from './users.ts';

export const issuers = {
  google: 'https://accounts.google.com',
  apple: 'https://appleid.apple.com',
  facebook: 'https://www.facebook.com',
  kakao: 'https://kauth.kakao.com',
  linkedin: 'https://www.linkedin.com/oauth',
  snapchat: snapchatIssuer,
  vercel: 'https://marketplace.vercel.com',
} as const;
/** Apple writes this one as well. */
const otherAppleIssuer = 'https://account.apple.com';

export const isAppleIssuer = (issuer: string) => issuer === issuers.apple || issuer === otherAppleIssuer;
export const isAzureIssuer = (issuer: string) =>
  /^https:\/\/login[.]microsoftonline[.]com\/([^/]+)\/v2[.]0\/?$/.test(issuer);
export const isAzureCiamIssuer = (issuer: string) =>
  /^https:\/\/[a-z0-9-]+[.]ciamlogin[.]com\/([^/]+)\/v2[.]0\/?$/.test(issuer);

/** @throws Error for a claim of another type than its issuer documents */
export function userOfClaims(claims: JsonObject): UserData {
  const issuer = textAt(claims, 'iss');
  const read = readers.find(([fits]) => fits(issuer))?.[1] ?? generic;
  return read(claims, issuer, textAt(claims, 'sub'));
}

type Read = (claims: JsonObject, issuer: string, sub: string) => UserData;

const google: Read = (claims, iss, sub) => {
  const [name, picture, domain] = [textAt(claims, 'name'), textAt(claims, 'picture'), textAt(claims, 'hd')];
  const verified = flagAt(claims, 'verified_email') || flagAt(claims, 'email_verified');
  return {
    emails: oneEmail(textAt(claims, 'email'), verified),
    metadata: metadata({
      iss,
      sub,
      name,
      picture,
      avatar_url: picture,
      full_name: name,
      provider_id: sub,
      custom_claims: domain === '' ? undefined : { hd: domain },
    }),
  };
};

/** The token of Limited Login, whose addresses are confirmed. */
const facebook: Read = (claims, iss, sub) => {
  const email = textAt(claims, 'email');
  return {
    emails: oneEmail(email, true),
    metadata: metadata({
      iss,
      sub,
      name: textAt(claims, 'name'),
      picture: textAt(claims, 'picture'),
      provider_id: sub,
      email,
      email_verified: email !== '',
    }),
  };
};

const apple: Read = (claims, iss, sub) => {
  const isPrivate = looseFlag(claims.is_private_email);
  const custom = {
    ...(isPrivate !== undefined && { is_private_email: isPrivate }),
    ...(typeof claims.auth_time === 'number' && { auth_time: claims.auth_time }),
    ...(textAt(claims, 'transfer_sub') !== '' && { transfer_sub: claims.transfer_sub }),
  };
  return {
    // Upstream lists an empty address as well, which then has no owner; none is listed here.
    emails: oneEmail(textAt(claims, 'email'), true),
    metadata: metadata({
      iss,
      sub,
      provider_id: sub,
      custom_claims: Object.keys(custom).length === 0 ? undefined : custom,
    }),
  };
};

/** Apple writes true and "true". */
function looseFlag(value: unknown): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value;
  const known = typeof value === 'string' ? goBooleans.get(value) : undefined;
  if (known === undefined) throw new Error('A claim is neither true nor false.');
  return known;
}

/** Source: Go strconv.ParseBool. */
const goBooleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((word) => [word, false] as const),
]);

const linkedin: Read = (claims, iss, sub) => {
  // Text upstream; LinkedIn has sent both.
  const verified = looseFlag(claims.email_verified);
  if (verified === undefined) throw new Error('"email_verified" is missing.');
  const [given, family] = [textAt(claims, 'given_name'), textAt(claims, 'family_name')];
  return {
    emails: oneEmail(textAt(claims, 'email'), verified),
    metadata: metadata({
      iss,
      sub,
      name: `${given} ${family}`.trim(),
      given_name: given,
      family_name: family,
      locale: textAt(claims, 'locale'),
      picture: textAt(claims, 'picture'),
      provider_id: sub,
    }),
  };
};

const azure: Read = (claims, iss, sub) => {
  const email = textAt(claims, 'email');
  const custom = Object.entries(claims).filter(([name]) => !ofEveryAzureToken.has(name));
  return {
    emails: oneEmail(email, isVerifiedByAzure(claims.xms_edov)),
    metadata: metadata({
      iss,
      sub,
      provider_id: sub,
      preferred_username: textAt(claims, 'preferred_username'),
      full_name: textAt(claims, 'name'),
      custom_claims: Object.fromEntries(custom),
    }),
  };
};

/** Without the claim the address is taken as confirmed; otherwise anybody's tenant could say any address (the hole known as nOAuth). */
function isVerifiedByAzure(ownerVerified: unknown): boolean {
  if (ownerVerified === undefined || ownerVerified === null) return true;
  return ownerVerified === true || ownerVerified === '1' || ownerVerified === 'true';
}

const ofEveryAzureToken: ReadonlySet<string> = new Set([
  'aud',
  'iss',
  'iat',
  'nbf',
  'exp',
  'c_hash',
  'at_hash',
  'aio',
  'nonce',
  'rh',
  'uti',
  'jti',
  'ver',
  'sub',
  'name',
  'preferred_username',
]);

const kakao: Read = (claims, iss, sub) => {
  const name = textAt(claims, 'nickname');
  return {
    emails: oneEmail(textAt(claims, 'email'), true),
    metadata: metadata({
      iss,
      sub,
      name,
      preferred_username: name,
      provider_id: sub,
      picture: textAt(claims, 'picture'),
    }),
  };
};

const vercel: Read = (claims, iss, subject) => {
  const globalId = textAt(claims, 'global_user_id');
  const sub = globalId === '' ? subject : `global_user_id:${globalId}`;
  return {
    emails: oneEmail(textAt(claims, 'user_email'), true),
    metadata: metadata({
      iss,
      sub,
      provider_id: sub,
      name: textAt(claims, 'user_name'),
      picture: textAt(claims, 'user_avatar_url'),
    }),
  };
};

const snapchat: Read = (claims, iss, sub) => {
  const user = generic(claims, iss, sub);
  const email = textAt(claims, 'email');
  if (email === '') return user;
  return { emails: oneEmail(email, true), metadata: { ...user.metadata, email_verified: true } };
};

/** Any other issuer: the claims of OpenID Connect, and upstream's own names beside them. */
export const generic: Read = (claims) => {
  const email = textAt(claims, 'email');
  return { emails: oneEmail(email, flagAt(claims, 'email_verified')), metadata: standardClaims(claims) };
};

/** What upstream's `Claims` takes of a JSON object. @throws Error for a claim of another type */
export function standardClaims(claims: JsonObject): UserData['metadata'] {
  const texts = textClaims.map((name) => [name, textAt(claims, name)] as const);
  const flags = flagClaims.map((name) => [name, flagAt(claims, name)] as const);
  const numbers = ['iat', 'exp'].map((name) => [name, numeric(name, claims[name])] as const);
  const custom = claims.custom_claims;
  if (custom !== undefined && custom !== null && (typeof custom !== 'object' || Array.isArray(custom)))
    throw new Error('"custom_claims" is not an object.');
  return metadata({
    ...Object.fromEntries([...texts, ...flags, ...numbers]),
    sub: textAt(claims, 'sub'),
    aud: audienceOf(claims),
    updated_at: timeOf(claims.updated_at),
    custom_claims: custom ?? undefined,
  });
}

/** @throws Error when it is neither a text nor a list of texts */
export function audienceOf({ aud }: JsonObject): readonly string[] | undefined {
  if (aud === undefined || aud === null) return undefined;
  const listed: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!listed.every((one) => typeof one === 'string')) throw new Error('"aud" is not text.');
  return listed as readonly string[];
}

function numeric(name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') throw new Error(`"${name}" is not a number.`);
  return value;
}

/** Seconds, or a time as text. Source: internal/api/provider/provider.go `UnixTimeOrString`. */
function timeOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const at = typeof value === 'number' ? new Date(Math.trunc(value) * 1000) : new Date(String(value));
  if (Number.isNaN(at.getTime()) || (typeof value !== 'number' && typeof value !== 'string'))
    throw new Error('"updated_at" is no time.');
  return at.toISOString().replace('.000Z', 'Z');
}

const readers: readonly (readonly [fits: (issuer: string) => boolean, read: Read])[] = [
  [(issuer) => issuer === issuers.google || issuer === 'accounts.google.com', google],
  [(issuer) => issuer === issuers.linkedin, linkedin],
  [(issuer) => issuer === issuers.kakao, kakao],
  [(issuer) => issuer === issuers.vercel, vercel],
  [(issuer) => issuer === issuers.facebook, facebook],
  [(issuer) => issuer === issuers.snapchat, snapchat],
  [isAzureIssuer, azure],
  [isAppleIssuer, apple],
];

const textClaims = ['iss', 'sub', 'email', ...profileClaims] as const;
const flagClaims = ['email_verified', 'phone_verified'] as const;
