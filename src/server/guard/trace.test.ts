// In charge of: which trace a request belongs to. Cases from the specification's own suite, w3c/trace-context test/test.py and test_data.json.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startTrace, traceOf } from './trace.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parent = `00-${traceId}-00f067aa0ba902b7-01`;

describe('traceparent', () => {
  it('is passed on as it came', () => {
    expect(traceOf(parent, undefined)).toEqual({ traceId, traceparent: parent, tracestate: undefined });
  });

  it.each<[string, string | undefined]>([
    ['none', undefined],
    ['an empty one', ''],
    ['capitals', parent.toUpperCase()],
    ['a trace of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['a parent of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['version ff', `ff-${traceId}-00f067aa0ba902b7-01`],
    ['a version that is no number', `0x-${traceId}-00f067aa0ba902b7-01`],
    ['more behind version 00', `${parent}-what-the-future-will-be-like`],
    ['a dash behind it', `${parent}-`],
    ['a trace that is too short', `00-${traceId.slice(1)}-00f067aa0ba902b7-01`],
    ['a trace that is too long', `00-${traceId}0-00f067aa0ba902b7-01`],
    ['flags of one digit', `00-${traceId}-00f067aa0ba902b7-1`],
    ['dots', parent.replaceAll('-', '.')],
    ['two of them', `${parent}, ${parent}`],
    ['a later version with something stuck to it', `cc-${traceId}-00f067aa0ba902b7-01.x`],
  ])('that is %s counts as none', (_, value) => {
    expect(traceOf(value, 'foo=1')).toBeUndefined();
  });

  it('of a later version is passed on as what is understood of it', () => {
    for (const text of ['cc-', 'cc-what-the-future-will-be-like'].map((more) =>
      more.replace('cc', `cc-${traceId}-00f067aa0ba902b7-0b`),
    ))
      expect(traceOf(text, undefined)?.traceparent).toBe(parent);
    expect(traceOf(`01-${traceId}-00f067aa0ba902b7-fe`, undefined)?.traceparent).toBe(
      parent.replace(/01$/, '00'),
    );
  });
});

describe('tracestate', () => {
  const stateOf = (text: string) => traceOf(parent, text)?.tracestate;
  it.each<[string, string | undefined]>([
    ['foo=1,bar=2', 'foo=1,bar=2'],
    ['foo=1 \t , \t bar=2, \t baz=3', 'foo=1,bar=2,baz=3'],
    ['foo=1,', 'foo=1'],
    ['', undefined],
    ['foo=1,foo=1', undefined],
    ['foo', undefined],
    ['foo =1', undefined],
    ['FOO=1', undefined],
    ['foo=1=2', undefined],
    ['foo=ü', undefined],
    ['a@vendor=1', 'a@vendor=1'],
    [
      Array.from({ length: 32 }, (_, at) => `k${at}=1`).join(','),
      Array.from({ length: 32 }, (_, at) => `k${at}=1`).join(','),
    ],
    [Array.from({ length: 33 }, (_, at) => `k${at}=1`).join(','), undefined],
    [`${'z'.repeat(257)}=1`, undefined],
    [
      `a=1,${'b='.padEnd(250, 'x')},${'c='.padEnd(250, 'x')},${'d='.padEnd(100, 'x')}`,
      `a=1,${'d='.padEnd(100, 'x')}`,
    ],
    [
      Array.from({ length: 6 }, (_, at) => `k${at}=`.padEnd(100, 'x')).join(','),
      Array.from({ length: 5 }, (_, at) => `k${at}=`.padEnd(100, 'x')).join(','),
    ],
    ['a=1,'.repeat(10_000), undefined],
  ])('%s', (text, expected) => {
    expect(stateOf(text)).toBe(expected);
    // It never takes the trace with it.
    expect(traceOf(parent, text)?.traceId).toBe(traceId);
  });

  it('of any bytes is well-formed and bounded when it is passed on, and reads the same again', () => {
    const member = fc.tuple(
      fc.stringMatching(/^[a-z][a-z0-9@]{0,20}$/),
      fc.string({ minLength: 1, maxLength: 200 }),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(member, { maxLength: 40 }).map((all) => all.map((one) => one.join('=')).join(',')),
        ),
        (text) => {
          const state = stateOf(text);
          if (state === undefined) return;
          expect(state.length).toBeLessThanOrEqual(512);
          expect(stateOf(state)).toBe(state);
        },
      ),
    );
  });
});

it('a new trace is well-formed, recorded by nobody, and new', () => {
  const one = startTrace();
  expect(traceOf(one.traceparent, undefined)).toEqual(one);
  expect(one.traceparent).toMatch(/-00$/);
  expect(startTrace().traceId).not.toBe(one.traceId);
});
