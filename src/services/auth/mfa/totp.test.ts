// In charge of: codes of authenticator apps against the RFC, and the address and picture that apps read.
import { describe, expect, it } from 'vitest';
import { makeTotpKey, renderQrCode, stepOf } from './totp.ts';

/** `12345678901234567890`. Source: RFC 6238 appendix B, whose codes have eight digits. */
const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';

describe('stepOf', () => {
  it.each([
    [59, '287082', 1],
    [1111111109, '081804', 37037036],
    [1234567890, '005924', 41152263],
    [20000000000, '353130', 666666666],
  ])('at %i s takes %s as the code of step %i', (seconds, code, step) => {
    expect(stepOf(secret, code, seconds * 1000)).toBe(step);
  });

  it.each([
    ['a step before', 59 + 30, 1],
    ['a step after', 59 - 30, 1],
    ['two steps before', 59 + 61, undefined],
    ['two steps after', 59 - 60 + 1_800_000_000, undefined],
  ])('of %s', (_, seconds, step) => {
    expect(stepOf(secret, '287082', seconds * 1000)).toBe(step);
  });

  it.each(['', '28708', '2870820', '28708x', '２８７０８２', '-28708'])('"%s" is no code', (code) => {
    expect(stepOf(secret, code, 59_000)).toBeUndefined();
  });
});

describe('makeTotpKey', () => {
  it('escapes what would be read as another part of the address', () => {
    const key = makeTotpKey('A & B: 1/2?#', 'ä+x@example.com');
    const url = new URL(key?.uri ?? '');
    expect(url.searchParams.get('issuer')).toBe('A & B: 1/2?#');
    expect(decodeURIComponent(url.pathname)).toBe('/A & B: 1/2?#:ä+x@example.com');
    expect(url.searchParams.get('secret')).toBe(key?.secret);
  });

  it('has no picture of more than fits into one', () => {
    expect(makeTotpKey('x'.repeat(2000), 'y')).toBeUndefined();
  });
});

describe('renderQrCode', () => {
  it('fits behind data:image/svg+xml;utf-8, as it is', () => {
    const svg = renderQrCode(makeTotpKey('example.com', 'person@example.com')?.uri ?? '');
    expect(svg).toMatch(/^<\?xml version="1.0"\?>\n<svg width="(\d+)" height="\1" /);
    expect(svg).not.toMatch(/[#%]/);
    expect(svg.length).toBeLessThan(60_000);
  });
});
