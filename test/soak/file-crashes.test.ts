// In charge of: files and kill -9: a thousand operations, cut off at any moment. `npm run soak`; SEED=… repeats a run.
import { expect, it } from 'vitest';
import { crashFiles } from '../harness/file-crashes.ts';

const operations = 1_000;

it(`after ${operations} operations with kills on the way, rows and bytes agree but for what a sweep removes`, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  process.stdout.write(`SEED=${seed}\n`);
  const outcome = await crashFiles(seed, operations, (line) => process.stdout.write(line));
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  expect(outcome.wrong).toEqual([]);
  expect(outcome.unexpected).toEqual([]);
  expect(outcome.left).toMatchObject({ missing: 0, wrongSize: 0, wrongDigest: 0 });
  expect(outcome.repaired.mended).toBe(outcome.repaired.orphans);
  expect(outcome.after).toMatchObject({ orphans: 0, missing: 0, wrongSize: 0, wrongDigest: 0 });
});
