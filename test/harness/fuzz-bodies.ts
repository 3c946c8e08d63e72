// In charge of: bodies of a fuzz: what a table or function takes, what it does not, and what is nothing at all; from empty to longer than allowed.
import type { Random } from './random.ts';

export function fuzzBody(random: Random, type: string, columns: readonly string[], maxBytes: number): Buffer {
  return random.weighted<Buffer>([
    [12, () => asType(random, type, columns)],
    [3, () => Buffer.from(rowsText(random, columns))],
    [1, () => Buffer.alloc(0)],
    [1, () => random.bytes(random.whole(1, 3_000))],
    [1, () => Buffer.from(random.pick(oddTexts))],
    [
      0.5,
      () =>
        Buffer.from(
          JSON.stringify(
            Array.from({ length: random.whole(100, 3_000) }, (_, id) => ({ id, title: `m${id}` })),
          ),
        ),
    ],
    [0.3, () => sized(random, maxBytes)],
  ]);
}

function asType(random: Random, type: string, columns: readonly string[]): Buffer {
  const cell = () => String(value(random)).replace(/[\r\n]/g, ' ');
  if (type === 'text/csv') {
    const lines = random.several(0, 5, () =>
      columns.map(() => (random.chance(0.2) ? `"${cell().replaceAll('"', '""')}"` : cell())).join(','),
    );
    return Buffer.from([columns.join(','), ...lines].join(random.chance(0.5) ? '\n' : '\r\n'));
  }
  if (type === 'application/x-www-form-urlencoded') {
    return Buffer.from(
      columns
        .map((column) => `${encodeURIComponent(column)}=${encodeURIComponent(cell().toWellFormed())}`)
        .join('&'),
    );
  }
  if (type.startsWith('multipart/'))
    return Buffer.from(`--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n`);
  return Buffer.from(rowsText(random, columns));
}

function rowsText(random: Random, columns: readonly string[]): string {
  const row = () =>
    Object.fromEntries(
      columns
        .filter(() => random.chance(0.4))
        .map((column) => [column, column === 'id' ? random.whole(0, 1e6) : value(random)]),
    );
  return JSON.stringify(random.chance(0.5) ? row() : random.several(0, 5, row));
}

function value(random: Random): unknown {
  return random.pick<unknown>([
    random.whole(-5, 400),
    `word ${random.whole(0, 1e6)}`,
    null,
    true,
    1.5,
    'novel',
    '{a,b}',
    '[1,5)',
    '\\x00ff',
    '2026-01-01',
    { pages: 1 },
    [1, 2],
    'NaN',
    1e308,
    '\u0000',
    '\ud800',
    '',
    'é\u2603',
    '00000000-0000-4000-8000-000000000000',
  ]); // prettier-ignore
}

const oddTexts = [
  '[[]]',
  '{}',
  '[{}]',
  '[',
  '{"a":',
  'null',
  '"x"',
  '1',
  '[1,"x",null]',
  '{"a":1,"a":2}',
  '{"a":"\\u0000"}',
  '{"a":"\\ud800"}',
  '{"__proto__":{"x":1}}',
  '{"constructor":1}',
  '\ufeff{}',
  '[{"id":1},{"title":"x"}]',
  '[{"id":1},2]',
  `${'['.repeat(20_000)}`,
  `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
  `{"a":${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}}`,
  'a,b\n1',
  '"a\n',
  '=&=&',
  '%00=%ff',
  '1e999999',
  '-',
  '{"title":1e99999}',
  `{"price":${'9'.repeat(200_000)}}`,
]; // prettier-ignore

/** About as long as may be, and beyond. */
function sized(random: Random, maxBytes: number): Buffer {
  const bytes = random.pick([
    60_000,
    Math.floor(maxBytes / 2),
    maxBytes - 1,
    maxBytes,
    maxBytes + 1,
    2 * maxBytes,
  ]);
  const open = '{"title":"';
  return Buffer.from(`${open}${'x'.repeat(bytes - open.length - 2)}"}`);
}
