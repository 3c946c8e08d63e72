// In charge of: blobs as files on this machine's disk. A file is written beside, synced, and renamed: at every moment it is whole or not there.
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { constants, copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errorCode } from '../../../base/errors.ts';
import { type BlobFacts, BlobMissing, type Blobs, type WriteOptions } from './blobs.ts';
import { countedBytes } from './counted.ts';

/** Small enough that a thousand downloads at once fit, big enough that the disk is not asked for each page. */
const chunkBytes = 64 * 1024;

/**
 * `folder/ab/cd/<id>`: two levels of 256 folders, so that a million blobs are some 15 in each. `folder/tmp` holds what is being written;
 * what a killed process left there is removed when it is opened.
 */
export async function openDiskBlobs(folder: string): Promise<Blobs> {
  const drafts = join(folder, 'tmp');
  await rm(drafts, { recursive: true, force: true });
  await mkdir(drafts, { recursive: true, mode: 0o700 });
  /** Folders that are there, so that they are made and synced once. */
  const made = new Set<string>();

  async function placeFor(id: string): Promise<string> {
    const place = pathOf(folder, id);
    const outer = join(folder, id.slice(0, 2));
    const inner = join(outer, id.slice(2, 4));
    if (!made.has(inner)) {
      await mkdir(inner, { recursive: true, mode: 0o700 });
      await syncFolder(outer);
      await syncFolder(folder);
      made.add(inner);
    }
    return place;
  }

  /** `fill` writes a file of that name; then it is synced and gets its place. */
  async function keep<T>(id: string, fill: (draft: string) => Promise<T>): Promise<T> {
    const draft = join(drafts, randomUUID());
    try {
      const result = await fill(draft);
      const place = await placeFor(id);
      await rename(draft, place);
      await syncFolder(join(folder, id.slice(0, 2), id.slice(2, 4)));
      return result;
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  async function write(id: string, body: Readable, { maxBytes, signal }: WriteOptions) {
    return keep(id, async (draft) => {
      const counted = countedBytes(maxBytes);
      // `flush`: synced before it is closed.
      const file = createWriteStream(draft, { mode: 0o600, flush: true, highWaterMark: chunkBytes * 4 });
      await pipeline(body, counted.stream, file, signal ? { signal } : {});
      return counted.written();
    });
  }

  return {
    write,
    async read(id, range) {
      const handle = await open(pathOf(folder, id), 'r').catch(missing(id));
      return createReadStream('', {
        fd: handle,
        highWaterMark: chunkBytes,
        ...(range && { start: range.from, end: range.to }),
      });
    },
    async find(id) {
      try {
        return factsOf(id, await stat(pathOf(folder, id)));
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    async copy(from, to) {
      const source = pathOf(folder, from);
      const place = await placeFor(to);
      try {
        // A blob never changes, so two names of one file are two blobs.
        await link(source, place);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') throw new BlobMissing(from, error);
        await keep(to, async (draft) => {
          await copyFile(source, draft, constants.COPYFILE_FICLONE).catch(missing(from));
          await syncFile(draft);
        });
        return;
      }
      await syncFolder(join(folder, to.slice(0, 2), to.slice(2, 4)));
    },
    async join(parts, to, signal) {
      return write(to, Readable.from(bytesOf(folder, parts), { objectMode: false }), {
        maxBytes: Number.POSITIVE_INFINITY,
        ...(signal && { signal }),
      });
    },
    async remove(ids) {
      for (const id of ids) await rm(pathOf(folder, id), { force: true });
    },
    async *list(signal) {
      for (const outer of await foldersIn(folder)) {
        for (const inner of await foldersIn(join(folder, outer))) {
          for (const id of await readdir(join(folder, outer, inner))) {
            signal.throwIfAborted();
            const found = await stat(join(folder, outer, inner, id)).catch(() => undefined);
            if (found?.isFile()) yield factsOf(id, found);
          }
        }
      }
    },
    async close() {},
  };
}

async function* bytesOf(folder: string, parts: readonly string[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    const handle = await open(pathOf(folder, part), 'r').catch(missing(part));
    yield* createReadStream('', { fd: handle, highWaterMark: chunkBytes * 4 });
  }
}

const idPattern = /^[0-9a-z][0-9a-z-]{7,99}$/;

/** Ids are ours; one that is not, from a row that somebody wrote by hand, is no blob. */
function pathOf(folder: string, id: string): string {
  if (!idPattern.test(id)) throw new BlobMissing(id);
  return join(folder, id.slice(0, 2), id.slice(2, 4), id);
}

function missing(id: string) {
  return (error: unknown): never => {
    if (errorCode(error) === 'ENOENT') throw new BlobMissing(id, error);
    throw error;
  };
}

function factsOf(id: string, found: { readonly size: number; readonly mtime: Date }): BlobFacts {
  return { id, sizeBytes: found.size, writtenAt: found.mtime };
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && entry.name.length === 2).map(({ name }) => name);
}

async function syncFolder(folder: string): Promise<void> {
  await syncFile(folder);
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
