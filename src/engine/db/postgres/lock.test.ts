// In charge of: the lock of a state folder.
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from './lock.ts';
import { bootId, processSpace, processStart } from './process.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

const me = () => ({
  pid: process.pid,
  start: processStart(process.pid),
  boot: bootId(),
  space: processSpace(),
  token: 'x',
});
const held = { name: 'OperatorError', message: expect.stringContaining(`as process ${process.pid}`) };

describe('a lock', () => {
  it('is held until it is released, and can be taken again then', async () => {
    const first = await takeLock(folder);
    await expect(takeLock(folder)).rejects.toMatchObject(held);
    await first.release();
    await first.release();
    const second = await takeLock(folder);
    await expect(takeLock(folder)).rejects.toMatchObject(held);
    await second.release();
    expect(await readdir(folder)).toHaveLength(1);
  });

  it.each([
    ['a process that has ended', { pid: 2 ** 22 - 1 }],
    ['another process that has its number now', { start: '1' }],
    ['the time before the machine was started anew', { boot: 'another' }],
  ])('of %s is taken over', async (_, change) => {
    await writeFile(join(folder, 'lock.7'), JSON.stringify({ ...me(), ...change }));
    const lock = await takeLock(folder);
    expect(await readdir(folder)).toEqual(['lock.8']);
    await lock.release();
  });

  it('that was cut off by a crash of the machine is taken over', async () => {
    await writeFile(join(folder, 'lock.7'), '');
    await (await takeLock(folder)).release();
  });

  it('of a live process is not', async () => {
    await writeFile(join(folder, 'lock.7'), JSON.stringify(me()));
    await expect(takeLock(folder)).rejects.toMatchObject(held);
  });

  it('of another container counts while it is renewed', async () => {
    const file = join(folder, 'lock.7');
    await writeFile(file, JSON.stringify({ ...me(), space: 'pid:[1]' }));
    const renewal = setInterval(() => void utimes(file, new Date(), new Date()), 500);
    await expect(takeLock(folder)).rejects.toMatchObject({
      message: expect.stringContaining('in another container'),
    });
    clearInterval(renewal);
    await utimes(file, new Date(0), new Date(0));
    await (await takeLock(folder)).release();
  });

  it('goes to exactly one of many that want it at once, each time', async () => {
    const contender = `
      const { takeLock } = await import(${JSON.stringify(join(import.meta.dirname, 'lock.ts'))});
      process.stdout.write('ready\\n');
      for await (const _ of process.stdin) {
        const got = await takeLock(process.argv[1]).then(() => 'won', (error) => error.name);
        process.stdout.write(got + '\\n');
      }`;
    for (let round = 0; round < 3; round++) {
      const processes = Array.from({ length: 4 }, () => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', contender, folder], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        const lines = child.stdout.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>;
        return { child, lines };
      });
      for (const { lines } of processes) await lines.next();
      for (const { child } of processes) child.stdin.write('go\n');
      const said = await Promise.all(
        processes.map(async ({ lines }) => (await lines.next()).value as string),
      );
      expect(said.map((word) => word.trim()).sort()).toEqual([
        'OperatorError',
        'OperatorError',
        'OperatorError',
        'won',
      ]);
      // Killed while it holds the lock; the next round finds what it left.
      for (const { child } of processes) {
        child.kill('SIGKILL');
        await new Promise((resolve) => child.once('exit', resolve));
      }
    }
  });
});
