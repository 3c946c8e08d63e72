// In charge of: where the temporary files of a test run are: in memory where there is room, for a run makes and removes a few hundred databases
// of 1,350 files each.
import { chmod, mkdtemp, readdir, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from '../../src/engine/db/postgres/process.ts';

/** What a run may need at its peak is a quarter of it. */
const neededBytes = 4 * 1024 ** 3;
const memoryDisk = '/dev/shm';

/** A new folder, which is also the `tmpdir()` of every process of this run that is started later. */
export async function openTestFolder(): Promise<string> {
  const place = (await hasRoomInMemory()) ? memoryDisk : tmpdir();
  await removeAbandoned(place);
  const folder = await mkdtemp(join(place, `mr-test-${process.pid}-`));
  // As /tmp is: root's Postgres runs as another user, who has to get through.
  await chmod(folder, 0o1777);
  process.env.TMPDIR = folder;
  return folder;
}

/** What runs left that were killed. A Postgres of theirs that still runs ends by itself once its files have gone. */
async function removeAbandoned(place: string): Promise<void> {
  for (const name of await readdir(place)) {
    const [, pid] = name.match(/^mr-test-(\d+)-/) ?? [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    // What cannot be removed, such as a disk that a killed test has left mounted, is in nobody's way.
    await rm(join(place, name), { recursive: true, force: true }).catch(() => {});
  }
}

async function hasRoomInMemory(): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const mounts = await readFile('/proc/mounts', 'utf8');
  const mount = mounts.split('\n').find((line) => line.split(' ')[1] === memoryDisk);
  // A container's may be small, and run no program: Postgres's are copied where its user does not reach them.
  if (mount === undefined || mount.split(' ')[3]!.split(',').includes('noexec')) return false;
  const { bavail, bsize } = await statfs(memoryDisk);
  return bavail * bsize > neededBytes && process.availableMemory() > neededBytes;
}
