// In charge of: how limits and quotas are written, and what is said of one that is written wrong.
import { describe, expect, it } from 'vitest';
import { OperatorError } from '../../base/errors.ts';
import { parseRate } from './rate.ts';
import { limitSettings } from './settings.ts';
import { complaintsAbout, quotaOf, ruleOf } from './tables.ts';
import { limitsSettings } from './test-support.ts';
import { openDatabaseClock, spanAt } from './windows.ts';

describe('a rate', () => {
  it.each<[string, number, number]>([
    ['1000/10s', 1000, 10],
    [' 60 / m ', 60, 60],
    ['5000/1h30m', 5000, 5400],
    ['5/90', 5, 90],
    ['1/d', 1, 86_400],
    ['1/1d', 1, 86_400],
    ['1/24h', 1, 86_400],
  ])('%s is so many in so many seconds', (text, amount, windowSeconds) => {
    expect(parseRate(text)).toEqual({ amount, windowSeconds });
  });

  it.each([
    '',
    '10',
    '10/',
    '0/s',
    '-1/s',
    '1.5/s',
    '10/500ms',
    '10/1.5s',
    '10/2d',
    '10/25h',
    '10/fast',
    '1e9/s',
  ])('%j is none', (text) => expect(parseRate(text)).toBeUndefined());
});

describe('rules and quotas', () => {
  it('are read from their tables', () => {
    const rules = {
      'sign-in': {
        path: '/auth/v1/token',
        methods: ['post'],
        by: 'address',
        rate: '30/m',
        on_store_failure: 'refuse',
      },
    };
    const quotas = { plan: { by: 'key', per: 'month', amount: 1_000_000 } };
    const values = limitsSettings({ limits: { rules }, quotas }).of(limitSettings).now();
    expect(values.rules).toEqual({
      'sign-in': {
        path: '/auth/v1/token',
        methods: ['POST'],
        by: 'address',
        rate: '30/m',
        onStoreFailure: 'refuse',
      },
    });
    expect(values.quotas).toEqual({
      plan: { by: 'key', per: 'month', amount: 1_000_000, onStoreFailure: 'allow' },
    });
  });

  const rule = { by: 'address', rate: '30/m' };
  it.each<[unknown, string]>([
    ['many', '"gateway.limits.rules" is "many", but must be a table.'],
    [{ a: 5 }, '"gateway.limits.rules.a" is 5, but must be a table.'],
    [
      { 'a"b': rule },
      '"gateway.limits.rules.a"b" is "a\\"b", but must be a name of up to 64 letters, digits, "_" and "-".',
    ],
    [
      { address: rule },
      '"gateway.limits.rules.address" is "address", but must be another name: the general limits are called that.',
    ],
    [
      { a: { by: 'ip', rate: '1/s' } },
      '"gateway.limits.rules.a.by" is "ip", but must be one of route, address, caller, key.',
    ],
    [
      { a: { by: 'key' } },
      '"gateway.limits.rules.a.rate" is missing, but must be a rate such as "30/m", up to a day.',
    ],
    [
      { a: { ...rule, rate: 'often' } },
      '"gateway.limits.rules.a.rate" is "often", but must be a rate such as "30/m", up to a day.',
    ],
    [
      { a: { ...rule, path: 'auth' } },
      '"gateway.limits.rules.a.path" is "auth", but must be a path that begins with "/".',
    ],
    [
      { a: { ...rule, methods: 'GET' } },
      '"gateway.limits.rules.a.methods" is "GET", but must be a list of methods such as ["POST"].',
    ],
    [
      { a: { ...rule, on_store_failure: 'maybe' } },
      '"gateway.limits.rules.a.on_store_failure" is "maybe", but must be "allow" or "refuse".',
    ],
    [
      { a: { ...rule, method: ['GET'] } },
      '"gateway.limits.rules.a.method" is ["GET"], but must be left out: the keys are by, path, methods, on_store_failure, rate.',
    ],
  ])('%j is refused', (raw, sentence) => {
    expect(complaintsAbout('gateway.limits.rules', raw, ruleOf)).toEqual([sentence]);
    expect(() => limitsSettings({ limits: { rules: raw } })).toThrow(OperatorError);
  });

  it.each<[Record<string, unknown>, string]>([
    [
      { by: 'key', per: 'week', amount: 1 },
      '"gateway.quotas.q.per" is "week", but must be "day" or "month".',
    ],
    [
      { by: 'key', per: 'day', amount: 0 },
      '"gateway.quotas.q.amount" is 0, but must be a whole number from 1.',
    ],
  ])('the quota %j is refused', (raw, sentence) => {
    expect(complaintsAbout('gateway.quotas', { q: raw }, quotaOf)).toEqual([sentence]);
    expect(() => limitsSettings({ quotas: { q: raw } })).toThrow(OperatorError);
  });
});

describe('windows', () => {
  const at = (text: string) => Date.parse(text);

  it.each<[Parameters<typeof spanAt>[0], string, string, string]>([
    [
      { kind: 'seconds', seconds: 10 },
      '2026-02-28T23:59:59.999Z',
      '2026-02-28T23:59:50Z',
      '2026-03-01T00:00:00Z',
    ],
    [
      { kind: 'seconds', seconds: 86_400 },
      '2026-02-28T12:00:00Z',
      '2026-02-28T00:00:00Z',
      '2026-03-01T00:00:00Z',
    ],
    [{ kind: 'month' }, '2026-02-28T23:59:59.999Z', '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z'],
    [{ kind: 'month' }, '2026-12-31T23:00:00Z', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ])('%j at %s', (window, moment, start, end) => {
    expect(spanAt(window, at(moment))).toEqual({ startMs: at(start), endMs: at(end) });
  });

  it('follow the database’s clock, and believe quick answers before slow ones', () => {
    let localMs = 1_000;
    const clock = openDatabaseClock(
      () => localMs,
      () => 50_000,
    );
    expect(clock.databaseMs()).toBe(50_000);
    clock.heard(90_000, 1_000, 1_010);
    localMs = 1_010;
    expect(clock.databaseMs()).toBe(90_005);
    expect(clock.toLocal(90_005)).toBe(1_010);
    clock.heard(95_000, 1_010, 3_010);
    expect(clock.databaseMs()).toBe(90_005);
  });
});
