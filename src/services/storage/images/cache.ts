// In charge of: images that were made before, as files in this process's state folder, bounded in bytes. They are named by the version of the object
// that they were made of, so that none outlives it: a new version has another name, and one that is let go of takes its images along.
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { errorCode } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { keyIdIn } from '../blobs/sealed-id.ts';
import type { MadeImage } from './transform.ts';

export interface KeptImage {
  readonly stream: Readable;
  readonly sizeBytes: number;
  readonly contentType: string;
}

export interface ImageCache {
  /** Undefined: it has to be made. `order` says what was made of the version. */
  find(version: string, order: string): Promise<KeptImage | undefined>;
  /** Keeps it if there is room; what cannot be kept is made again the next time. */
  keep(version: string, order: string, image: MadeImage): Promise<void>;
  /** Whatever was made of these versions goes. */
  forget(versions: readonly string[]): Promise<void>;
  /** Of which something is kept. */
  versions(): Promise<readonly string[]>;
}

export interface ImageCacheOptions {
  readonly folder: string;
  readonly maxBytes: () => number;
  readonly observe: Observe;
}

interface Entry {
  readonly version: string;
  readonly file: string;
  readonly sizeBytes: number;
}

/** However small they are: each takes some memory here and a file on the disk. */
const maxEntries = 100_000;

export function openImageCache({ folder, maxBytes, observe }: ImageCacheOptions): ImageCache {
  /** By version and order; that which was asked for last is last. */
  const entries = new Map<string, Entry>();
  let sumBytes = 0;
  let opened: Promise<void> | undefined;

  /** What an earlier process kept; read with the first image, so that no start waits for it. */
  function ready(): Promise<void> {
    opened ??= readAll().catch((error: unknown) => {
      observe({ kind: 'storage.image_cache_failed', level: 'warn', folder, error });
    });
    return opened;
  }

  async function readAll(): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const found: (Entry & { readonly writtenAt: number; readonly id: string })[] = [];
    for (const version of await readdir(folder)) {
      // Something else that lies there, or a folder that is forgotten just now.
      const files = await readdir(join(folder, version)).catch(() => []);
      for (const file of files) {
        const [name, size] = file.split('.');
        const path = join(folder, version, file);
        const facts = await stat(path).catch(() => undefined);
        if (facts === undefined) continue;
        const { size: sizeBytes, mtimeMs } = facts;
        // A crash of the machine may leave a file shorter than it says it is.
        if (String(sizeBytes) !== size) await rm(path, { force: true });
        else found.push({ version, file, sizeBytes, writtenAt: mtimeMs, id: `${version}/${name}` });
      }
    }
    found.sort((a, b) => a.writtenAt - b.writtenAt);
    for (const { id, version, file, sizeBytes } of found) add(id, { version, file, sizeBytes });
    await makeRoom(0);
  }

  function add(id: string, entry: Entry): void {
    drop(id);
    entries.set(id, entry);
    sumBytes += entry.sizeBytes;
  }

  function drop(id: string): Entry | undefined {
    const entry = entries.get(id);
    if (entry !== undefined) {
      entries.delete(id);
      sumBytes -= entry.sizeBytes;
    }
    return entry;
  }

  async function makeRoom(moreBytes: number): Promise<void> {
    for (const [id, { version, file }] of entries) {
      if (sumBytes + moreBytes <= maxBytes() && entries.size < maxEntries) return;
      drop(id);
      await rm(join(folder, version, file), { force: true });
    }
  }

  return {
    async find(version, order) {
      await ready();
      const id = idOf(version, order);
      const entry = entries.get(id);
      if (entry === undefined) return undefined;
      try {
        const handle = await open(join(folder, version, entry.file), 'r');
        add(id, entry);
        return {
          stream: createReadStream('', { fd: handle }),
          sizeBytes: entry.sizeBytes,
          contentType: typeOf(entry.file),
        };
      } catch {
        // Somebody has tidied up there: it is made again.
        drop(id);
        return undefined;
      }
    },
    async keep(version, order, { bytes, contentType }) {
      if (bytes.length > maxBytes() || !versionPattern.test(version)) return;
      // What is encrypted where it is kept does not lie here as it is.
      if (keyIdIn(version) !== undefined) return;
      await ready();
      const id = idOf(version, order);
      const file = `${nameOf(order)}.${bytes.length}.${contentType.replace('image/', '')}`;
      const draft = join(folder, version, `${randomUUID()}.draft`);
      try {
        await makeRoom(bytes.length);
        await mkdir(join(folder, version), { recursive: true, mode: 0o700 });
        await writeFile(draft, bytes, { mode: 0o600 });
        await rename(draft, join(folder, version, file));
        add(id, { version, file, sizeBytes: bytes.length });
      } catch (error) {
        await rm(draft, { force: true });
        observe({ kind: 'storage.image_cache_failed', level: 'warn', folder, error });
      }
    },
    async forget(versions) {
      const gone = new Set(versions.filter((version) => versionPattern.test(version)));
      for (const [id, { version }] of opened === undefined ? [] : entries) {
        if (gone.has(version)) drop(id);
      }
      for (const version of gone) await rm(join(folder, version), { recursive: true, force: true });
    },
    async versions() {
      if (opened !== undefined) {
        await opened;
        return [...new Set([...entries.values()].map(({ version }) => version))];
      }
      // Nobody has asked for an image yet: the names of the folders say it, and no file of theirs is looked at.
      return readdir(folder).catch((error: unknown) => {
        if (errorCode(error) === 'ENOENT') return [];
        throw error;
      });
    },
  };
}

/** Ours are; one that somebody wrote into a row by hand becomes no path. */
const versionPattern = /^[0-9a-z][0-9a-z-]{7,99}$/;

const nameOf = (order: string) => createHash('sha256').update(order).digest('hex').slice(0, 32);
const idOf = (version: string, order: string) => `${version}/${nameOf(order)}`;
const typeOf = (file: string) => `image/${file.slice(file.lastIndexOf('.') + 1)}`;
