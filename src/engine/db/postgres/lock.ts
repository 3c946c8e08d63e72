// In charge of: one Millrace per state folder. A lock that was left behind by kill -9 is recognised and taken over; of two that start at once exactly one wins.
import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { delay } from '../../../base/time.ts';
import { bootId, processSpace, processStart } from './process.ts';

export interface Lock {
  /** After this another may start. Safe to call twice. */
  release(): Promise<void>;
}

/** Who holds a lock; a number alone could be a later process's. */
interface Holder {
  readonly pid: number;
  readonly start: string;
  readonly boot: string;
  readonly space: string;
  readonly token: string;
  readonly released?: boolean;
}

/** The holder renews its lock this often, for those that cannot see its process: another container on the same volume. */
const renewEveryMs = 2_000;
const unseenHolderGoneAfterMs = 6_000;
const maxTries = 100;

/**
 * Takes the lock of a folder.
 *
 * Locks are numbered files, `lock.7`, and the highest number counts. A file is made whole and at once by `link`, so of
 * two that take over number 7 only one makes number 8. Numbers never go back: a released lock stays, marked so, until
 * the next is made; a taker that was asleep meanwhile makes a low number, sees a higher one, and withdraws.
 * @throws OperatorError with the other's process number when it is held.
 */
export async function takeLock(folder: string, signal?: AbortSignal): Promise<Lock> {
  const mine: Holder = {
    pid: process.pid,
    start: processStart(process.pid) ?? '',
    boot: bootId(),
    space: processSpace(),
    token: randomUUID(),
  };
  const draft = join(folder, `lock.${mine.token}.new`);
  await writeFile(draft, JSON.stringify(mine), { mode: 0o644 });
  try {
    for (let tries = 0; tries < maxTries; tries++) {
      signal?.throwIfAborted();
      const last = Math.max(0, ...(await numbersIn(folder)));
      if (last > 0) await refuseWhileHeld(folder, last, signal);
      const file = join(folder, `lock.${last + 1}`);
      try {
        await link(draft, file);
      } catch (error) {
        if (errorCode(error) === 'EEXIST') continue;
        throw error;
      }
      const numbers = await numbersIn(folder);
      if (Math.max(...numbers) > last + 1) {
        await rm(file, { force: true });
        continue;
      }
      for (const number of numbers)
        if (number <= last) await rm(join(folder, `lock.${number}`), { force: true });
      return hold(folder, file, mine);
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw new OperatorError(
    `The lock in "${folder}" changed hands ${maxTries} times while this start tried to take it.`,
    'Start only one.',
  );
}

/** The living process that holds the lock of a folder, for `stop`; undefined when none does, or none that this machine can see. */
export async function findHolder(
  folder: string,
): Promise<{ readonly pid: number; readonly start: string } | undefined> {
  const last = Math.max(0, ...(await numbersIn(folder).catch(() => [])));
  const holder = last === 0 ? undefined : await readHolder(join(folder, `lock.${last}`));
  return holder !== undefined && holder.released !== true && judge(holder) === 'alive' ? holder : undefined;
}

function hold(folder: string, file: string, mine: Holder): Lock {
  const renewal = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => {
      // The folder is gone or read-only; a process that can see ours still knows that it runs.
    });
  }, renewEveryMs);
  renewal.unref();
  let released: Promise<void> | undefined;
  return {
    release() {
      clearInterval(renewal);
      released ??= (async () => {
        const draft = join(folder, `lock.${mine.token}.new`);
        try {
          await writeFile(draft, JSON.stringify({ ...mine, released: true }), { mode: 0o644 });
          await rename(draft, file);
        } catch {
          // A full disk or a folder that somebody removed: our end releases the lock as well.
          await rm(draft, { force: true }).catch(() => {});
        }
      })();
      return released;
    },
  };
}

/** Returns when the lock is free to take over. */
async function refuseWhileHeld(
  folder: string,
  number: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = join(folder, `lock.${number}`);
  for (;;) {
    const holder = await readHolder(file);
    if (holder === undefined || holder.released === true) return;
    const verdict = judge(holder);
    if (verdict === 'gone') return;
    if (verdict === 'alive') throw alreadyRunning(folder, holder, '');
    const renewedAt = await stat(file).then(
      (s) => s.mtimeMs,
      () => 0,
    );
    if (Date.now() - renewedAt > unseenHolderGoneAfterMs) return;
    // Seen young: either it is renewed under our eyes, or it grows old.
    await delay(renewEveryMs * 1.5, signal);
    const again = await stat(file).then(
      (s) => s.mtimeMs,
      () => 0,
    );
    if (again > renewedAt) throw alreadyRunning(folder, holder, ' in another container');
  }
}

function judge(holder: Holder): 'alive' | 'gone' | 'unseen' {
  if (holder.boot !== bootId()) return 'gone';
  if (holder.space !== processSpace()) return 'unseen';
  const start = processStart(holder.pid);
  return start !== undefined && start === holder.start ? 'alive' : 'gone';
}

function alreadyRunning(folder: string, holder: Holder, where: string): OperatorError {
  return new OperatorError(
    `Millrace already runs on the data in "${folder}", as process ${holder.pid}${where}.`,
    holder.pid === process.pid
      ? 'Close the first before opening a second.'
      : `Stop it first (millrace stop, or kill ${holder.pid}), or give this one other data with --data DIR.`,
  );
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
    return typeof parsed === 'object' && parsed !== null && 'pid' in parsed ? (parsed as Holder) : undefined;
  } catch (error) {
    if (errorCode(error) === 'EACCES') {
      throw new OperatorError(
        `The lock "${file}" belongs to another user.`,
        'Start as the user that started it before.',
        error,
      );
    }
    return undefined;
  }
}

async function numbersIn(folder: string): Promise<readonly number[]> {
  return (await readdir(folder)).flatMap((name) => {
    const number = /^lock\.(\d{1,15})$/.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
}
