// In charge of: what a key of our own looks like, and how the project's own keys are compared.
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { endingOf, isIssuedKey, isWellFormed, newKeyText } from './key-text.ts';
import { isOpaqueKey, openProjectKeys } from './keys.ts';

// Only listened to: every call goes through. Node hands what its module has now to those that imported it by name.
beforeAll(() => {
  vi.spyOn(crypto, 'randomBytes');
  vi.spyOn(crypto, 'timingSafeEqual');
  syncBuiltinESMExports();
});
afterEach(() => vi.clearAllMocks());
afterAll(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

describe('a key of our own', () => {
  it('has a prefix, 33 random characters and a checksum of 6', () => {
    expect(newKeyText()).toMatch(/^millrace_[0-9A-Za-z]{39}$/);
    expect(isOpaqueKey(newKeyText())).toBe(true);
  });

  it('is never the same twice', () => {
    expect(new Set(Array.from({ length: 1000 }, newKeyText)).size).toBe(1000);
  });

  it('is made of 192 bits', () => {
    newKeyText();
    expect(vi.mocked(crypto.randomBytes).mock.calls).toEqual([[24]]);
  });

  it('is told from a mistyped one by its checksum, at every place', () => {
    const text = newKeyText();
    expect(isWellFormed(text)).toBe(true);
    for (let at = 'millrace_'.length; at < text.length; at++) {
      const other = text[at] === 'a' ? 'b' : 'a';
      expect(isWellFormed(text.slice(0, at) + other + text.slice(at + 1))).toBe(false);
    }
    for (const wrong of [`${text}0`, text.slice(0, -1), text.replace('millrace_', 'millrace-'), 'millrace_'])
      expect(isWellFormed(wrong)).toBe(false);
  });

  it('is known again by its last four characters', () => {
    const text = newKeyText();
    expect(text.endsWith(endingOf(text))).toBe(true);
    expect(endingOf(text)).toHaveLength(4);
  });

  it('is neither a token nor a key of the project', () => {
    for (const text of ['sb_secret_x', 'sb_publishable_x', 'eyJhbGciOiJIUzI1NiJ9.e30.x', 'MILLRACE_x', ''])
      expect(isIssuedKey(text)).toBe(false);
  });
});

// CWE-208. A clock would show nothing reliably, so the test listens to how it is done.
describe('the comparison with the project’s own keys', () => {
  const keys = { publishable: `sb_publishable_${'p'.repeat(31)}`, secret: `sb_secret_${'s'.repeat(31)}` };

  it.each([
    ['wrong from the first letter', 'x'.repeat(41), undefined],
    ['wrong in the last letter alone', `${keys.secret.slice(0, -1)}x`, undefined],
    ['too short', 'sb_secret_s', undefined],
    ['too long', `${keys.secret}s`, undefined],
    ['empty', '', undefined],
    ['the first of them', keys.secret, 'secret'],
    ['the last of them', keys.publishable, 'publishable'],
  ])('looks at both digests, whole, when the text is %s', (_, text, expected) => {
    const find = openProjectKeys(keys);
    vi.clearAllMocks();
    expect(find(text)).toBe(expected);
    const { calls } = vi.mocked(crypto.timingSafeEqual).mock;
    expect(calls.map((buffers) => buffers.map(({ byteLength }) => byteLength))).toEqual([
      [32, 32],
      [32, 32],
    ]);
    const presented = crypto.createHash('sha256').update(text).digest();
    for (const [first] of calls) expect(Buffer.from(first as Buffer).equals(presented)).toBe(true);
  });

  it('keeps no wrong text: each is compared anew', () => {
    const find = openProjectKeys(keys);
    vi.clearAllMocks();
    for (let i = 0; i < 3; i++) find('sb_secret_wrong');
    expect(crypto.timingSafeEqual).toHaveBeenCalledTimes(6);
    for (let i = 0; i < 3; i++) find(keys.secret);
    expect(crypto.timingSafeEqual).toHaveBeenCalledTimes(8);
  });
});
