// In charge of: for every issuer the claims that it documents, and the whole of what is kept of them.
// Source: supabase/auth internal/api/provider/{oidc_test.go,azure_test.go}.
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../go-json.ts';
import type { UserData } from '../provider.ts';
import { userOfClaims } from './id-token-users.ts';

const email = 'mara@example.com';
const verified = [{ email, verified: true, primary: true }];
const unverified = [{ email, verified: false, primary: true }];
const flags = { email_verified: false, phone_verified: false };
const azureIssuer = 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0';
const usual = { aud: 'client', exp: 1_700_000_000, iat: 1_699_990_000, sub: 's1' };

const rows: readonly (readonly [string, JsonObject, UserData])[] = [
  [
    'google',
    {
      ...usual,
      iss: 'https://accounts.google.com',
      email,
      email_verified: true,
      name: 'Mara',
      picture: 'https://g/p',
      hd: 'example.com',
    },
    {
      emails: verified,
      metadata: {
        ...flags,
        iss: 'https://accounts.google.com',
        sub: 's1',
        name: 'Mara',
        picture: 'https://g/p',
        avatar_url: 'https://g/p',
        full_name: 'Mara',
        provider_id: 's1',
        custom_claims: { hd: 'example.com' },
      },
    },
  ],
  [
    'apple, who hides the address',
    {
      ...usual,
      iss: 'https://appleid.apple.com',
      email,
      email_verified: 'true',
      is_private_email: 'true',
      auth_time: 1_699_990_000,
    },
    {
      emails: verified,
      metadata: {
        ...flags,
        iss: 'https://appleid.apple.com',
        sub: 's1',
        provider_id: 's1',
        custom_claims: { is_private_email: true, auth_time: 1_699_990_000 },
      },
    },
  ],
  [
    'apple under its other name, without an address',
    { ...usual, iss: 'https://account.apple.com' },
    {
      emails: [],
      metadata: { ...flags, iss: 'https://account.apple.com', sub: 's1', provider_id: 's1' },
    },
  ],
  [
    'azure, where the address is the domain owner’s',
    {
      ...usual,
      iss: azureIssuer,
      email,
      name: 'Mara',
      preferred_username: 'mara@corp',
      tid: 't1',
      oid: 'o1',
      ver: '2.0',
      xms_edov: '1',
    },
    {
      emails: verified,
      metadata: {
        ...flags,
        iss: azureIssuer,
        sub: 's1',
        provider_id: 's1',
        preferred_username: 'mara@corp',
        full_name: 'Mara',
        custom_claims: { email, tid: 't1', oid: 'o1', xms_edov: '1' },
      },
    },
  ],
  [
    'azure, where anybody could have written the address (nOAuth)',
    { ...usual, iss: azureIssuer, email, xms_edov: false },
    {
      emails: unverified,
      metadata: {
        ...flags,
        iss: azureIssuer,
        sub: 's1',
        provider_id: 's1',
        custom_claims: { email, xms_edov: false },
      },
    },
  ],
  [
    'facebook',
    { ...usual, iss: 'https://www.facebook.com', email, name: 'Mara', picture: 'https://fb/p' },
    {
      emails: verified,
      metadata: {
        iss: 'https://www.facebook.com',
        sub: 's1',
        name: 'Mara',
        picture: 'https://fb/p',
        provider_id: 's1',
        email,
        email_verified: true,
        phone_verified: false,
      },
    },
  ],
  [
    'kakao',
    { ...usual, iss: 'https://kauth.kakao.com', email, nickname: 'Mara', picture: 'https://k/p' },
    {
      emails: verified,
      metadata: {
        ...flags,
        iss: 'https://kauth.kakao.com',
        sub: 's1',
        name: 'Mara',
        preferred_username: 'Mara',
        provider_id: 's1',
        picture: 'https://k/p',
      },
    },
  ],
  [
    'linkedin_oidc',
    {
      ...usual,
      iss: 'https://www.linkedin.com/oauth',
      email,
      email_verified: 'false',
      given_name: 'Mara',
      family_name: 'Jade',
      locale: 'en_US',
      picture: 'https://li/p',
    },
    {
      emails: unverified,
      metadata: {
        ...flags,
        iss: 'https://www.linkedin.com/oauth',
        sub: 's1',
        name: 'Mara Jade',
        given_name: 'Mara',
        family_name: 'Jade',
        locale: 'en_US',
        picture: 'https://li/p',
        provider_id: 's1',
      },
    },
  ],
  [
    'vercel_marketplace',
    {
      ...usual,
      iss: 'https://marketplace.vercel.com',
      global_user_id: 'g1',
      user_email: email,
      user_name: 'Mara',
      user_avatar_url: 'https://v/p',
    },
    {
      emails: verified,
      metadata: {
        ...flags,
        iss: 'https://marketplace.vercel.com',
        sub: 'global_user_id:g1',
        provider_id: 'global_user_id:g1',
        name: 'Mara',
        picture: 'https://v/p',
      },
    },
  ],
  [
    'snapchat',
    { ...usual, iss: 'https://accounts.snapchat.com/accounts/oauth2/token', email },
    {
      emails: verified,
      metadata: {
        ...usual,
        aud: ['client'],
        iss: 'https://accounts.snapchat.com/accounts/oauth2/token',
        email,
        email_verified: true,
        phone_verified: false,
      },
    },
  ],
  [
    'any other issuer',
    {
      ...usual,
      iss: 'https://id.example.com',
      email,
      email_verified: false,
      nickname: 'M',
      phone: '+49',
      phone_verified: true,
      updated_at: 1_700_000_000,
      groups: ['a'],
    },
    {
      emails: unverified,
      metadata: {
        ...usual,
        aud: ['client'],
        iss: 'https://id.example.com',
        email,
        email_verified: false,
        nickname: 'M',
        phone: '+49',
        phone_verified: true,
        updated_at: '2023-11-14T22:13:20Z',
      },
    },
  ],
];

describe('whose an id_token is', () => {
  it.each(rows)('%s', (_, claims, user) => {
    expect(userOfClaims(claims)).toEqual(user);
  });

  it.each<[string, JsonObject]>([
    ['an address that is a number', { ...usual, iss: 'https://id.example.com', email: 5 }],
    ['a flag that is text', { ...usual, iss: 'https://id.example.com', email, email_verified: 'true' }],
    ['a word that is no flag', { ...usual, iss: 'https://appleid.apple.com', is_private_email: 'yes' }],
    ['a time that is none', { ...usual, iss: 'https://id.example.com', updated_at: 'yesterday' }],
    [
      'LinkedIn not saying whether an address is confirmed',
      { ...usual, iss: 'https://www.linkedin.com/oauth' },
    ],
  ])('refuses %s', (_, claims) => {
    expect(() => userOfClaims(claims)).toThrow();
  });
});
