// In charge of: random changes over random listeners: each hears exactly what its policies and filters show, in the order of the commits, none twice.
import { expect, test } from 'vitest';
import { runOracle } from './harness/changes-oracle.ts';

test('fifty listeners hear what row-level security shows them of each row, and nothing else', async () => {
  const seed = Number(process.env['MILLRACE_ORACLE_SEED'] ?? 1);
  const result = await runOracle({ changes: 300, seed });
  for (const { name, expected, heard, gaps } of result.listeners) {
    expect(heard, name).toEqual(expected);
    expect(gaps, name).toEqual([]);
  }
  expect(result.failures).toEqual([]);
  expect(result.told).toBeGreaterThan(result.changes);
}, 300_000);
