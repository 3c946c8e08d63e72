// In charge of: tokens that somebody made to get in. Each is refused for a reason, and none does anything else.
// Sources: RFC 8725 (JWT best current practices); CVE-2015-9235, CVE-2016-5431, CVE-2016-10555, CVE-2018-0114, CVE-2022-21449; CWE-347.
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import { exportJWK, exportPKCS8, exportSPKI, generateKeyPair } from 'jose';
import { describe, expect, it } from 'vitest';
import { CredentialsRefused } from './refused.ts';
import { type JWK, openTokens, type TokenKeys, type TokenRules } from './tokens.ts';

const nowSeconds = Date.UTC(2026, 0, 1) / 1000;
const secret = Buffer.from('a secret of thirty-two bytes or more');
const rsa = await generateKeyPair('RS256', { extractable: true });
const ec = await generateKeyPair('ES256', { extractable: true });
const ed = await generateKeyPair('Ed25519', { extractable: true });
const own = {
  rsa: { ...(await exportJWK(rsa.publicKey)), kid: 'rsa', alg: 'RS256' },
  ec: { ...(await exportJWK(ec.publicKey)), kid: 'ec', alg: 'ES256' },
  ed: { ...(await exportJWK(ed.publicKey)), kid: 'ed', alg: 'EdDSA' },
} satisfies Record<string, JWK>;
const attacker = generateKeyPairSync('rsa', { modulusLength: 2048 });

const rules: TokenRules = {
  anonymousRole: 'anon',
  audience: undefined,
  roleOf: ({ role }) => (typeof role === 'string' ? role : undefined),
};
const open = (keys: Partial<TokenKeys> = {}) =>
  openTokens(
    () => ({ secret, jwks: { keys: Object.values(own) }, ...keys }),
    () => rules,
    () => nowSeconds * 1000,
  );

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const claims = { role: 'service_role', sub: 'mallory' };
type Signer = (input: string) => Buffer;
const hmac =
  (key: string | Uint8Array, hash = 'sha256'): Signer =>
  (input) =>
    createHmac(hash, key).update(input).digest();
const by =
  (key: KeyObject, hash: string | null = 'sha256', options: object = {}): Signer =>
  (input) =>
    sign(hash, Buffer.from(input), { key, ...options });
