// In charge of: ten thousand random changes over fifty random listeners. `MILLRACE_ORACLE_SEED` gives another course.
import { expect, test } from 'vitest';
import { runOracle } from '../harness/changes-oracle.ts';

test('ten thousand changes reach exactly those whom row-level security shows them', async () => {
  const seed = Number(process.env['MILLRACE_ORACLE_SEED'] ?? 8);
  const result = await runOracle({ changes: 10_000, seed });
  process.stdout.write(
    `${result.changes} changes, ${result.told} told to ${result.listeners.length} listeners\n`,
  );
  for (const { name, expected, heard, gaps } of result.listeners) {
    expect(heard, name).toEqual(expected);
    expect(gaps, name).toEqual([]);
  }
  expect(result.failures).toEqual([]);
});
