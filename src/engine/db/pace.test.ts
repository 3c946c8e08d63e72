// In charge of: which statements are taken for quick.
import { beforeEach, describe, expect, it } from 'vitest';
import { Paces } from './pace.ts';

let paces: Paces;
const text = 'select 1';
const run = (tookMs: number, times = 1) => {
  for (let time = 0; time < times; time += 1) paces.note(text, tookMs);
};

beforeEach(() => {
  paces = new Paces();
});

describe('a statement', () => {
  it('is quick once it was so three times', () => {
    run(1, 2);
    expect(paces.isQuick(text)).toBe(false);
    run(1);
    expect(paces.isQuick(text)).toBe(true);
    expect(paces.isQuick('select 2')).toBe(false);
  });

  it('is not judged by its first run, which planned and read from disk', () => {
    run(3_000);
    run(1, 2);
    expect(paces.isQuick(text)).toBe(true);
  });

  it('that takes 10 ms as a rule is not quick', () => {
    run(12, 1_000);
    expect(paces.isQuick(text)).toBe(false);
  });

  it('is not quick any more after one slow run, and again after 50 that were not', () => {
    run(1, 100);
    run(51);
    expect(paces.isQuick(text)).toBe(false);
    run(1, 49);
    expect(paces.isQuick(text)).toBe(false);
    run(1);
    expect(paces.isQuick(text)).toBe(true);
  });

  it('that fails teaches only when it took long, and was known', () => {
    for (let time = 0; time < 5; time += 1) paces.noteFailure(text, 1);
    expect(paces.isQuick(text)).toBe(false);
    run(1, 3);
    paces.noteFailure(text, 1);
    expect(paces.isQuick(text)).toBe(true);
    paces.noteFailure(text, 100);
    expect(paces.isQuick(text)).toBe(false);
  });

  it('is forgotten with all others when there are more than 4096', () => {
    run(1, 3);
    for (let n = 0; n < 4_095; n += 1) paces.note(`select ${n} + 2`, 1);
    expect(paces.isQuick(text)).toBe(true);
    paces.note('one more', 1);
    expect(paces.isQuick(text)).toBe(false);
  });
});
