// In charge of: how the limits of mails and text messages are written.
import { describe, expect, it } from 'vitest';
import { authLimitSettings, rateOf } from './settings.ts';

const { parse } = authLimitSettings.limitEmailSent;

describe('auth.rate_limit.email_sent', () => {
  it.each<[unknown, number | string, number, number]>([
    [30, 30, 30, 3600],
    ['30', 30, 30, 3600],
    [0, 0, 0, 3600],
    ['10/1h', '10/1h', 10, 3600],
    ['10/1m30s', '10/1m30s', 10, 90],
    ['0/1s', '0/1s', 0, 1],
  ])('%j is %j', (raw, value, amount, seconds) => {
    expect(parse(raw)).toBe(value);
    expect(rateOf(parse(raw)!)).toEqual({ amount, seconds });
  });

  it.each([
    -1,
    1.5,
    1_000_000_001,
    '',
    'x',
    '10/',
    '/1h',
    '10/1',
    '10/1h/2',
    '10/0s',
    '10/1ms',
    '1.5/1h',
    true,
    null,
  ])('%j is none', (raw) => {
    expect(parse(raw)).toBeUndefined();
  });
});
