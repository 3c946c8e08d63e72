// In charge of: what a wrapped secret is worth to somebody without its master key, or in another place.
import { describe, expect, it } from 'vitest';
import { keyIdOf, openWrap, SecretUnreadable } from './wrap.ts';

const masterKey = 'a-master-key-of-more-than-32-characters';
const wrap = openWrap(masterKey);
const value = Buffer.from('the private half');
const sealed = wrap.seal('signing key', 'row-1', value);

const reasonOf = (read: () => unknown) => {
  try {
    read();
    return 'no refusal';
  } catch (error) {
    return error instanceof SecretUnreadable ? error.reason : error;
  }
};

describe('a wrapped secret', () => {
  it('opens with its master key, for its purpose and its row', () => {
    expect(wrap.unwrap('signing key', 'row-1', sealed)).toEqual(value);
    expect(openWrap(masterKey).unwrap('signing key', 'row-1', sealed)).toEqual(value);
  });

  it('says which master key wraps it, and nothing of the value', () => {
    expect(keyIdOf(sealed)).toBe(wrap.keyId);
    expect(wrap.keyId).toMatch(/^[0-9a-f]{16}$/);
    expect(sealed.includes(value)).toBe(false);
    expect(sealed.length).toBe(1 + 8 + 12 + value.length + 16);
  });

  it('is another one each time, also for the same value', () => {
    expect(wrap.seal('signing key', 'row-1', value)).not.toEqual(sealed);
  });

  it('opens with no other master key', () => {
    expect(reasonOf(() => openWrap(`${masterKey}.`).unwrap('signing key', 'row-1', sealed))).toBe(
      'other key',
    );
  });

  it.each([
    ['another row', () => wrap.unwrap('signing key', 'row-2', sealed)],
    ['another purpose', () => wrap.unwrap('provider', 'row-1', sealed)],
    [
      'a purpose and a row that are the same letters together',
      () => wrap.unwrap('signing key', '\0row-1', sealed),
    ],
  ])('does not open for %s', (_, read) => {
    expect(reasonOf(read)).toBe('damaged');
  });

  it('does not open when any one bit of it was changed, or its end is missing', () => {
    for (let at = 0; at < sealed.length * 8; at++) {
      const changed = Buffer.from(sealed);
      changed[at >> 3]! ^= 1 << (at & 7);
      expect(
        reasonOf(() => wrap.unwrap('signing key', 'row-1', changed)),
        `bit ${at}`,
      ).toBe(at < 9 * 8 ? 'other key' : 'damaged');
    }
    for (let length = 0; length < sealed.length; length++)
      expect(reasonOf(() => wrap.unwrap('signing key', 'row-1', sealed.subarray(0, length)))).toMatch(
        /^(other key|damaged)$/,
      );
  });

  it('may be empty', () => {
    expect(wrap.unwrap('mail', 'smtp', wrap.seal('mail', 'smtp', Buffer.alloc(0)))).toEqual(Buffer.alloc(0));
  });
});
