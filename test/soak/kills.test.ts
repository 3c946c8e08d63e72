// In charge of: the promise of kill -9, many times over and at any moment. `npm run soak`; SEED=… repeats a run.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeProject, startBackend, startOnly } from '../harness/backend.ts';
import { randomNumbers } from '../harness/random.ts';
import { countLost, loadMigration, loggedRecoveryMs, openWriteLoad } from '../harness/write-load.ts';

const rounds = 20;
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
/** As long as a start takes here, so that a kill meets each of its steps. */
const startMs = 1_500;

let project: Awaited<ReturnType<typeof makeProject>>;
beforeEach(async () => {
  project = await makeProject({
    'supabase/config.toml': 'project_id = "soak"\n[api]\nauto_expose_new_tables = false\n',
    'supabase/migrations/20260601000000_entries.sql': loadMigration,
  });
});
afterEach(() => project?.[Symbol.asyncDispose]());

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it(`Node is killed under write load and in its next start, ${rounds} times`, async () => {
  process.stdout.write(`SEED=${seed}\n`);
  const random = randomNumbers(seed);
  const acknowledged = new Set<number>();
  for (let round = 1; round <= rounds; round++) {
    const cut = startOnly(project.folder);
    await sleep(random() * startMs);
    cut.kill('SIGKILL');
    await using backend = await startBackend(project.folder, [], { log: 'discard' });
    expect(await countLost(backend.report, acknowledged)).toBe(0);
    const load = openWriteLoad(backend.report, round * 1_000_000);
    await sleep(200 + random() * 2_000);
    backend.process.kill('SIGKILL');
    await backend.ended;
    await load.stop();
    for (const id of load.acknowledged) acknowledged.add(id);
    process.stdout.write(
      `  ${round}/${rounds}: ready in ${backend.report.READY_MS} ms, ${acknowledged.size} rows\n`,
    );
  }
  await using backend = await startBackend(project.folder);
  expect(await countLost(backend.report, acknowledged)).toBe(0);
});

it(`PostgreSQL is killed under write load, ${rounds} times`, async () => {
  const beyond: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    // A start of its own each: falls in quick succession are given up on purpose.
    await using backend = await startBackend(project.folder, ['--log-level', 'debug']);
    const load = openWriteLoad(backend.report, round * 1_000_000);
    await expect.poll(() => load.acknowledged.size, { timeout: 30_000 }).toBeGreaterThan(300);
    const pidFile = join(project.folder, '.millrace', 'db', 'postmaster.pid');
    process.kill(Number((await readFile(pidFile, 'utf8')).split('\n')[0]), 'SIGKILL');
    await expect.poll(() => backend.log(), { timeout: 30_000 }).toContain('"kind":"postgres.restarted"');
    const before = load.acknowledged.size;
    await expect.poll(() => load.acknowledged.size, { timeout: 30_000 }).toBeGreaterThan(before + 100);
    await load.stop();
    expect([...load.answers.keys()].sort()).toEqual(['201', '503 PGRST000']);
    expect(load.withoutRetryAfter).toEqual([]);
    expect(await countLost(backend.report, load.acknowledged)).toBe(0);
    const outageMs = load.outageMs();
    const recoveryMs = loggedRecoveryMs(backend.log());
    beyond.push(outageMs - recoveryMs);
    process.stdout.write(
      `  ${round}/${rounds}: back after ${Math.round(outageMs)} ms, of which recovery ${recoveryMs} ms\n`,
    );
  }
  const worst = Math.max(...beyond);
  process.stdout.write(`worst beyond PostgreSQL's own recovery: ${Math.round(worst)} ms\n`);
  // The promise of the README; the machine is quiet in a soak.
  expect(worst).toBeLessThan(2_000);
});
