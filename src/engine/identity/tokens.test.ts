// In charge of: which tokens and keys are accepted, as whom, and why the others are not.
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  developmentJwtSecret,
  developmentPublishableKey,
  developmentSecretKey,
} from './development-secrets.ts';
import { type IdentityOptions, openIdentity } from './identity.ts';
import { signLegacyKey } from './keys.ts';
import { CredentialsRefused } from './refused.ts';

const nowMs = Date.UTC(2026, 0, 1);
const now = nowMs / 1000;
const secret = new TextEncoder().encode(developmentJwtSecret);
const pair = await generateKeyPair('ES256', { extractable: true });
const other = await generateKeyPair('ES256');
const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };

function open(options: Partial<IdentityOptions> = {}, clock = () => nowMs) {
  return openIdentity({
    keys: {
      publishable: developmentPublishableKey,
      secret: developmentSecretKey,
      anon: 'unused',
      serviceRole: 'unused',
    },
    tokenKeys: () => ({ secret, jwks: { keys: [jwk] } }),
    rules: () => ({
      anonymousRole: 'anon',
      audience: undefined,
      roleOf: ({ role }) => (typeof role === 'string' ? role : undefined),
    }),
    anonymousWithoutKey: () => true,
    now: clock,
    ...options,
  });
}

const hs256 = (claims: object, key: Uint8Array = secret) =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(key);
const es256 = (claims: object, key = pair.privateKey, kid = 'one') =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid }).sign(key);

const ask = (authorization: string | undefined, apikey?: string, options?: Partial<IdentityOptions>) =>
  // A key is known at once and a token later: both ways of refusing are heard.
  Promise.resolve()
    .then(() => open(options).callerOf(authorization, apikey))
    .then(
      ({ role, claims, by }) => ({ role, claims: JSON.parse(claims), by }),
      (error: unknown) => (error instanceof CredentialsRefused ? error.reason : error),
    );

describe('keys', () => {
  const anon = { role: 'anon', claims: { role: 'anon' } };
  const service = { role: 'service_role', claims: { role: 'service_role' } };
  it.each([
    ['nothing', undefined, undefined, { ...anon, by: 'nothing' }],
    ['the publishable key', undefined, developmentPublishableKey, { ...anon, by: 'key' }],
    ['the secret key', undefined, developmentSecretKey, { ...service, by: 'key' }],
    [
      'a key as bearer, as supabase-js sends it',
      `Bearer ${developmentSecretKey}`,
      developmentSecretKey,
      { ...service, by: 'key' },
    ],
    [
      'the apikey header beside a weaker bearer key',
      `Bearer ${developmentPublishableKey}`,
      developmentSecretKey,
      { ...service, by: 'key' },
    ],
    ['an unknown key', undefined, 'sb_secret_0000000000000000000000_00000000', 'unknown_key'],
    ['another scheme than bearer', 'Basic YTpi', developmentPublishableKey, { ...anon, by: 'key' }],
  ])('%s', async (_, authorization, apikey, expected) => {
    expect(await ask(authorization, apikey)).toEqual(expected);
  });

  it('refuse a request without any when that is the rule', async () => {
    expect(await ask(undefined, undefined, { anonymousWithoutKey: () => false })).toBe('missing');
    expect(await ask(undefined, '', { anonymousWithoutKey: () => false })).toBe('missing');
  });

  it('of the old kind are letter for letter those that the Supabase CLI prints', async () => {
    expect(await signLegacyKey('anon', developmentJwtSecret)).toBe(
      'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9.CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0',
    );
  });

  it('are refused beside a good token when they are wrong', async () => {
    expect(await ask(`Bearer ${await hs256({ role: 'authenticated' })}`, 'sb_publishable_wrong')).toBe(
      'unknown_key',
    );
  });
});

