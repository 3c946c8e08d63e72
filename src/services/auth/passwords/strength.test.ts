// In charge of: which passwords are refused, with upstream's words.
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../base/errors.ts';
import { generatePassword } from './generate.ts';
import { parseCharacterSets, passwordSettings } from './settings.ts';
import { findWeakness, requireStrength, WeakPassword } from './strength.ts';

const abc = ['a', 'b', 'c'];

describe('findWeakness', () => {
  // Source: supabase/auth internal/api/password_test.go.
  it.each([
    ['12345', [], ['length']],
    ['123', abc, ['length', 'characters']],
    ['a123', abc, ['length', 'characters']],
    ['ab123', abc, ['length', 'characters']],
    ['c123', abc, ['length', 'characters']],
    ['abc123', abc, undefined],
    ['ab1234', abc, ['characters']],
    // Bytes count, not characters.
    ['ééé', [], undefined],
    ['éé', [], ['length']],
    ['', [], ['length']],
    // An empty set asks for nothing.
    ['123456', [''], undefined],
    // A character outside the basic plane is one character.
    ['😀12345', ['😀🙂'], undefined],
    ['🙃12345', ['😀🙂'], ['characters']],
  ])('%j with %j: %j', async (password, requiredCharacters, reasons) => {
    expect((await findWeakness(password, { minLength: 6, requiredCharacters }))?.reasons).toEqual(reasons);
  });

  it('says all that is wrong in one message', async () => {
    const pwned = { find: async () => 'found' as const };
    expect(await findWeakness('1', { minLength: 8, requiredCharacters: abc, pwned })).toEqual({
      message:
        'Password should be at least 8 characters. Password should contain at least one character of each: a, b, c. Password is known to be weak and easy to guess, please choose a different one.',
      reasons: ['length', 'characters', 'pwned'],
    });
  });

  it('refuses more than 72 bytes before anything else, and asks nobody about them', async () => {
    const pwned = { find: () => Promise.reject(new Error('was asked')) };
    for (const password of ['x'.repeat(73), 'é'.repeat(37), 'x'.repeat(1024 * 1024)]) {
      await expect(
        findWeakness(password, { minLength: 6, requiredCharacters: [], pwned }),
      ).rejects.toMatchObject({
        status: 400,
        code: 'validation_failed',
        message: 'Password cannot be longer than 72 characters',
      });
    }
    expect(await findWeakness('é'.repeat(36), { minLength: 6, requiredCharacters: [] })).toBeUndefined();
  });

  it('allows what could not be looked up, unless that must not be', async () => {
    const rules = { minLength: 6, requiredCharacters: [], pwned: { find: async () => 'unknown' as const } };
    expect(await findWeakness('123456', rules)).toBeUndefined();
    await expect(findWeakness('123456', { ...rules, pwnedFailClosed: true })).rejects.toMatchObject({
      status: 500,
      code: 'unexpected_failure',
      message: 'Unable to perform password strength check with HaveIBeenPwned.org.',
    });
  });
});

describe('requireStrength', () => {
  it('throws 422 weak_password with the reasons', async () => {
    const error = await requireStrength('123', { minLength: 6, requiredCharacters: [] }).catch(
      (thrown) => thrown,
    );
    expect(error).toBeInstanceOf(Fault);
    expect(error).toBeInstanceOf(WeakPassword);
    expect(error).toMatchObject({
      status: 422,
      code: 'weak_password',
      message: 'Password should be at least 6 characters.',
      reasons: ['length'],
    });
  });

  it('lets a good one pass', async () => {
    await requireStrength('123456', { minLength: 6, requiredCharacters: [] });
  });
});

describe('settings', () => {
  // Source: supabase/auth internal/conf/configuration_test.go, TestPasswordRequiredCharactersDecode.
  it.each([
    ['a:b:c', ['a', 'b', 'c']],
    ['a\\:b:c', ['a:b', 'c']],
    ['a:b\\:c', ['a', 'b:c']],
    ['\\:a:b:c', [':a', 'b', 'c']],
    ['a:b:c\\:', ['a', 'b', 'c:']],
    ['::\\::', [':']],
    ['', []],
    [' ', [' ']],
  ])('%j are the sets %j', (text, sets) => {
    expect(parseCharacterSets(text)).toEqual(sets);
  });

  it('takes the words of config.toml for the sets that the CLI hands to upstream', () => {
    const { parse } = passwordSettings.requiredCharacters;
    const lower = 'abcdefghijklmnopqrstuvwxyz';
    const upper = lower.toUpperCase();
    expect(parse('')).toEqual([]);
    expect(parse('letters_digits')).toEqual(parseCharacterSets(`${lower}${upper}:0123456789`));
    expect(parse('lower_upper_letters_digits')).toEqual(parseCharacterSets(`${lower}:${upper}:0123456789`));
    // Source: supabase/cli pkg/api/types.gen.go, the value as Go reads it.
    expect(parse('lower_upper_letters_digits_symbols')).toEqual(
      parseCharacterSets(`${lower}:${upper}:0123456789:!@#$%^&*()_+-=[]{};'\\\\:"|<>?,./\`~`),
    );
    expect(parse('abc:123')).toEqual(['abc', '123']);
    for (const wrong of ['letter_digits', 'constructor', 5, ['a']]) expect(parse(wrong)).toBeUndefined();
  });

  it('counts a minimum below 6 as 6', () => {
    const { parse } = passwordSettings.minLength;
    expect([3, '3', 6, 10, 73, -1, 'x'].map(parse)).toEqual([6, 6, 6, 10, undefined, undefined, undefined]);
  });
});

describe('generatePassword', () => {
  it('has one of each set, is as long as asked for, and is not the same twice', () => {
    const many = Array.from({ length: 30 }, () => generatePassword(['ABC', '123', '', '@#$'], 30));
    for (const password of many) {
      expect(password).toHaveLength(30);
      expect(password).toMatch(/[ABC]/);
      expect(password).toMatch(/[123]/);
      expect(password).toMatch(/[@#$]/);
    }
    expect(new Set(many).size).toBe(30);
    // The required ones do not always stand first.
    expect(many.every((password) => /^[ABC][123]/.test(password))).toBe(false);
  });
});
