// In charge of: a checkout of somebody's project: where its `supabase/` folders are, which files are its code, and a copy to run.
import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';

export interface ProjectCopy extends AsyncDisposable {
  /** The folder that holds `supabase/`. */
  readonly folder: string;
}

/** Folders with a `supabase/config.toml` or `supabase/migrations`, from the root's; relative, `.` for the root. */
export async function findProjects(root: string): Promise<readonly string[]> {
  const folders: string[] = [];
  for await (const folder of foldersBelow(root)) {
    const supabase = join(folder, 'supabase');
    if ((await exists(join(supabase, 'config.toml'))) || (await exists(join(supabase, 'migrations'))))
      folders.push(relative(root, folder) || '.');
  }
  return folders.sort();
}

/** A copy of a project's folder in a place of its own, without what is installed or built; removed by `await using`. */
export async function copyProject(root: string, folder: string): Promise<ProjectCopy> {
  const outer = await mkdtemp(join(tmpdir(), 'mr-real-'));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(outer, 0o755);
  const to = join(outer, 'project');
  const from = resolve(root, folder);
  await cp(from, to, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => !passedOver.has(basename(source)) && basename(source) !== '.millrace',
  });
  return { folder: to, [Symbol.asyncDispose]: () => rm(outer, { recursive: true, force: true }) };
}

/** The project's code, from the checkout's root. Declarations, minified files and files that no person wrote are left out. */
export async function findCode(root: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const folder of foldersBelow(root)) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const isCode =
        /\.(?:[cm]?[jt]sx?|vue|svelte)$/.test(entry.name) && !/\.d\.ts$|\.min\.js$/.test(entry.name);
      if (!entry.isFile() || !isCode) continue;
      const path = join(folder, entry.name);
      if ((await stat(path)).size <= maxFileBytes) files.push(relative(root, path));
    }
  }
  return files.sort();
}

/** The commit of a checkout that has its history; an exported one has to be told. */
export async function commitOf(root: string): Promise<string | undefined> {
  if (!(await exists(join(root, '.git')))) return undefined;
  const { stdout } = await promisify(execFile)('git', ['-C', root, 'rev-parse', 'HEAD']);
  return stdout.trim();
}

export async function countSqlFiles(folder: string): Promise<number> {
  const entries = await readdir(join(folder, 'supabase', 'migrations')).catch(() => []);
  return entries.filter((name) => /^\d+_.*\.sql$/.test(name)).length;
}

/** What `@/…` and `~/…` mean, most often. */
export const aliasFolders = ['', 'src'];

export async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

async function* foldersBelow(root: string): AsyncGenerator<string> {
  const waiting = [root];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    yield folder;
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (entry.isDirectory() && !passedOver.has(entry.name)) waiting.push(join(folder, entry.name));
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

const maxFileBytes = 2 << 20;
const passedOver = new Set([
  'node_modules',
  '.git',
  'dist',
  'build',
  '.next',
  '.nuxt',
  '.output',
  '.vercel',
  '.millrace',
  '.temp',
  '.branches',
]);

/** Its name in reports: that of the folder. */
export function nameOf(root: string): string {
  return basename(resolve(root)) || basename(dirname(resolve(root)));
}
