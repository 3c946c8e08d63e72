// In charge of: the extensions that come with PGlite: unpacked once into a folder of this machine, and found there by the engine.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, sep } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readArchive } from '../extensions/tar.ts';
import { withSharedMemory } from './image.ts';

/** Packages that carry one more extension each. They name the version of PGlite that they were built for. */
const extensionPackages = ['@electric-sql/pglite-pgvector', '@electric-sql/pglite-postgis'];

/** The folder `dist` of an installed package. */
export function distOf(packageName: string): string {
  const require = createRequire(import.meta.url);
  return dirname(require.resolve(packageName));
}

/**
 * Unpacks what is not unpacked yet, and gives the folder: `share/…` and `lib/…` as the engine has them below `/pglite`.
 * Whole or not at all: it is made beside and renamed, so that two that start at once do not meet.
 */
export async function openBundles(cacheFolder: string, version: string): Promise<string> {
  const folder = join(cacheFolder, `pglite-${version}`);
  if (existsSync(folder)) return folder;
  const draft = join(cacheFolder, `lock.${randomUUID()}.new`);
  await mkdir(draft, { recursive: true, mode: 0o755 });
  try {
    for (const bundle of await bundleFiles()) {
      for (const { path, bytes } of readArchive(gunzipSync(await readFile(bundle)))) {
        const target = join(draft, path);
        // What begins with a dot is what macOS keeps beside a file.
        if (basename(path).startsWith('.') || !target.startsWith(draft + sep)) continue;
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, isLibrary(path) ? withSharedMemory(bytes) : bytes);
      }
    }
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

export function isLibrary(name: string): boolean {
  return name.endsWith('.so');
}

async function bundleFiles(): Promise<readonly string[]> {
  const own = distOf('@electric-sql/pglite');
  const folders = [own, ...extensionPackages.map(distOf)];
  const files = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(folder)).filter((name) => name.endsWith('.tar.gz')).map((name) => join(folder, name)),
    ),
  );
  return files.flat();
}
