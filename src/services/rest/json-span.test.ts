// In charge of: testing that a body is found where it was written, for any JSON.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bodySpans } from './json-span.ts';

const found = (text: string) =>
  bodySpans(text).map((span) => (span === undefined ? undefined : text.slice(span.start, span.end)));

it('is given as it was written', () => {
  expect(
    found('[ {"body" : {"n": 12345678901234567890.10 } , "x":"}\\"]"}, {"a":1}, 3, {"body":"\\\\"} ]'),
  ).toEqual(['{"n": 12345678901234567890.10 }', undefined, undefined, '"\\\\"']);
  expect(found('[{"body":1,"b\\u006fdy":[2]}]')).toEqual(['[2]']);
  expect(found('[{"x":{"body":1}}]')).toEqual([undefined]);
  expect(found(' []')).toEqual([]);
});

it('is what JSON.parse finds, in any JSON', () => {
  const item = fc.oneof(
    fc.json(),
    fc.record({ body: fc.jsonValue(), x: fc.jsonValue() }).map((o) => JSON.stringify(o, null, 1)),
  );
  fc.assert(
    fc.property(fc.array(item), (items) => {
      const text = `[${items.join(' , ')}]`;
      // Sound: a list, as it was put together.
      const parsed = JSON.parse(text) as unknown[];
      const bodies = parsed.map((one) =>
        typeof one === 'object' && one !== null && !Array.isArray(one) && Object.hasOwn(one, 'body')
          ? (one as { body: unknown }).body
          : undefined,
      );
      expect(found(text).map((one) => (one === undefined ? undefined : JSON.parse(one)))).toEqual(bodies);
    }),
  );
});

it('may be nested as deep as the body is long', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  expect(found(`[{"body":${deep}}]`)[0]).toHaveLength(400_000);
});
