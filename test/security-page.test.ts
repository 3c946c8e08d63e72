// In charge of: docs/security.md: the classes of attack that a gateway has to know are there, and each row names tests that are there.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const rows = readFileSync(join(root, 'docs/security.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| Class '))
  .map((line) => line.slice(2, -2).split(' | '));

/** What names a test: a file or a pattern, and perhaps titles in it. */
const named = /`([^`]+\.test\.ts)`(?:: ((?:(?:, )?"[^"]+")+))?/g;

describe('docs/security.md', () => {
  it.each([
    'Algorithm confusion',
    '`kid` injection',
    'JWKS rotation',
    'JWKS outage',
    'Key in the query string',
    'Spoofed `X-Forwarded-For`',
    'DNS rebinding',
    'Request smuggling',
    'Header floods',
    'Slow heads (slowloris',
    'Slow bodies, slow readers (slowloris',
    'CORS with credentials',
    'Timing of key comparison',
    'Public development secrets',
    'Operator plane reached with a project key',
  ])('has a row for %s', (name) => {
    expect(rows.filter(([found = '']) => found.startsWith(name))).toHaveLength(1);
  });

  it.each(rows)('%s', (...row) => {
    expect(row).toHaveLength(3);
    const tests = [...row[2]!.matchAll(named)];
    expect(tests).not.toEqual([]);
    for (const [, pattern = '', titles = ''] of tests) {
      const files = globSync(pattern, { cwd: root });
      expect(files, pattern).not.toEqual([]);
      const text = files.map((file) => readFileSync(join(root, file), 'utf8')).join('\n');
      for (const [, title = ''] of titles.matchAll(/"([^"]+)"/g)) expect(text).toContain(title);
    }
  });
});
