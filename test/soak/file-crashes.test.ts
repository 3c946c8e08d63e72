// In charge of: files and kill -9, of the program and of its Postgres: a thousand operations by every protocol, cut off at any moment. `npm run soak`;
// SEED=… repeats a run.
import { expect, it } from 'vitest';
import { crashFiles } from '../harness/file-crashes.ts';

const operations = Number(process.env.OPERATIONS ?? 1_000);

it(`after ${operations} operations with kills on the way, rows and bytes agree, and the sweeper has removed what is left`, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  process.stdout.write(`SEED=${seed}\n`);
  const say = (line: string) => process.stdout.write(line);
  const outcome = await crashFiles(seed, { operations, betweenKills: 45, mender: 'sweeper', say });
  process.stdout.write(`${JSON.stringify(outcome, undefined, 2)}\n`);
  expect(outcome.wrong).toEqual([]);
  expect(outcome.unexpected).toEqual([]);
  expect(outcome.strays).toEqual([]);
  expect(outcome.left).toMatchObject({ missing: 0, wrongSize: 0, wrongDigest: 0 });
  expect(outcome.after).toMatchObject({ orphans: 0, missing: 0, wrongSize: 0, wrongDigest: 0 });
});
