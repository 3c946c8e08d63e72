// In charge of: limits over several processes on one database.
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { ProcessTask } from './test-process.ts';
import { steadyWindow } from './test-support.ts';

let test: TestDatabase;
let folder: string;
beforeAll(async () => {
  test = await openTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'mr-limits-'));
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Hammer {
  readonly child: ChildProcess;
  readonly ready: Promise<unknown>;
  readonly milestone: Promise<unknown>;
  readonly ended: Promise<unknown>;
  go(): void;
  allowed(): Promise<number>;
}

function startHammer(gateway: ProcessTask['gateway'], lanes: number, milestone = 0): Hammer {
  const child = fork(fileURLToPath(new URL('./test-process.ts', import.meta.url)), {
    execArgv: [],
    execPath: process.execPath,
  });
  const countFile = join(folder, randomUUID());
  const said = (word: string) =>
    new Promise<void>((resolve, reject) => {
      child.on('message', (message) => message === word && resolve());
      child.once('exit', (code, signal) => reject(new Error(`ended before "${word}": ${code ?? signal}`)));
    });
  const promises = { ready: said('ready'), milestone: said('milestone') };
  // Not everybody waits for it.
  promises.milestone.catch(() => {});
  const logins = { authenticator: test.login('authenticator'), millrace_admin: test.login('millrace_admin') };
  child.send({ logins, gateway, lanes, countFile, milestone } satisfies ProcessTask);
  return {
    child,
    ...promises,
    ended: once(child, 'exit'),
    go: () => child.send('go'),
    async allowed() {
      const count = await readFile(countFile);
      return count.length === 8 ? Number(count.readBigUInt64LE()) : 0;
    },
  };
}

/** What three processes that hammer one caller are allowed together; `kill`: the first is killed when it was allowed this many. */
async function allowedOfThree(gateway: ProcessTask['gateway'], lanes: number, kill?: number) {
  const hammers = [1, 2, 3].map(() => startHammer(gateway, lanes, kill));
  await Promise.all(hammers.map(({ ready }) => ready));
  for (const { go } of hammers) go();
  if (kill !== undefined) {
    const first = hammers[0]!;
    await first.milestone;
    first.child.kill('SIGKILL');
  }
  await Promise.all(hammers.map(({ ended }) => ended));
  const each = await Promise.all(hammers.map((hammer) => hammer.allowed()));
  return { each, total: each.reduce((sum, one) => sum + one, 0) };
}

const by = 'caller';

describe('three processes on one database, one caller that hammers all', () => {
  it('allow exactly the limit when a part in a hundred is less than one', async () => {
    const rules = { few: { by, rate: `60/${steadyWindow()}` } };
    expect((await allowedOfThree({ limits: { rules } }, 10)).total).toBe(60);
  });

  it.each([2_000, 20_000])('allow %i to one in a hundred', async (limit) => {
    const rules = { [`many-${limit}`]: { by, rate: `${limit}/${steadyWindow()}` } };
    const { total, each } = await allowedOfThree({ limits: { rules } }, 20);
    expect(Math.abs(total - limit), `allowed ${each}`).toBeLessThanOrEqual(limit / 100);
  });

  it('do so when one of them is killed in the middle', async () => {
    const limit = 30_000;
    const rules = { kill: { by, rate: `${limit}/${steadyWindow()}` } };
    const { total, each } = await allowedOfThree({ limits: { rules } }, 20, limit / 10);
    expect(each[0]).toBeGreaterThanOrEqual(limit / 10);
    expect(each[0]).toBeLessThan(limit / 2);
    expect(Math.abs(total - limit), `allowed ${each}`).toBeLessThanOrEqual(limit / 100);
  });

  it('count a quota together, too', async () => {
    const quotas = { plan: { by, per: 'month', amount: 5_000 } };
    const { total, each } = await allowedOfThree({ quotas }, 20);
    expect(Math.abs(total - 5_000), `allowed ${each}`).toBeLessThanOrEqual(50);
  });
});
