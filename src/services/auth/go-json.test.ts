// In charge of: the tests of JSON, times and durations as Go has them.
import { describe, expect, it } from 'vitest';
import { parseGoDurationMs } from './go-duration.ts';
import { goTime, json, merged, sorted } from './go-json.ts';

describe('goTime', () => {
  it.each([
    ['2026-11-22 21:15:40.123456+00', '2026-11-22T21:15:40.123456Z'],
    ['2026-11-22 21:15:40.120000+00', '2026-11-22T21:15:40.12Z'],
    ['2026-11-22T21:15:40+00:00', '2026-11-22T21:15:40Z'],
    ['2026-11-22 21:15:40', '2026-11-22T21:15:40Z'],
    ['2026-11-22T22:45:40.5+01:30', '2026-11-22T21:15:40.5Z'],
    ['2026-11-22 16:15:40.000001-05', '2026-11-22T21:15:40.000001Z'],
    ['infinity', 'infinity'],
  ])('%s is %s', (text, expected) => {
    expect(goTime(text)).toBe(expected);
  });
});

describe('parseGoDurationMs', () => {
  it.each([
    ['24h', 86_400_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['-2m', -120_000],
    ['+3ms', 3],
    ['0', 0],
    ['1d', undefined],
    ['24', undefined],
    ['', undefined],
    ['h', undefined],
    ['9999999999h', undefined],
  ])('%j is %j ms', (text, expected) => {
    expect(parseGoDurationMs(text)).toBe(expected);
  });
});

describe('free-form objects', () => {
  it('have their keys in order, all the way down', () => {
    expect(JSON.stringify(sorted({ b: [{ d: 1, c: null }], a: 'x', B: {} }))).toBe(
      '{"B":{},"a":"x","b":[{"c":null,"d":1}]}',
    );
  });

  it('take updates; null takes a key away', () => {
    expect(merged({ a: 1, b: 2 }, { b: null, c: 3 })).toEqual({ a: 1, c: 3 });
    expect(merged(null, { a: 1 })).toEqual({ a: 1 });
  });

  it('leave out what is undefined', () => {
    expect(json(200, { a: undefined, b: null })).toEqual({
      status: 200,
      headers: [['content-type', 'application/json']],
      body: '{"b":null}',
    });
  });
});