const compact = (header: unknown, payload: unknown, signer: Signer) => {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signer(input).toString('base64url')}`;
};

const outcome = async (token: string, keys?: Partial<TokenKeys>) => {
  const tokens = open(keys);
  const given = await tokens.verify(token).then(
    ({ role }) => role,
    (error: unknown) => (error instanceof CredentialsRefused ? error.reason : error),
  );
  // What is refused is not remembered either.
  expect(tokens.verifyNow(token)?.role).toBe(
    given === 'anon' || given === 'service_role' ? given : undefined,
  );
  return given;
};

/** The keys of Node, for signing what jose would not sign. */
const nodeKeys = {
  // Sound: WebCrypto keys and key objects are the same keys. Node converts them both ways.
  rsa: (await import('node:crypto')).createPrivateKey(await exportPKCS8(rsa.privateKey)),
  ec: (await import('node:crypto')).createPrivateKey(await exportPKCS8(ec.privateKey)),
  ed: (await import('node:crypto')).createPrivateKey(await exportPKCS8(ed.privateKey)),
};

describe('a good token', () => {
  it.each([
    ['HS256', compact({ alg: 'HS256' }, claims, hmac(secret))],
    [
      'HS256 with a kid, as hosted projects sign it',
      compact({ alg: 'HS256', kid: 'x' }, claims, hmac(secret)),
    ],
    ['RS256', compact({ alg: 'RS256', kid: 'rsa' }, claims, by(nodeKeys.rsa))],
    ['RS256 without kid', compact({ alg: 'RS256' }, claims, by(nodeKeys.rsa))],
    [
      'ES256',
      compact({ alg: 'ES256', kid: 'ec' }, claims, by(nodeKeys.ec, 'sha256', { dsaEncoding: 'ieee-p1363' })),
    ],
    ['EdDSA', compact({ alg: 'EdDSA', kid: 'ed' }, claims, by(nodeKeys.ed, null))],
  ])('by %s is accepted', async (_, token) => {
    expect(await outcome(token)).toBe('service_role');
  });
});

describe('algorithm confusion', async () => {
  const publicTexts: readonly (readonly [string, string])[] = [
    ['PEM of the RSA key', await exportSPKI(rsa.publicKey)],
    ['PEM without its last line end', (await exportSPKI(rsa.publicKey)).trimEnd()],
    ['PEM of the EC key', await exportSPKI(ec.publicKey)],
    ['JWK of the RSA key', JSON.stringify(own.rsa)],
    ['JWK of the EC key', JSON.stringify(own.ec)],
    ['JWK set', JSON.stringify({ keys: Object.values(own) })],
    ['modulus as it stands in the JWK', own.rsa.n ?? ''],
    ['x of the Ed25519 key', own.ed.x ?? ''],
    ['nothing', ''],
  ];
  const hashes = [
    ['HS256', 'sha256'],
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
  ] as const;

  it.each(publicTexts.flatMap(([name, key]) => hashes.map(([alg, hash]) => [alg, name, key, hash] as const)))(
    '%s by the %s is refused',
    async (alg, _name, key, hash) => {
      for (const kid of [undefined, 'rsa', 'ec', 'ed']) {
        const token = compact({ alg, kid }, claims, hmac(key, hash));
        expect(['no_suitable_key', 'bad_signature']).toContain(await outcome(token));
        expect(await outcome(token, { secret: undefined })).toBe('no_suitable_key');
      }
    },
  );

  it('in every other pair of algorithm and key is refused', async () => {
    const signers: readonly (readonly [string, Signer])[] = [
      ['rsa', by(nodeKeys.rsa)],
      ['rsa', by(nodeKeys.rsa, 'sha512')],
      ['rsa', by(nodeKeys.rsa, 'sha256', { padding: 6, saltLength: 32 })],
      ['ec', by(nodeKeys.ec, 'sha256', { dsaEncoding: 'ieee-p1363' })],
      ['ec', by(nodeKeys.ec)],
      ['ed', by(nodeKeys.ed, null)],
      ['rsa', hmac(secret)],
    ];
    const right = new Set(['RS256 0', 'ES256 3', 'EdDSA 5', 'HS256 6']);
    for (const alg of [
      'HS256',
      'HS384',
      'RS256',
      'RS384',
      'RS512',
      'PS256',
      'ES256',
      'ES384',
      'EdDSA',
      'Ed25519',
    ]) {
      for (const [index, [kid, signer]] of signers.entries()) {
        const given = await outcome(compact({ alg, kid }, claims, signer));
        const isRight = right.has(`${alg} ${index}`);
        expect([alg, kid, index, given === 'service_role']).toEqual([alg, kid, index, isRight]);
      }
    }
  });

  it('is refused before a key is tried, also when the set says of no key what it is for', async () => {
    const jwks = { keys: Object.values(own).map(({ alg: _alg, kid: _kid, ...key }) => key) };
    for (const [, key] of publicTexts) {
      const token = compact({ alg: 'HS256' }, claims, hmac(key));
      expect(await outcome(token, { secret: undefined, jwks })).toBe('no_suitable_key');
    }
    expect(await outcome(compact({ alg: 'ES384' }, claims, by(nodeKeys.rsa)), { jwks })).toBe(
      'no_suitable_key',
    );
  });

  it.each([
    'none',
    'None',
    'NONE',
    'nOnE',
    'none ',
    '',
    'null',
    'HS256\0',
    'hs256',
    'PS256',
    'ES256K',
    'dir',
    '__proto__',
    'constructor',
  ])('by alg %j is refused, with and without a signature', async (alg) => {
    const reason = alg === 'none' ? 'bad_algorithm' : 'malformed';
    const input = `${encode({ alg })}.${encode(claims)}`;
    expect(await outcome(`${input}.`)).toBe(reason);
    expect(await outcome(compact({ alg }, claims, hmac(secret)))).toBe(reason);
    expect(await outcome(compact({ alg }, claims, hmac('')))).toBe(reason);
  });

  it.each([[null], [1], [true], [['HS256']], [{ HS256: 1 }]])('by alg %j is refused', async (alg) => {
    expect(await outcome(compact({ alg }, claims, hmac(secret)))).toBe('malformed');
  });

  it('by the last of two alg members is what counts, for the choice of key and for the verification', async () => {
    expect(await outcome(compact('{"alg":"HS256","alg":"none"}', claims, hmac(secret)))).toBe(
      'bad_algorithm',
    );
    expect(await outcome(compact('{"alg":"RS256","alg":"HS256"}', claims, hmac(secret)))).toBe(
      'service_role',
    );
    expect(await outcome(compact('{"alg":"HS256","alg":"RS256"}', claims, hmac(secret)))).toBe(
      'bad_signature',
    );
  });
});

describe('keys that the token brings along', () => {
  const jwk = attacker.publicKey.export({ format: 'jwk' });
  const x5c = [attacker.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')];
  it.each([
    ['jwk (CVE-2018-0114)', { jwk }],
    ['jku', { jku: 'http://127.0.0.1:9/jwks.json' }],
    ['x5u', { x5u: 'http://127.0.0.1:9/key.pem' }],
    ['x5c', { x5c }],
    ['jwk with our kid', { jwk: { ...jwk, kid: 'rsa' }, kid: 'rsa' }],
  ])('in %s are not looked at', async (_, header) => {
    expect(await outcome(compact({ alg: 'RS256', ...header }, claims, by(attacker.privateKey)))).toBe(
      'bad_signature',
    );
    // Beside a good signature they do no harm either.
    expect(await outcome(compact({ alg: 'RS256', ...header }, claims, by(nodeKeys.rsa)))).toBe(
      'service_role',
    );
  });
});

describe('kid', () => {
  it.each([
    '../../../../dev/null',
    '/dev/null',
    '/proc/sys/kernel/randomize_va_space',
    "x' union select 'secret",
    "'; drop table auth.users; --",
    '| cat /etc/passwd',
    'http://127.0.0.1:9/key',
    '__proto__',
    'constructor',
    'RSA',
    'rsa\0',
    'rsa ',
    '',
    '*',
    'x'.repeat(10_000),
  ])('%s names no key, and is nothing but compared', async (kid) => {
    expect(await outcome(compact({ alg: 'RS256', kid }, claims, by(nodeKeys.rsa)))).toBe('no_suitable_key');
    // An empty or well-known file as the secret is what the path would be for.
    expect(await outcome(compact({ alg: 'HS256', kid }, claims, hmac('')))).toBe('bad_signature');
    expect(await outcome(compact({ alg: 'HS256', kid }, claims, hmac('')), { secret: undefined })).toBe(
      'no_suitable_key',
    );
  });

  it.each([[1], [true], [['rsa']], [{ kid: 'rsa' }]])('%j is refused: a name is a text', async (kid) => {
    expect(await outcome(compact({ alg: 'RS256', kid }, claims, by(nodeKeys.rsa)))).toBe('malformed');
  });

  it('that is null is none', async () => {
    expect(await outcome(compact({ alg: 'RS256', kid: null }, claims, by(nodeKeys.rsa)))).toBe(
      'service_role',
    );
  });

  it('is not that of a key without a name', async () => {
    const { kid: _, ...nameless } = own.rsa;
    const jwks = { keys: [nameless] };
    expect(await outcome(compact({ alg: 'RS256', kid: 'rsa' }, claims, by(nodeKeys.rsa)), { jwks })).toBe(
      'no_suitable_key',
    );
    expect(await outcome(compact({ alg: 'RS256' }, claims, by(nodeKeys.rsa)), { jwks })).toBe('service_role');
  });

  it('of one key does not open another of the same set', async () => {
    const second = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwks = { keys: [own.rsa, { ...second.publicKey.export({ format: 'jwk' }), kid: 'two' } as JWK] };
    expect(await outcome(compact({ alg: 'RS256', kid: 'two' }, claims, by(nodeKeys.rsa)), { jwks })).toBe(
      'bad_signature',
    );
    expect(
      await outcome(compact({ alg: 'RS256', kid: 'two' }, claims, by(second.privateKey)), { jwks }),
    ).toBe('service_role');
  });
});

describe('a key', () => {
  it('for encryption, or for another algorithm of its kind, verifies nothing', async () => {
    const token = compact({ alg: 'RS512' }, claims, by(nodeKeys.rsa, 'sha512'));
    expect(await outcome(token)).toBe('no_suitable_key');
    const { alg: _, ...any } = own.rsa;
    expect(await outcome(token, { jwks: { keys: [any] } })).toBe('service_role');
    expect(await outcome(token, { jwks: { keys: [{ ...any, use: 'enc' }] } })).toBe('no_suitable_key');
  });

  it('of RSA that is too short verifies nothing', async () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const jwks = { keys: [short.publicKey.export({ format: 'jwk' }) as JWK] };
    expect(await outcome(compact({ alg: 'RS256' }, claims, by(short.privateKey)), { jwks })).toBe(
      'bad_signature',
    );
  });

  it('of ES256 does not take the signature of zeros (CVE-2022-21449)', async () => {
    expect(await outcome(compact({ alg: 'ES256', kid: 'ec' }, claims, () => Buffer.alloc(64)))).toBe(
      'bad_signature',
    );
  });

  it('of HS256 does not take a signature that is cut short', async () => {
    for (const length of [0, 1, 16, 31])
      expect(
        await outcome(compact({ alg: 'HS256' }, claims, (input) => hmac(secret)(input).subarray(0, length))),
      ).not.toBe('service_role');
  });
});

describe('extensions', () => {
  it.each([
    ['an unknown one', { crit: ['exp'], exp: 0 }],
    ['one that other programs know', { crit: ['b64'], b64: true }],
    ['an unencoded payload', { crit: ['b64'], b64: false }],
    ['an unencoded payload that is not critical', { b64: false }],
    ['an empty list', { crit: [] }],
    ['no list', { crit: null }],
    ['encryption', { enc: 'A128GCM' }],
  ])('%s in the header is refused', async (_, header) => {
    expect(await outcome(compact({ alg: 'HS256', ...header }, claims, hmac(secret)))).toBe('malformed');
  });

  it('an unencoded payload is refused as it would be sent, too', async () => {
    const input = `${encode({ alg: 'HS256', b64: false, crit: ['b64'] })}.{"role":"service_role"}`;
    expect(await outcome(`${input}.${hmac(secret)(input).toString('base64url')}`)).toBe('malformed');
  });
});

describe('the text of a token', () => {
  const good = compact({ alg: 'HS256' }, claims, hmac(secret));
  const [header, payload, signature] = good.split('.') as [string, string, string];
  it.each([
    ['a space before', ` ${good}`],
    ['a space behind', `${good} `],
    ['a line end behind', `${good}\n`],
    ['NUL behind', `${good}\0`],
    ['a byte-order mark before', `\ufeff${good}`],
    ['padding', `${good}=`],
    ['base64 instead of base64url', compact({ alg: 'HS256' }, claims, hmac(secret)).replace(/.$/, '+')],
    ['a space inside', `${header}.${payload}.${signature.slice(0, 5)} ${signature.slice(5)}`],
    ['another byte behind the signature', `${good}AA`],
    ['a letter outside ASCII', good.replace(/.$/, 'ä')],
    ['no signature', `${header}.${payload}.`],
    ['no header', `.${payload}.${signature}`],
    ['more than it may have', `${good}${'A'.repeat(40_000)}`],
  ])('with %s is refused', async (_, token) => {
    expect(['malformed', 'bad_signature']).toContain(await outcome(token));
  });

  it('has one spelling: bits that are thrown away are zero', async () => {
    // 32 bytes are 43 characters, and the last one carries 4 bits of 6.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(good.at(-1)!);
    for (const bits of [1, 2, 3])
      expect(await outcome(good.slice(0, -1) + alphabet[last + bits]!)).toBe('malformed');
  });

  it.each([
    ['', 'empty'],
    ['.', 'wrong_parts'],
    ['..', 'malformed'],
    ['...', 'wrong_parts'],
    ['a.b.c.d.e', 'wrong_parts'],
    ['quifquirndsjagnrgniur.fonvoienqhhdj.iuqvnvhojah', 'malformed'],
  ])('%j is refused: %s', async (token, reason) => {
    expect(await outcome(token)).toBe(reason);
  });

  it.each([
    ['an array', []],
    ['a text', '"text"'],
    ['a number', 1],
    ['null', null],
    ['nothing', ''],
    ['two objects', '{}{}'],
    ['JSON behind a byte-order mark', '\ufeff{}'],
    ['JSON with a comment', '{/**/}'],
  ])('with %s as claims or header is refused', async (_, value) => {
    expect(await outcome(compact({ alg: 'HS256' }, value, hmac(secret)))).toBe('claims_not_an_object');
    expect(await outcome(compact(value, claims, hmac(secret)))).toBe('malformed');
  });

  it('that is no UTF-8 is refused', async () => {
    const bytes = Buffer.from([...Buffer.from('{"role":"'), 0xff, 0xfe, ...Buffer.from('"}')]).toString(
      'base64url',
    );
    const input = `${encode({ alg: 'HS256' })}.${bytes}`;
    expect(await outcome(`${input}.${hmac(secret)(input).toString('base64url')}`)).toBe(
      'claims_not_an_object',
    );
  });
});

describe('claims', () => {
  const given = async (text: string) => {
    const caller = await open().verify(compact({ alg: 'HS256' }, text, hmac(secret)));
    return [caller.role, caller.claims];
  };

  it('twice: the last one counts, as it does for Postgres', async () => {
    const text = '{"role":"service_role","role":"authenticated","sub":"a","sub":"b"}';
    expect(await given(text)).toEqual(['authenticated', text]);
  });

  it('keep their digits when the role is put in', async () => {
    expect(await given('{"id":12345678901234567890.10}')).toEqual([
      'anon',
      '{"id":12345678901234567890.10,"role":"anon"}',
    ]);
    expect(await given(' { } ')).toEqual(['anon', ' { "role":"anon"}']);
    expect(await given('{"role":null,"a":1} \n')).toEqual(['anon', '{"role":"anon","a":1}']);
  });

  it('of the prototype are none', async () => {
    expect(await given('{"__proto__":{"role":"service_role"}}')).toEqual([
      'anon',
      '{"__proto__":{"role":"service_role"},"role":"anon"}',
    ]);
    expect((await given('{"constructor":{"role":"service_role"}}'))[0]).toBe('anon');
  });

  it('that nest deeply are read or refused, never more', async () => {
    const deep = `${'['.repeat(11_000)}${']'.repeat(11_000)}`;
    expect((await given(`{"a":${deep}}`))[0]).toBe('anon');
    expect(['anon', 'claims_not_an_object']).toContain(
      await outcome(compact({ alg: 'HS256' }, `{"role":null,"a":${deep}}`, hmac(secret))),
    );
    expect(await outcome(compact({ alg: 'HS256' }, `{"role":${deep}}`, hmac(secret)))).toBe('anon');
    expect(await outcome(compact(`{"alg":"HS256","a":${deep}}`, '{}', hmac(secret)))).toBe('anon');
  });

  it('with a role that Postgres cannot name are refused', async () => {
    expect(await outcome(compact({ alg: 'HS256' }, { role: 'anon\0' }, hmac(secret)))).toBe(
      'claims_not_an_object',
    );
  });

  it.each([
    ['{"exp":1e999}', 'expired'],
    ['{"exp":-1e999}', 'expired'],
    ['{"exp":1e30}', 'expired'],
    ['{"exp":0}', 'expired'],
    ['{"exp":-0}', 'expired'],
    ['{"exp":"9999999999"}', 'exp_not_a_number'],
    ['{"exp":true}', 'exp_not_a_number'],
    ['{"exp":[9999999999]}', 'exp_not_a_number'],
    ['{"nbf":1e999}', 'not_yet_valid'],
    ['{"iat":1e999}', 'issued_in_future'],
    ['{"aud":{"a":1}}', 'aud_not_text'],
    ['{"aud":["a",1]}', 'aud_not_text'],
    ['{"exp":null,"nbf":null,"iat":null,"aud":null}', 'anon'],
  ])('%s are judged: %s', async (text, expected) => {
    expect(await outcome(compact({ alg: 'HS256' }, text, hmac(secret)))).toBe(expected);
  });
});

describe('any text whatever', () => {
  const tokens = open();
  const isRefused = (token: string) =>
    tokens.verify(token).then(
      () => false,
      (error: unknown) => error instanceof CredentialsRefused,
    );
  const seed = process.env.SEED === undefined ? {} : { seed: Number(process.env.SEED) };

  it('is refused, and nothing else is thrown', async () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.base64String(),
      fc.json().map(encode),
      fc
        .record({
          alg: fc.constantFrom('HS256', 'RS256', 'ES256', 'EdDSA', 'none', 'PS256'),
          kid: fc.anything(),
        })
        .map(encode),
      fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64url')),
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.tuple(part, part, part).map((parts) => parts.join('.')),
      fc.array(part).map((parts) => parts.join('.')),
    );
    await fc.assert(
      fc.asyncProperty(text, async (token) => {
        expect(await isRefused(token)).toBe(true);
      }),
      { numRuns: 2000, ...seed },
    );
  });

  it('that was a good token before one character changed is refused', async () => {
    const good = [
      compact({ alg: 'HS256', typ: 'JWT' }, claims, hmac(secret)),
      compact({ alg: 'RS256', kid: 'rsa' }, claims, by(nodeKeys.rsa)),
      compact({ alg: 'EdDSA', kid: 'ed' }, claims, by(nodeKeys.ed, null)),
    ];
    const changed = fc
      .tuple(fc.constantFrom(...good), fc.nat(), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }))
      .map(([token, at, by]) => {
        const position = at % token.length;
        return token.slice(0, position) + by + token.slice(position + 1);
      })
      .filter((token) => !good.includes(token));
    await fc.assert(
      fc.asyncProperty(changed, async (token) => {
        expect(await isRefused(token)).toBe(true);
      }),
      { numRuns: 1000, ...seed },
    );
  });

  it('that is signed well ends as a caller or as a refusal, whatever its claims are', async () => {
    const known = fc.record(
      {
        role: fc.anything(),
        sub: fc.anything(),
        exp: fc.oneof(fc.double(), fc.anything()),
        nbf: fc.oneof(fc.double(), fc.anything()),
        aud: fc.anything(),
      },
      { requiredKeys: [] },
    );
    const payload = fc.oneof(
      fc.json(),
      known.map((value) => JSON.stringify(value)),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(payload, async (text) => {
        const token = compact({ alg: 'HS256' }, text, hmac(secret));
        const result = await tokens.verify(token).catch((error: unknown) => error);
        if (result instanceof CredentialsRefused) return;
        expect(result).toMatchObject({ by: 'token', role: expect.any(String) });
        // Postgres gets JSON whose role is the caller's.
        const { role, claims: given } = result as { role: string; claims: string };
        expect(JSON.parse(given).role).toBe(role);
        expect(tokens.verifyNow(token)).toBe(result);
      }),
      { numRuns: 1000, ...seed },
    );
  });
});
