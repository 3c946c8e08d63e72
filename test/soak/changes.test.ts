// In charge of: ten thousand random changes over fifty random listeners. `MILLRACE_ORACLE_SEED` gives another course.
import { expect, test } from 'vitest';
import { runOracle } from '../harness/changes-oracle.ts';

test('ten thousand changes reach exactly those whom row-level security shows them', async () => {
  const seed = Number(process.env['MILLRACE_ORACLE_SEED'] ?? 8);
  const changes = Number(process.env['MILLRACE_ORACLE_CHANGES'] ?? 10_000);
  const result = await runOracle({ changes, seed, stretch: 100, kept: 1_500 });
  const { told, problems, moves, returns, gaps, failures } = result;
  process.stdout.write(
    `seed ${seed}: ${result.changes} changes, ${told} told to fifty listeners; ${moves.length} moves, ${returns} returns, ${gaps} gaps\n`,
  );
  if (process.env['MILLRACE_ORACLE_MOVES'] !== undefined) process.stdout.write(`${moves.join('\n')}\n`);
  for (const problem of problems.slice(0, 40)) process.stdout.write(`${problem}\n`);
  for (const failure of failures.slice(0, 10)) process.stdout.write(`${failure}\n`);
  expect(problems).toEqual([]);
  expect(failures).toEqual([]);
});
