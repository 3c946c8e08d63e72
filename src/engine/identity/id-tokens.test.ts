// In charge of: id_tokens of providers: whose keys verify them, which are refused, how often a provider is asked, and what one that is away does.
import { createHash, createHmac } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../base/observe.ts';
import type { EgressResponse } from '../egress/egress.ts';
import { fitsAccessToken, openIdTokens } from './id-tokens.ts';

const iss = 'https://id.example.com';
const startMs = Date.UTC(2026, 0, 1);
const keys = {
  one: await generateKeyPair('RS256', { extractable: true }),
  two: await generateKeyPair('ES256', { extractable: true }),
};
const jwks: Record<keyof typeof keys, JWK> = {
  one: { ...(await exportJWK(keys.one.publicKey)), kid: 'one' },
  two: { ...(await exportJWK(keys.two.publicKey)), kid: 'two' },
};

function world() {
  const state = { nowMs: startMs, isAway: false, asked: [] as string[], seen: [] as Observation[] };
  const answers = new Map<string, unknown>([
    [
      `${iss}/.well-known/openid-configuration`,
      {
        issuer: iss,
        jwks_uri: `${iss}/keys`,
        id_token_signing_alg_values_supported: ['RS256', 'ES256', 'HS256', 'none'],
      },
    ],
    [`${iss}/keys`, { keys: [jwks.one] }],
  ]);
  const idTokens = openIdTokens({
    egress: {
      async fetch(url): Promise<EgressResponse> {
        state.asked.push(String(url));
        // Others may ask meanwhile.
        await Promise.resolve();
        if (state.isAway) throw new Error('away');
        const answer = answers.get(String(url));
        return {
          status: answer === undefined ? 404 : 200,
          headers: {},
          body: Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer ?? null)),
          url: String(url),
        };
      },
    },
    observe: (observation) => state.seen.push(observation),
    now: () => state.nowMs,
    signal: new AbortController().signal,
  });
  const verify = async (token: string) => idTokens.verify(token, await idTokens.discover(iss));
  const askedKeys = () => state.asked.filter((url) => url === `${iss}/keys`).length;
  return { state, answers, idTokens, verify, askedKeys };
}

const claims = { iss, sub: 's', aud: 'app', exp: startMs / 1000 + 60 };
const sign = (facts: object = {}, key: keyof typeof keys = 'one', header: object = {}) =>
  new SignJWT({ ...claims, ...facts })
    .setProtectedHeader({ alg: key === 'one' ? 'RS256' : 'ES256', kid: key, ...header })
    .sign(keys[key].privateKey);

describe('verify', () => {
  it('gives the claims of a token by a published key', async () => {
    expect(await world().verify(await sign())).toEqual({ claims, alg: 'RS256' });
  });

  it('takes Google by both of its names', async () => {
    const google = 'https://accounts.google.com';
    const { answers, idTokens } = world();
    answers.set(`${google}/.well-known/openid-configuration`, { issuer: google, jwks_uri: `${iss}/keys` });
    const discovery = await idTokens.discover(google);
    for (const name of [google, 'accounts.google.com'])
      expect((await idTokens.verify(await sign({ iss: name }), discovery)).claims.iss).toBe(name);
  });

  it.each<readonly [string, () => Promise<string>]>([
    ['nothing', async () => ''],
    ['what is too long', async () => `${await sign()}${'A'.repeat(40_000)}`],
    ['another issuer', () => sign({ iss: 'https://evil.example' })],
    ['no issuer', () => sign({ iss: undefined })],
    ['a key that is not published', () => sign({}, 'two')],
    ['a published name for another key', () => sign({}, 'two', { kid: 'one' })],
    ['one that is over', () => sign({ exp: startMs / 1000 - 1 })],
    ['one that never ends', () => sign({ exp: undefined })],
    ['an end that is no time', () => sign({ exp: 'never' as never })],
    ['one of later', () => sign({ nbf: startMs / 1000 + 301 })],
    ['one that is issued later', () => sign({ iat: startMs / 1000 + 301 })],
    [
      'the public key as a secret (CVE-2015-9235)',
      async () => {
        const [, payload = ''] = (await sign()).split('.');
        const text = `${Buffer.from('{"alg":"HS256","kid":"one"}').toString('base64url')}.${payload}`;
        const secret = await exportSPKI(keys.one.publicKey);
        return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
      },
    ],
  ])('refuses %s', async (_, make) => {
    await expect(world().verify(await make())).rejects.toThrow();
  });

  it('takes the clock of a provider that is five minutes ahead', async () => {
    const at = startMs / 1000 + 300;
    expect((await world().verify(await sign({ nbf: at, iat: at }))).claims.nbf).toBe(at);
  });

  it('takes no secret that a provider publishes by mistake', async () => {
    const { answers, verify } = world();
    const k = Buffer.from('a secret that everybody can read').toString('base64url');
    answers.set(`${iss}/keys`, { keys: [{ kty: 'oct', k, kid: 'one', alg: 'HS256' }, jwks.one] });
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(Buffer.from(k, 'base64url'));
    await expect(verify(token)).rejects.toThrow('unsupported "HS256"');
  });
});

