// In charge of: blobs as files on this machine's disk. A file is written beside, synced, and renamed: at every moment it is whole or not there.
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { constants, copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errorCode } from '../../../base/errors.ts';
import { FileBytes } from '../../../base/file-bytes.ts';
import {
  type BlobFacts,
  BlobMissing,
  type Blobs,
  blobIdPattern,
  NoRoom,
  type WriteOptions,
} from './blobs.ts';
import { countedBytes } from './counted.ts';

const chunkBytes = 256 * 1024;

/**
 * `folder/ab/<id>`: 256 folders, so that a million blobs are some 4,000 in each, and each is made and synced once. `folder/tmp` holds what is being written, by this
 * process and by others that share the folder, and what a killed one has left.
 */
export async function openDiskBlobs(folder: string): Promise<Blobs> {
  const drafts = join(folder, 'tmp');
  await mkdir(drafts, { recursive: true, mode: 0o700 });
  await syncFile(dirname(folder));
  await syncFile(folder);
  /** Folders that are there, so that they are made and synced once. */
  const made = new Set<string>();

  async function makePlaceFor(id: string): Promise<string> {
    const place = pathOf(folder, id);
    const inner = dirname(place);
    if (!made.has(inner)) {
      await mkdir(inner, { recursive: true, mode: 0o700 });
      await syncFile(folder);
      made.add(inner);
    }
    return place;
  }

  /** Somebody may have removed a folder that is empty since: then it is made once more. */
  async function put(id: string, take: (place: string) => Promise<void>): Promise<void> {
    const place = await makePlaceFor(id);
    try {
      await take(place);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      made.delete(dirname(place));
      await makePlaceFor(id);
      await take(place);
    }
    await syncFile(dirname(place));
  }

  /** `fill` writes a file of that name; then it is synced and gets its place. */
  async function keep<T>(id: string, fill: (draft: string) => Promise<T>): Promise<T> {
    const draft = join(drafts, randomUUID());
    try {
      const result = await fill(draft);
      await put(id, (place) => rename(draft, place));
      return result;
    } catch (error) {
      await rm(draft, { force: true });
      throw asNoRoom(error);
    }
  }

  async function write(id: string, body: Readable, options: WriteOptions) {
    return keep(id, async (draft) => {
      const { signal } = options;
      const counted = countedBytes(options);
      // `flush`: synced before it is closed.
      const file = createWriteStream(draft, { mode: 0o600, flush: true, highWaterMark: chunkBytes });
      await pipeline(body, counted.stream, file, signal ? { signal } : {});
      return counted.written();
    });
  }

  async function copy(from: string, to: string): Promise<void> {
    const source = pathOf(folder, from);
    await stat(source).catch(missing(from));
    try {
      // A blob never changes, so two names of one file are two blobs.
      await put(to, (place) => link(source, place));
    } catch (error) {
      // A file system without hard links, one that has too many of this file, or a file that is gone by now.
      if (!noLink.has(errorCode(error) ?? '')) throw asNoRoom(error);
      await keep(to, async (draft) => {
        await copyFile(source, draft, constants.COPYFILE_FICLONE).catch(missing(from));
        await syncFile(draft);
      });
    }
  }

  return {
    write,
    async read(id, range) {
      const handle = await open(pathOf(folder, id), 'r').catch(missing(id));
      return new FileBytes(handle, range?.from, range?.to);
    },
    async find(id) {
      try {
        return factsOf(id, await stat(pathOf(folder, id)));
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    copy,
    async join(parts, to, signal) {
      const [first] = parts;
      if (parts.length === 1 && first !== undefined) {
        await copy(first, to);
        return { sizeBytes: (await stat(pathOf(folder, to))).size };
      }
      const { sizeBytes } = await write(to, Readable.from(bytesOf(folder, parts), { objectMode: false }), {
        maxBytes: Number.POSITIVE_INFINITY,
        undigested: true,
        ...(signal && { signal }),
      });
      return { sizeBytes };
    },
    async remove(ids) {
      for (const id of ids.filter((one) => blobIdPattern.test(one)))
        await rm(pathOf(folder, id), { force: true });
    },
    async *list(signal) {
      for (const inner of await foldersIn(folder)) {
        for (const id of (await readdir(join(folder, inner))).sort()) {
          signal.throwIfAborted();
          // What lies elsewhere than a blob of that name would is none.
          if (!blobIdPattern.test(id) || !id.startsWith(inner)) continue;
          const found = await stat(join(folder, inner, id)).catch(() => undefined);
          if (found?.isFile()) yield factsOf(id, found);
        }
      }
    },
    removeUnfinished: (stillForSeconds) => removeLeftDrafts(drafts, stillForSeconds),
    async close() {},
  };
}

async function* bytesOf(folder: string, parts: readonly string[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    const handle = await open(pathOf(folder, part), 'r').catch(missing(part));
    yield* createReadStream('', { fd: handle, highWaterMark: chunkBytes });
  }
}

/** Ids are ours; one that is not, from a row that somebody wrote by hand, is no blob. */
function pathOf(folder: string, id: string): string {
  if (!blobIdPattern.test(id)) throw new BlobMissing(id);
  return join(folder, id.slice(0, 2), id);
}

function missing(id: string) {
  return (error: unknown): never => {
    if (errorCode(error) === 'ENOENT') throw new BlobMissing(id, error);
    throw error;
  };
}

/** A copy is another name of the same file: the time of its last change is when it got that, which the time of writing is not. */
function factsOf(id: string, found: { readonly size: number; readonly ctime: Date }): BlobFacts {
  return { id, sizeBytes: found.size, writtenAt: found.ctime };
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && entry.name.length === 2)
    .map(({ name }) => name)
    .sort();
}

/** What no write has touched for so long nobody writes any more: a client that sends nothing is cut off long before. */
async function removeLeftDrafts(drafts: string, stillForSeconds: number): Promise<number> {
  const before = Date.now() - stillForSeconds * 1000;
  let removed = 0;
  for (const name of await readdir(drafts)) {
    const path = join(drafts, name);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || found.mtimeMs > before) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}

const asNoRoom = (error: unknown) => (noRoom.has(errorCode(error) ?? '') ? new NoRoom(error) : error);
const noRoom: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);
const noLink: ReadonlySet<string> = new Set([
  'EMLINK',
  'EPERM',
  'EXDEV',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'ENOENT',
]);

/** Also a folder: what it lists is then on the disk. */
async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
