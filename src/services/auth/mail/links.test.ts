// In charge of: the links, codes and hashes that go out by mail.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { confirmationUrl, makeOtp, tokenHashOf, withFlowPrefix } from './links.ts';

const authUrl = 'https://api.example.com/auth/v1';

describe('the link that confirms', () => {
  it.each([
    ['signup', 'https://app.example.com', 'redirect_to=https://app.example.com'],
    ['invite', '', 'redirect_to='],
    [
      'recovery',
      'https://app.example.com/?a=b&c=d',
      'redirect_to=https%3A%2F%2Fapp.example.com%2F%3Fa%3Db%26c%3Dd',
    ],
    ['magiclink', 'myapp://sign-in', 'redirect_to=myapp://sign-in'],
    ['email_change', 'https://app.example.com/a+b', 'redirect_to=https%3A%2F%2Fapp.example.com%2Fa%2Bb'],
  ] as const)('of %s leads to the external URL, and from there to %j', (type, redirectTo, end) => {
    expect(confirmationUrl({ authUrl, type, tokenHash: 'pkce_abc', redirectTo })).toBe(
      `https://api.example.com/auth/v1/verify?token=pkce_abc&type=${type}&${end}`,
    );
  });

  it('brings back the redirect as it was, whatever it holds', () => {
    // A percent sign is taken as somebody's own escape, as upstream.
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (url) => {
        fc.pre(!url.includes('%'));
        const link = confirmationUrl({ authUrl, type: 'signup', tokenHash: 'x', redirectTo: url });
        expect([...new URL(link).searchParams]).toEqual([
          ['token', 'x'],
          ['type', 'signup'],
          ['redirect_to', url],
        ]);
      }),
    );
  });
});

describe('a code', () => {
  it('has as many digits as asked for, zeros included', () => {
    const codes = Array.from({ length: 2000 }, () => makeOtp(6));
    for (const code of codes) expect(code).toMatch(/^\d{6}$/);
    expect(codes.some((code) => code.startsWith('0'))).toBe(true);
    expect(makeOtp(10)).toMatch(/^\d{10}$/);
  });

  it('is hashed with its address, under a key', () => {
    const key = Buffer.from('key');
    // HMAC-SHA-224 of "ada@example.com123456", by `printf %s … | openssl dgst -sha224 -hmac key`.
    expect(tokenHashOf(key, 'ada@example.com', '123456')).toBe(
      '08884e0f2da02d909ed001345492454a2c642139b39e1ea8ffd99569',
    );
    expect(tokenHashOf(key, 'eve@example.com', '123456')).not.toBe(
      tokenHashOf(key, 'ada@example.com', '123456'),
    );
    expect(withFlowPrefix('abc', true)).toBe('pkce_abc');
    expect(withFlowPrefix('abc', false)).toBe('abc');
  });
});