describe('how often a provider is asked', () => {
  it('is once an hour, also by many at once', async () => {
    const { state, verify } = world();
    const token = await sign({ exp: startMs / 1000 + 100_000 });
    await Promise.all(Array.from({ length: 50 }, () => verify(token)));
    expect(state.asked).toHaveLength(2);
    state.nowMs += 61 * 60_000;
    await verify(token);
    expect(state.asked).toHaveLength(4);
  });

  it('is once in 30 seconds for keys that somebody invents', async () => {
    const { state, verify, askedKeys } = world();
    await verify(await sign());
    for (let at = 0; at < 20; at++)
      await verify(await sign({}, 'one', { kid: `invented-${at}` })).catch(() => {});
    expect(askedKeys()).toBe(1);
    state.nowMs += 31_000;
    await expect(verify(await sign({}, 'one', { kid: 'invented' }))).rejects.toThrow();
    expect(askedKeys()).toBe(2);
  });

  it('is at once for a key that it has made since', async () => {
    const { state, answers, verify } = world();
    await verify(await sign());
    answers.set(`${iss}/keys`, { keys: [jwks.one, jwks.two] });
    state.nowMs += 31_000;
    expect((await verify(await sign({}, 'two'))).alg).toBe('ES256');
  });

  it('keeps the last good answer for a day while it is away, and no longer', async () => {
    const { state, verify } = world();
    const token = await sign({ exp: startMs / 1000 + 1_000_000 });
    await verify(token);
    state.isAway = true;
    state.nowMs += 2 * 3_600_000;
    expect((await verify(token)).claims.sub).toBe('s');
    expect(state.seen.map(({ kind }) => kind)).toEqual(['id_tokens.failed', 'id_tokens.failed']);
    state.nowMs += 24 * 3_600_000;
    await expect(verify(token)).rejects.toThrow('away');
  });

  it('lets go of the longest unused of many', async () => {
    const { answers, idTokens, state } = world();
    const name = (at: number) => `https://${at}.example.com`;
    for (let at = 0; at <= 200; at++) {
      const document = { issuer: name(at), jwks_uri: `${iss}/keys` };
      answers.set(`${name(at)}/.well-known/openid-configuration`, document);
      await idTokens.discover(name(at));
    }
    const asked = state.asked.length;
    await idTokens.discover(name(200));
    expect(state.asked).toHaveLength(asked);
    await idTokens.discover(name(0));
    expect(state.asked).toHaveLength(asked + 1);
  });
});

describe('discover', () => {
  it.each<readonly [string, unknown, string]>([
    ['another issuer’s document', { issuer: 'https://evil.example' }, 'issuer mismatch'],
    ['keys over plain http', { issuer: iss, jwks_uri: 'http://id.example.com/keys' }, 'not https'],
    ['a list', [], 'no JSON object'],
    ['nothing', undefined, 'returned 404 Not Found'],
    ['what is no JSON', '<html>', 'failed'],
  ])('refuses %s', async (_, document, message) => {
    const { answers, idTokens } = world();
    answers.set(`${iss}/.well-known/openid-configuration`, document);
    await expect(idTokens.discover(iss)).rejects.toThrow(message);
  });

  it('takes a document from where it is said to be', async () => {
    const { answers, idTokens } = world();
    answers.set('https://elsewhere.example/doc', { issuer: iss, jwks_uri: `${iss}/keys` });
    const found = await idTokens.discover(iss, { url: 'https://elsewhere.example/doc' });
    expect([found.issuer, found.algorithms]).toEqual([iss, ['RS256']]);
  });
});

describe('fitsAccessToken', () => {
  const half = (size: string, bytes: number) =>
    createHash(size).update('token').digest().subarray(0, bytes).toString('base64url');
  it.each([
    ['RS256', half('sha256', 16)],
    ['ES384', half('sha384', 24)],
    ['EdDSA', half('sha512', 32)],
  ])('compares half of the hash of %s', (alg, at_hash) => {
    expect(fitsAccessToken({ claims: { at_hash }, alg }, 'token')).toBe(true);
    expect(fitsAccessToken({ claims: { at_hash }, alg }, 'other')).toBe(false);
    expect(fitsAccessToken({ claims: { at_hash: at_hash.slice(1) }, alg }, 'token')).toBe(false);
  });
});