describe('tokens', () => {
  it('are accepted by HS256 and by JWKS, with their claims as they were signed', async () => {
    const claims = { role: 'authenticated', sub: 'ada', big: 12345678901234 };
    const expected = { role: 'authenticated', claims, by: 'token' };
    expect(await ask(`Bearer ${await hs256(claims)}`)).toEqual(expected);
    expect(await ask(`bearer ${await es256(claims)}`)).toEqual(expected);
  });

  it('without a role are anonymous, and say so in their claims', async () => {
    expect(await ask(`Bearer ${await hs256({ sub: 'ada' })}`)).toEqual({
      role: 'anon',
      claims: { sub: 'ada', role: 'anon' },
      by: 'token',
    });
  });

  it.each([
    ['expired', { exp: now - 31 }, 'expired'],
    ['not yet valid', { nbf: now + 31 }, 'not_yet_valid'],
    ['issued in the future', { iat: now + 31 }, 'issued_in_future'],
    ['with an exp that is no number', { exp: 'soon' }, 'exp_not_a_number'],
    ['with an nbf that is no number', { nbf: 'soon' }, 'nbf_not_a_number'],
    ['with an iat that is no number', { iat: {} }, 'iat_not_a_number'],
    ['with an aud that is no text', { aud: 7 }, 'aud_not_text'],
  ])('%s are refused', async (_, claims, reason) => {
    expect(await ask(`Bearer ${await hs256({ role: 'authenticated', ...claims })}`)).toBe(reason);
  });

  it.each([
    ['expired', { exp: now - 29 }],
    ['not yet valid', { nbf: now + 29 }],
    ['issued in the future', { iat: now + 29 }],
  ])('%s by less than the skew of two clocks are accepted', async (_, claims) => {
    expect(await ask(`Bearer ${await hs256({ role: 'authenticated', ...claims })}`)).toMatchObject({
      role: 'authenticated',
    });
  });

  it('are held to the audience when there is one', async () => {
    const rules = () => ({ anonymousRole: 'anon', audience: 'app', roleOf: () => 'authenticated' });
    const of = async (aud: unknown) => ask(`Bearer ${await hs256({ aud })}`, undefined, { rules });
    expect(await of('app')).toMatchObject({ role: 'authenticated' });
    expect(await of(['x', 'app'])).toMatchObject({ role: 'authenticated' });
    expect(await of([])).toMatchObject({ role: 'authenticated' });
    expect(await of('other')).toBe('not_in_audience');
  });

  it('that are none are refused, each for its reason', async () => {
    expect(await ask('Bearer ')).toBe('empty');
    expect(await ask('Bearer a.b')).toBe('wrong_parts');
    expect(await ask('Bearer a.b.c')).toBe('malformed');
    expect(
      await ask(`Bearer ${await hs256({}, new TextEncoder().encode('another secret of thirty-two bytes'))}`),
    ).toBe('bad_signature');
    expect(await ask(`Bearer ${await es256({}, other.privateKey)}`)).toBe('bad_signature');
    expect(await ask(`Bearer ${await es256({}, pair.privateKey, 'two')}`)).toBe('no_suitable_key');
  });

  it('cannot choose their own kind of key (CVE-2015-9235)', async () => {
    const publicKeyAsSecret = new TextEncoder().encode(await exportSPKI(pair.publicKey));
    const jwkAsSecret = new TextEncoder().encode(JSON.stringify(jwk));
    expect(await ask(`Bearer ${await hs256({ role: 'service_role' }, publicKeyAsSecret)}`)).toBe(
      'bad_signature',
    );
    expect(await ask(`Bearer ${await hs256({ role: 'service_role' }, jwkAsSecret)}`)).toBe('bad_signature');
    expect(await ask(`Bearer ${new UnsecuredJWT({ role: 'service_role' }).encode()}`)).toBe('bad_algorithm');
  });

  it('end with their exp also when they were seen before', async () => {
    let time = nowMs;
    const identity = open({}, () => time);
    const token = `Bearer ${await hs256({ role: 'authenticated', exp: now + 60 })}`;
    expect((await identity.callerOf(token, undefined)).role).toBe('authenticated');
    time += 91_000;
    await expect(identity.callerOf(token, undefined)).rejects.toMatchObject({ reason: 'expired' });
  });
});

describe('a token of our own that says who somebody is', () => {
  it('is refused when it is for somebody else to read, unless another issuer has signed it', async () => {
    const rules = () => ({
      anonymousRole: 'anon',
      audience: undefined,
      roleOf: () => undefined,
      isForOthers: ({ aud }: Readonly<Record<string, unknown>>) => aud === 'an application',
    });
    const keys = { secret: undefined, jwks: { keys: [jwk] }, stillCount: () => true };
    const them = { audience: undefined, keysFor: async () => keys };
    const issuers = {
      find: (iss?: string) => (iss === 'https://them.example' ? them : undefined),
      warm() {},
    };
    const outcome = async (claims: object) =>
      ask(`Bearer ${await es256({ sub: 'ada', ...claims })}`, undefined, { rules, issuers });
    expect(await outcome({ aud: 'an application' })).toBe('not_in_audience');
    expect(await outcome({ aud: 'authenticated' })).toMatchObject({ role: 'anon' });
    expect(await outcome({ aud: 'an application', iss: 'https://them.example' })).toMatchObject({
      role: 'anon',
    });
  });
});
