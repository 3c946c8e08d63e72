// In charge of: bytes on this machine's disk, also when it is full and when two processes share a folder.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Blobs, NoRoom } from '../src/services/storage/blobs/blobs.ts';
import { openDiskBlobs } from '../src/services/storage/blobs/disk.ts';
import { inPieces, made, tellStoreStories } from './harness/store-stories.ts';

let folder: string;
let blobs: Blobs;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-disk-'));
  blobs = await openDiskBlobs(join(folder, 'files'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('blobs on disk', () => {
  tellStoreStories(() => blobs);

  it('are not touched by another process that opens the folder, nor are drafts that somebody writes', async () => {
    const id = randomUUID();
    const writing = blobs.write(
      id,
      Readable.from(
        (async function* () {
          yield made(1_000_000);
          const stale = join(folder, 'files', 'tmp', randomUUID());
          await writeFile(stale, 'left by a process that was killed');
          const longAgo = new Date(Date.now() - 2 * 3600 * 1000);
          await utimes(stale, longAgo, longAgo);
          const other = await openDiskBlobs(join(folder, 'files'));
          expect(existsSync(stale)).toBe(true);
          expect(await other.removeUnfinished(3600)).toBe(1);
          expect(existsSync(stale)).toBe(false);
          yield made(1_000_000);
        })(),
        { objectMode: false },
      ),
      { maxBytes: 10_000_000 },
    );
    expect(await writing).toMatchObject({ sizeBytes: 2_000_000 });
    expect(await readdir(join(folder, 'files', 'tmp'))).toEqual([]);
  });

  it('get their folder again when somebody has removed it', async () => {
    const id = `${'ab'}cd${randomUUID().slice(4)}`;
    await blobs.write(id, inPieces(made(10)), { maxBytes: 10 });
    await rm(join(folder, 'files', 'ab'), { recursive: true });
    await blobs.write(id, inPieces(made(10)), { maxBytes: 10 });
    expect(await blobs.find(id)).toMatchObject({ sizeBytes: 10 });
  });

  it('are those of our own names in their own places alone', async () => {
    const id = `abcd${randomUUID().slice(4)}`;
    await blobs.write(id, inPieces(made(10)), { maxBytes: 10 });
    await writeFile(join(folder, 'files', 'ab', 'notes.txt'), 'not ours');
    await writeFile(join(folder, 'files', 'ab', randomUUID().replace(/^..../, 'eeee')), 'elsewhere');
    const ids: string[] = [];
    for await (const blob of blobs.list(AbortSignal.timeout(10_000))) ids.push(blob.id);
    expect(ids).toContain(id);
    expect(ids.filter((one) => one.startsWith('eeee') || one.includes('notes'))).toEqual([]);
  });
});

/** A disk of one mebibyte, where this user may make one. */
function smallDisk(): string | undefined {
  const at = join(tmpdir(), `mr-small-${randomUUID()}`);
  try {
    execFileSync('mkdir', [at]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at], { stdio: 'ignore' });
    return at;
  } catch {
    return undefined;
  }
}

describe('a full disk', () => {
  const disk = smallDisk();
  afterAll(() => {
    if (disk !== undefined) execFileSync('umount', [disk]);
  });

  it.skipIf(disk === undefined)('is said as such, and keeps nothing of what came', async () => {
    const small = await openDiskBlobs(join(disk!, 'files'));
    const kept = randomUUID();
    await small.write(kept, inPieces(made(500_000)), { maxBytes: 500_000 });
    const id = randomUUID();
    await expect(small.write(id, inPieces(made(900_000)), { maxBytes: 900_000 })).rejects.toThrow(NoRoom);
    expect(await small.find(id)).toBeUndefined();
    expect(await readdir(join(disk!, 'files', 'tmp'))).toEqual([]);
    expect(await small.find(kept)).toMatchObject({ sizeBytes: 500_000 });
    await small.write(id, inPieces(made(100_000)), { maxBytes: 900_000 });
  });
});
