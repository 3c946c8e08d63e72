// In charge of: docs/owasp-api-top-10.md: every test that the page names is there, under the words that it names it by.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const page = readFileSync(join(root, 'docs/owasp-api-top-10.md'), 'utf8');

/** The tests of one row: a file, then the titles in it that show what is claimed. */
function shownBy(row: string): readonly { readonly file: string; readonly titles: readonly string[] }[] {
  const cell = row.split(' | ').at(-1) ?? '';
  return [...cell.matchAll(/`([^`]+\.test\.ts)`(?::((?:,? *"[^"]+")+))?/g)].map(
    ([, file = '', titles = '']) => ({
      file,
      titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
    }),
  );
}

const rows = page.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| What we do'));

describe('docs/owasp-api-top-10.md', () => {
  it('has each of the ten', () => {
    expect([...page.matchAll(/^## API(\d+) /gm)].map(([, number]) => Number(number))).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
  });

  it.each(rows)('%s', (row) => {
    const tests = shownBy(row);
    expect(tests).not.toEqual([]);
    for (const { file, titles } of tests) {
      expect(existsSync(join(root, file)), file).toBe(true);
      const text = readFileSync(join(root, file), 'utf8');
      for (const title of titles) expect(text).toContain(title);
    }
  });
});
