// In charge of: random changes over random listeners, who come and go while policies and tables change: each hears exactly what its policies and
// filters show of each row, in the order of the commits, none twice. The same and more of it: test/soak/changes.test.ts.
import { expect, test } from 'vitest';
import { runOracle } from './harness/changes-oracle.ts';

test('fifty listeners hear what row-level security shows them of each row, and nothing else', async () => {
  const seed = Number(process.env['MILLRACE_ORACLE_SEED'] ?? 1);
  const result = await runOracle({ changes: 300, seed, stretch: 40, kept: 100 });
  expect(result.problems).toEqual([]);
  expect(result.failures).toEqual([]);
  expect(result.told).toBeGreaterThan(result.changes);
}, 300_000);
