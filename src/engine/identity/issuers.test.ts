// In charge of: tokens of other issuers: whose keys verify them, how keys change, and what an issuer that is away does. The issuer is a real HTTP server.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Observation } from '../../base/observe.ts';
import { openEgress } from '../egress/egress.ts';
import { type ConfiguredIssuer, type IssuersOptions, openIssuers } from './issuers.ts';
import { CredentialsRefused } from './refused.ts';
import { type JWK, openTokens, type TokenRules } from './tokens.ts';

const secret = new TextEncoder().encode('a secret of thirty-two bytes or more');
const startMs = Date.UTC(2026, 0, 1);

interface Key {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

async function newKey(kid: string, alg = 'ES256'): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}
const keys = {
  one: await newKey('one'),
  two: await newKey('two', 'RS256'),
  three: await newKey('three', 'EdDSA'),
  project: await newKey('project'),
};

const sign = (iss: string, key: Key, claims: object = {}, kid: string | undefined = key.kid) =>
  new SignJWT({ role: 'authenticated', sub: 'ada', iss, ...claims })
    .setProtectedHeader({ alg: key.alg, ...(kid !== undefined && { kid }) })
    .sign(key.privateKey);

/** An issuer that publishes what a test says, counts who asks, and can be away. */
async function issuer(published: readonly Key[] = [keys.one]) {
  const state = {
    url: '',
    published: published.map(({ jwk }) => jwk as unknown),
    asked: { discovery: 0, keys: 0 },
    mode: 'up' as 'up' | 'down' | 'silent' | 'nonsense' | 'huge' | 'away from https' | 'redirects inside',
    held: [] as (() => void)[],
    hold: false,
  };
  const server = createServer((request, response) => {
    const isDiscovery = request.url === '/tenant/.well-known/openid-configuration';
    if (isDiscovery) state.asked.discovery++;
    else state.asked.keys++;
    const answer = () => {
      if (state.mode === 'down') return response.writeHead(500).end();
      if (state.mode === 'silent') return;
      if (state.mode === 'nonsense') return response.end('<html>');
      if (state.mode === 'huge') return response.end(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`);
      if (state.mode === 'redirects inside')
        return response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
      response.end(
        JSON.stringify(
          isDiscovery ? { issuer: state.url, jwks_uri: `${state.url}/keys` } : { keys: state.published },
        ),
      );
    };
    if (state.hold) state.held.push(answer);
    else answer();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // Sound: a TCP server has an address of this form.
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tenant`;
  return state;
}

function open(configured: readonly ConfiguredIssuer[], options: Partial<IssuersOptions> = {}) {
  const clock = { ms: startMs };
  const seen: Observation[] = [];
  const now = () => clock.ms;
  const egress = openEgress({ allow: () => ['127.0.0.0/8'], observe: () => {}, now });
  onTestFinished(() => egress.close());
  const issuers = openIssuers({
    configured,
    lifetimes: () => ({ freshSeconds: 600, keptSeconds: 3600 }),
    egress,
    observe: (observation) => seen.push(observation),
    now,
    ...options,
  });
  const rules: TokenRules = {
    anonymousRole: 'anon',
    audience: undefined,
    roleOf: ({ role }) => (typeof role === 'string' ? role : undefined),
  };
  const tokens = openTokens(
    () => ({ secret, jwks: { keys: [keys.project.jwk] } }),
    () => rules,
    now,
    issuers,
  );
  const outcome = (token: string) =>
    tokens.verify(token).then(
      ({ role }) => role,
      (error: unknown) => (error instanceof CredentialsRefused ? error.reason : error),
    );
  return { clock, seen, tokens, issuers, outcome };
}

const at = (url: string, more: Partial<ConfiguredIssuer> = {}): ConfiguredIssuer => ({
  name: 'test',
  url,
  ...more,
});

describe('a token of an issuer', () => {
  it('is verified by that issuer’s keys, of each kind', async () => {
    const there = await issuer([keys.one, keys.two, keys.three]);
    const { outcome, tokens } = open([at(there.url)]);
    for (const key of [keys.one, keys.two, keys.three]) {
      const token = await sign(there.url, key);
      expect(tokens.verifyNow(token)).toBeUndefined();
      expect(await outcome(token)).toBe('authenticated');
      expect(tokens.verifyNow(token)).toMatchObject({ role: 'authenticated', subject: 'ada', by: 'token' });
    }
    expect(there.asked).toEqual({ discovery: 1, keys: 1 });
  });

  it('may write its issuer with or without a slash at the end', async () => {
    const there = await issuer();
    for (const url of [there.url, `${there.url}/`]) {
      const { outcome } = open([at(url)]);
      expect(await outcome(await sign(there.url, keys.one))).toBe('authenticated');
      expect(await outcome(await sign(`${there.url}/`, keys.one))).toBe('authenticated');
      expect(await outcome(await sign(`${there.url}//`, keys.one))).toBe('no_suitable_key');
      expect(await outcome(await sign(`${there.url}/x`, keys.one))).toBe('no_suitable_key');
    }
  });

  it('is not verified by a key of the project, and the issuer’s keys verify no other token', async () => {
    const [here, there] = [await issuer([keys.one]), await issuer([keys.two])];
    const { outcome } = open([at(here.url, { name: 'here' }), at(there.url, { name: 'there' })]);
    expect(await outcome(await sign(here.url, keys.project))).toBe('no_suitable_key');
    expect(await outcome(await sign(here.url, keys.project, {}, 'one'))).toBe('bad_signature');
    const hs256 = new SignJWT({ role: 'service_role', iss: here.url })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(secret);
    expect(await outcome(await hs256)).toBe('no_suitable_key');
    expect(await outcome(await sign(here.url, keys.two))).toBe('no_suitable_key');
    expect(await outcome(await sign(there.url, keys.two))).toBe('authenticated');
    for (const iss of [
      'http://127.0.0.1:54321/auth/v1',
      'supabase-demo',
      '',
      '__proto__',
      here.url.toUpperCase(),
    ])
      expect(await outcome(await sign(iss, keys.one))).toBe('no_suitable_key');
    const { iss: _, ...none } = { iss: '' };
    expect(
      await outcome(
        await new SignJWT(none).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(keys.one.privateKey),
      ),
    ).toBe('no_suitable_key');
    expect(await outcome(await sign('http://127.0.0.1:54321/auth/v1', keys.project))).toBe('authenticated');
  });

  it('names its key when the issuer has several', async () => {
    const there = await issuer([keys.one]);
    const unnamed = async () =>
      new SignJWT({ role: 'authenticated', iss: there.url })
        .setProtectedHeader({ alg: 'ES256' })
        .sign(keys.one.privateKey);
    expect(await open([at(there.url)]).outcome(await unnamed())).toBe('authenticated');
    const second = await newKey('second');
    there.published = [keys.one.jwk, second.jwk];
    expect(await open([at(there.url)]).outcome(await unnamed())).toBe('no_suitable_key');
  });

  it('is for this project, where the issuer signs for many', async () => {
    const there = await issuer();
    const { outcome } = open([at(there.url, { audience: 'my-project' })]);
    expect(await outcome(await sign(there.url, keys.one, { aud: 'my-project' }))).toBe('authenticated');
    expect(await outcome(await sign(there.url, keys.one, { aud: 'other-project' }))).toBe('not_in_audience');
    expect(await outcome(await sign(there.url, keys.one))).toBe('not_in_audience');
    expect(await outcome(await sign(there.url, keys.one, { aud: [] }))).toBe('not_in_audience');
  });

  it('ends as any other does', async () => {
    const there = await issuer();
    const { outcome, clock, tokens } = open([at(there.url)]);
    const token = await sign(there.url, keys.one, { exp: startMs / 1000 + 60 });
    expect(await outcome(token)).toBe('authenticated');
    clock.ms += 91_000;
    expect(tokens.verifyNow(token)).toBeUndefined();
    expect(await outcome(token)).toBe('expired');
  });
});

describe('the keys of an issuer', () => {
  it('that are not for verifying are left out: secrets above all', async () => {
    const there = await issuer();
    const k = Buffer.from(secret).toString('base64url');
    there.published = [
      { kty: 'oct', k, kid: 'secret', alg: 'HS256' },
      { ...keys.two.jwk, kid: 'enc', use: 'enc' },
      { ...keys.two.jwk, kid: 'sign only', key_ops: ['sign'] },
      { ...keys.two.jwk, kid: 'long', n: 'A'.repeat(5000) },
      { ...keys.two.jwk, kid: 7 },
      { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA', kid: 'curve' },
      null,
      'text',
      keys.one.jwk,
    ];
    const { outcome } = open([at(there.url)]);
    const hs256 = new SignJWT({ role: 'service_role', iss: there.url });
    expect(await outcome(await hs256.setProtectedHeader({ alg: 'HS256', kid: 'secret' }).sign(secret))).toBe(
      'no_suitable_key',
    );
    for (const kid of ['enc', 'sign only', 'long', '7'])
      expect(await outcome(await sign(there.url, keys.two, {}, kid))).toBe('no_suitable_key');
    expect(await outcome(await sign(there.url, keys.one))).toBe('authenticated');
  });

  it.each([
    ['no list', { keys: {} }],
    ['an empty list', { keys: [] }],
    ['only secrets', { keys: [{ kty: 'oct', k: 'AAAA' }] }],
    ['more than are taken', { keys: Array.from({ length: 101 }, () => keys.one.jwk) }],
  ])('with %s are none', async (_, set) => {
    const there = await issuer();
    const { outcome, seen } = open([at(there.url)], {
      egress: {
        fetch: async (url) => ({
          status: 200,
          headers: {},
          url: String(url),
          body: Buffer.from(
            JSON.stringify(String(url).endsWith('/keys') ? set : { jwks_uri: `${there.url}/keys` }),
          ),
        }),
      },
    });
    expect(await outcome(await sign(there.url, keys.one))).toBe('issuer_unavailable');
    expect(seen).toMatchObject([{ kind: 'issuer.failed', level: 'warn', issuer: 'test' }]);
  });

  it('come over https when the issuer does', async () => {
    const { outcome, seen } = open([at('https://issuer.example')], {
      egress: {
        fetch: async (url) => ({
          status: 200,
          headers: {},
          url: String(url),
          body: Buffer.from(JSON.stringify({ jwks_uri: 'http://issuer.example/keys', keys: [keys.one.jwk] })),
        }),
      },
    });
    expect(await outcome(await sign('https://issuer.example', keys.one))).toBe('issuer_unavailable');
    expect(String(seen[0]?.message)).toContain('not https');
  });
});

describe('rotation', () => {
  it('takes a new key at once, and the old one until it is withdrawn', async () => {
    const there = await issuer([keys.one]);
    const { outcome, clock } = open([at(there.url)]);
    expect(await outcome(await sign(there.url, keys.one))).toBe('authenticated');
    there.published = [keys.one.jwk, keys.two.jwk];
    clock.ms += 31_000;
    expect(await outcome(await sign(there.url, keys.two))).toBe('authenticated');
    expect(await outcome(await sign(there.url, keys.one, { n: 2 }))).toBe('authenticated');
    expect(there.asked.keys).toBe(2);
  });

  it('ends what a withdrawn key verified, also when it was remembered', async () => {
    const there = await issuer([keys.one, keys.two]);
    const { outcome, clock, tokens, seen } = open([at(there.url)]);
    const [old, kept] = [await sign(there.url, keys.one), await sign(there.url, keys.two)];
    expect([await outcome(old), await outcome(kept)]).toEqual(['authenticated', 'authenticated']);
    there.published = [keys.two.jwk];
    clock.ms += 601_000;
    // This use finds the keys old, and is still answered by them: nobody waits for the refetch that it starts.
    expect(tokens.verifyNow(old)).toBeDefined();
    await expect.poll(() => seen.length).toBe(2);
    expect(tokens.verifyNow(old)).toBeUndefined();
    expect(await outcome(old)).toBe('no_suitable_key');
    expect(await outcome(kept)).toBe('authenticated');
  });

  it('does not forget what the same keys verified', async () => {
    const there = await issuer();
    const { outcome, clock, tokens } = open([at(there.url)]);
    const token = await sign(there.url, keys.one);
    await outcome(token);
    clock.ms += 601_000;
    const caller = tokens.verifyNow(token);
    await expect.poll(() => there.asked.keys).toBe(2);
    await expect.poll(() => outcome(token)).toBe('authenticated');
    expect(caller).toBeDefined();
    expect(tokens.verifyNow(token)).toBe(caller);
  });

  it('is not a way to make us hammer the issuer: invented names of keys', async () => {
    const there = await issuer();
    const { outcome, clock } = open([at(there.url)]);
    expect(await outcome(await sign(there.url, keys.one))).toBe('authenticated');
    const invented = (i: number) => sign(there.url, keys.two, {}, `invented ${i}`);
    const all = await Promise.all(Array.from({ length: 200 }, async (_, i) => outcome(await invented(i))));
    expect(new Set(all)).toEqual(new Set(['no_suitable_key']));
    expect(there.asked).toEqual({ discovery: 1, keys: 1 });
    clock.ms += 31_000;
    await Promise.all(Array.from({ length: 200 }, async (_, i) => outcome(await invented(i))));
    expect(there.asked).toEqual({ discovery: 1, keys: 2 });
    clock.ms += 29_000;
    expect(await outcome(await invented(0))).toBe('no_suitable_key');
    expect(there.asked.keys).toBe(2);
  });

  it('fetches once for all who wait', async () => {
    const there = await issuer();
    there.hold = true;
    const { outcome } = open([at(there.url)]);
    const waiting = Array.from({ length: 50 }, async (_, i) =>
      outcome(await sign(there.url, keys.one, { i })),
    );
    await expect.poll(() => there.held.length).toBe(1);
    there.hold = false;
    for (const answer of there.held) answer();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['authenticated']));
    expect(there.asked).toEqual({ discovery: 1, keys: 1 });
  });
});

describe('an outage', () => {
  it('leaves the last good keys in place for their time, says so, and ends with it', async () => {
    const there = await issuer();
    const { outcome, clock, tokens, seen } = open([at(there.url)]);
    const token = await sign(there.url, keys.one);
    expect(await outcome(token)).toBe('authenticated');
    there.mode = 'down';
    clock.ms += 1800_000;
    expect(tokens.verifyNow(token)).toBeDefined();
    await expect.poll(() => seen.length).toBe(2);
    expect(seen[1]).toMatchObject({
      kind: 'issuer.failed',
      level: 'warn',
      issuer: 'test',
      keptUntil: '2026-01-01T01:00:00.000Z',
    });
    expect(await outcome(await sign(there.url, keys.one, { fresh: true }))).toBe('authenticated');
    // A key that is not known may be a new one: nobody can tell now.
    expect(await outcome(await sign(there.url, keys.two))).toBe('issuer_unavailable');
    clock.ms = startMs + 3601_000;
    expect(tokens.verifyNow(token)).toBeUndefined();
    expect(await outcome(token)).toBe('issuer_unavailable');
    there.mode = 'up';
    clock.ms += 31_000;
    expect(await outcome(token)).toBe('authenticated');
    expect(seen.at(-1)).toMatchObject({ kind: 'issuer.keys', issuer: 'test' });
  });

  it.each(['down', 'nonsense', 'huge', 'redirects inside'] as const)(
    'from the start (%s) refuses its tokens, asks again later and less often, and recovers',
    async (mode) => {
      const there = await issuer();
      there.mode = mode;
      const { outcome, clock, seen } = open([at(there.url)]);
      const token = await sign(there.url, keys.one);
      expect(await outcome(token)).toBe('issuer_unavailable');
      expect(await outcome(token)).toBe('issuer_unavailable');
      expect(there.asked.discovery).toBe(1);
      const waits = [1, 2, 4, 8, 16, 30, 30];
      for (const [index, seconds] of waits.entries()) {
        clock.ms += seconds * 1000 - 1;
        expect(await outcome(token)).toBe('issuer_unavailable');
        expect(there.asked.discovery).toBe(index + 1);
        clock.ms += 1;
        expect(await outcome(token)).toBe('issuer_unavailable');
        expect(there.asked.discovery).toBe(index + 2);
      }
      expect(seen.every(({ kind }) => kind === 'issuer.failed')).toBe(true);
      there.mode = 'up';
      clock.ms += 30_000;
      expect(await outcome(token)).toBe('authenticated');
    },
  );

  it('of one issuer keeps nobody else waiting', async () => {
    const [silent, there] = [await issuer(), await issuer([keys.two])];
    silent.mode = 'silent';
    const abort = new AbortController();
    const { outcome, seen } = open([at(silent.url, { name: 'silent' }), at(there.url, { name: 'there' })], {
      signal: abort.signal,
    });
    let answered = false;
    const waiting = outcome(await sign(silent.url, keys.one)).then((reason) => {
      answered = true;
      return reason;
    });
    await expect.poll(() => silent.asked.discovery).toBe(1);
    expect(await outcome(await sign(there.url, keys.two))).toBe('authenticated');
    expect(await outcome(await sign('http://127.0.0.1:54321/auth/v1', keys.project))).toBe('authenticated');
    expect(answered).toBe(false);
    // A stop ends it at once, and is no failure of the issuer.
    abort.abort();
    expect(await waiting).toBe('issuer_unavailable');
    expect(seen.filter(({ kind }) => kind === 'issuer.failed')).toEqual([]);
  });

  it('at the start is no failure of the start', async () => {
    const there = await issuer();
    there.mode = 'down';
    const { issuers, seen, outcome } = open([at(there.url)]);
    issuers.warm();
    await expect.poll(() => seen.length).toBe(1);
    expect(seen[0]).toMatchObject({ kind: 'issuer.failed', failures: 1 });
    expect(await outcome(await sign('other', keys.project))).toBe('authenticated');
  });

  it('of an issuer at an address that is not allowed is what the egress guard makes of it', async () => {
    const there = await issuer();
    const egress = openEgress({ allow: () => [], observe: () => {}, now: Date.now });
    onTestFinished(() => egress.close());
    const { outcome } = open([at(there.url)], { egress });
    expect(await outcome(await sign(there.url, keys.one))).toBe('issuer_unavailable');
    expect(there.asked).toEqual({ discovery: 0, keys: 0 });
  });
});

describe('skew', () => {
  it.each([
    [{ exp: -30 }, 'authenticated'],
    [{ exp: -31 }, 'expired'],
    [{ nbf: 30 }, 'authenticated'],
    [{ nbf: 31 }, 'not_yet_valid'],
    [{ iat: 30 }, 'authenticated'],
    [{ iat: 31 }, 'issued_in_future'],
  ])('of thirty seconds is allowed, and no more: %j is %s', async (offsets, expected) => {
    const there = await issuer();
    const times = Object.fromEntries(
      Object.entries(offsets).map(([name, offset]) => [name, startMs / 1000 + offset]),
    );
    expect(await open([at(there.url)]).outcome(await sign(there.url, keys.one, times))).toBe(expected);
  });
});
