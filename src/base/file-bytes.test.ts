// In charge of: that a file's bytes are whole and in order whichever way they are taken, and that its descriptor is closed at every end.
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, open, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileBytes } from './file-bytes.ts';

const sizes = [0, 1, 65_535, 65_536, 65_537, 1_000_000];
let folder = '';
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'mr-file-bytes-')));
});
afterAll(() => rm(folder, { recursive: true }));

async function makeFile(sizeBytes: number) {
  const path = join(folder, `f-${sizeBytes}`);
  const content = randomBytes(sizeBytes);
  await writeFile(path, content);
  return { path, content };
}

/** Descriptors of this process that are open on that file. */
const openOn = (path: string) =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;

/** Takes each chunk slowly, and looks at it only when the next has been read. */
async function lent(bytes: FileBytes): Promise<Buffer> {
  const taken: Buffer[] = [];
  await bytes.lendTo(async (chunk) => {
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    taken.push(Buffer.from(chunk));
  });
  return Buffer.concat(taken);
}

describe.each(sizes)('a file of %d bytes', (sizeBytes) => {
  it('is read whole and in ranges, as a stream and lent', async () => {
    const { path, content } = await makeFile(sizeBytes);
    const ranges: [number, number][] = [
      [0, sizeBytes - 1],
      [1, sizeBytes - 1],
      [0, Math.floor(sizeBytes / 2)],
      [Math.floor(sizeBytes / 3), Math.floor((sizeBytes * 2) / 3)],
      [sizeBytes - 1, sizeBytes - 1],
    ];
    for (const read of [buffer, lent]) {
      expect((await read(new FileBytes(await open(path)))).equals(content)).toBe(true);
      for (const [from, to] of ranges.filter(([start, end]) => start >= 0 && start <= end)) {
        const found = await read(new FileBytes(await open(path), from, to));
        expect(found.equals(content.subarray(from, to + 1))).toBe(true);
      }
    }
    await expect.poll(() => openOn(path)).toBe(0);
  });
});

it('lends all of its chunks out of two pieces of memory', async () => {
  const { path } = await makeFile(1_000_000);
  const memories = new Set<ArrayBufferLike>();
  await new FileBytes(await open(path)).lendTo(async (chunk) => void memories.add(chunk.buffer));
  expect(memories.size).toBe(2);
});

it('is closed when who takes its bytes fails, and fails with the same', async () => {
  const { path } = await makeFile(1_000_000);
  const refused = new FileBytes(await open(path)).lendTo(() => Promise.reject(new Error('no more')));
  await expect(refused).rejects.toThrow('no more');
  await expect.poll(() => openOn(path)).toBe(0);
});

it('is closed when it is destroyed in the middle, also while it is read from', async () => {
  const { path } = await makeFile(1_000_000);
  const bytes = new FileBytes(await open(path));
  const over = bytes.lendTo(async () => void bytes.destroy());
  await expect(over).rejects.toThrow('the file was let go of while it was read');
  const stream = new FileBytes(await open(path));
  stream.once('data', () => stream.destroy());
  const untouched = new FileBytes(await open(path));
  untouched.destroy();
  await expect.poll(() => openOn(path)).toBe(0);
});

it('fails with what the system says', async () => {
  await expect(lent(new FileBytes(await open(folder)))).rejects.toMatchObject({ code: 'EISDIR' });
  await expect(buffer(new FileBytes(await open(folder)))).rejects.toMatchObject({ code: 'EISDIR' });
});
