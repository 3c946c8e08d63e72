// In charge of: showing that what would be slow to read is known by its bytes, and that nothing else is refused.
import { describe, expect, it } from 'vitest';
import { isTooDeep, maxDepth } from './depth.ts';
import { unreadableBy } from './json-bounds.ts';

const refusal = (text: string) => unreadableBy(Buffer.from(text));
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('JSON', () => {
  it.each([
    ['a list in a list', '[[1,2],{"a":[]}]'],
    ['brackets in a text', JSON.stringify('['.repeat(1_000))],
    ['brackets behind quotes in a text', JSON.stringify({ a: '"['.repeat(1_000) })],
    ['brackets behind backslashes in a text', JSON.stringify({ '\\': '\\"\\\\['.repeat(1_000), b: '[\\' })],
    ['what is none', '{"a":"never ended [[['],
    ['lists beside each other', JSON.stringify(Array(90_000).fill([]))],
    ['as deep as it may be', nested(maxDepth)],
  ])('%s may be read', (_, text) => {
    expect(refusal(text)).toBe(undefined);
  });

  it.each([
    ['deeper than it may be', nested(maxDepth + 1), 'it is nested too deeply'],
    ['deep behind a text', `{"\\\\":${nested(5_000)}}`, 'it is nested too deeply'],
    [
      'of very many lists',
      JSON.stringify(Array(100_000).fill([])),
      'it has more than 100000 objects and lists',
    ],
  ])('%s may not', (_, text, sentence) => {
    expect(refusal(text)).toBe(sentence);
  });

  it('is found too deep exactly where its value is', () => {
    for (const depth of [maxDepth - 1, maxDepth, maxDepth + 1])
      expect(isTooDeep(JSON.parse(nested(depth)))).toBe(refusal(nested(depth)) !== undefined);
  });
});
