// In charge of: that a task with scope `one` runs on one process at a time, and on another when that one stops.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Database } from '../db/database.ts';
import type { Task } from './contract.ts';
import { openTaskRunner } from './tasks.ts';

let test: TestDatabase;
let one: Database;
let two: Database;

beforeAll(async () => {
  test = await openTestDatabase();
  [one, two] = [await test.open(), await test.open()];
});
afterAll(async () => {
  await one.close();
  await two.close();
  await test[Symbol.asyncDispose]();
});

/** A task that says who ran it, and a promise of its run number `count`. */
function watched(scope: Task['scope'], count: number) {
  const ran: { who: string; fence: bigint }[] = [];
  let resolve: () => void;
  const enough = new Promise<void>((done) => {
    resolve = done;
  });
  const task = (who: string): Task => ({
    name: `watched ${scope}`,
    everySeconds: 0.01,
    scope,
    async run(_signal, fence) {
      ran.push({ who, fence });
      if (ran.length >= count) resolve();
    },
  });
  return { ran, enough, task };
}

describe('tasks', () => {
  it('of scope `one` run on one process, with its fencing number, and move when it stops', async () => {
    const { ran, enough, task } = watched('one', 3);
    const first = openTaskRunner([task('first')], one.leases, () => {});
    await enough;
    const second = openTaskRunner([task('second')], two.leases, () => {});
    await first.close();
    const moved = watched('one', 1);
    const third = openTaskRunner([moved.task('third')], two.leases, () => {});
    await second.close();
    await moved.enough;
    await third.close();
    expect(new Set(ran.slice(0, 3).map(({ who }) => who))).toEqual(new Set(['first']));
    const fences = [...ran, ...moved.ran].map(({ fence }) => fence);
    expect(fences).toEqual(fences.toSorted((a, b) => Number(a - b)));
    expect(moved.ran[0]!.fence).toBeGreaterThan(ran[0]!.fence);
  });

  it('of scope `each` run on every process; one that fails is reported and tried again', async () => {
    const { ran, enough, task } = watched('each', 4);
    const reports: unknown[] = [];
    let failures = 0;
    const failing: Task = {
      name: 'failing',
      everySeconds: 0.01,
      scope: 'each',
      async run() {
        failures += 1;
        if (failures === 1) throw new Error('not this time');
      },
    };
    const runners = [
      openTaskRunner([task('first'), failing], one.leases, (observation) => reports.push(observation.kind)),
      openTaskRunner([task('second')], two.leases, () => {}),
    ];
    await enough;
    while (failures < 2) await new Promise((resolve) => setImmediate(resolve));
    for (const runner of runners) await runner.close();
    expect(new Set(ran.map(({ who }) => who))).toEqual(new Set(['first', 'second']));
    expect(reports).toEqual(['task.failed']);
  });
});
