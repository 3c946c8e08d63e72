// In charge of: the SQL files of a project: migrations, roles.sql, seeds. Which names count, and in what order.
import { readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, posix } from 'node:path';
import { errorCode, OperatorError } from '../../base/errors.ts';
import type { ProjectConfig } from './config.ts';
import { isSection } from './config-values.ts';
import { isEncrypted } from './dotenvx.ts';
import { isPattern, matchName } from './glob.ts';

/** A file of SQL. `path` is as the Supabase CLI records it: from the project's folder, with `/`. */
export interface SqlFile {
  readonly path: string;
  readonly read: () => Promise<Buffer>;
}

export interface MigrationFile extends SqlFile {
  /** The digits before the first `_`, as they stand: the history's key. */
  readonly version: string;
  readonly name: string;
}

export interface ProjectFiles {
  /** In the order in which they are applied. Empty when `[db.migrations].enabled` is false. */
  readonly migrations: readonly MigrationFile[];
  readonly roles: SqlFile | undefined;
  /** In order, none twice. Empty when `[db.seed].enabled` is false. */
  readonly seeds: readonly SqlFile[];
  /** The declarative schema, `[db.migrations].schema_paths`, in order, none twice. It is compared, never applied to the project's database. */
  readonly declared: readonly SqlFile[];
  readonly vault: readonly { readonly name: string; readonly value: string }[];
  /** Sentences to be said once: files that are passed over, patterns that match nothing. */
  readonly notices: readonly string[];
}

/**
 * The SQL files of a project, as the CLI finds them.
 * @throws OperatorError when a folder cannot be read, or a setting is not what it must be.
 */
export async function loadProjectFiles(config: ProjectConfig): Promise<ProjectFiles> {
  const notices: string[] = [];
  const migrate = switchOf(config, 'db.migrations.enabled');
  const seed = switchOf(config, 'db.seed.enabled');
  return {
    migrations: migrate ? await findMigrations(config.project, notices) : [],
    roles: await findRoles(config.project),
    seeds: seed ? await findListed(config.project, seedList, patternsOf(config, seedList), notices) : [],
    declared: await findListed(config.project, schemaList, patternsOf(config, schemaList), notices),
    vault: vaultSecrets(config, notices),
    notices,
  };
}

/**
 * `supabase/migrations/<digits>_<name>.sql`, ordered by the digits as text. Other names and folders in it are passed over, and
 * so is a `<timestamp>_init.sql` of before December 2021 when it is the first: early CLIs wrote the platform's own schema into it.
 * Source: supabase/cli apps/cli-go/pkg/migration/list.go.
 */
async function findMigrations(project: string, notices: string[]): Promise<readonly MigrationFile[]> {
  const folder = 'supabase/migrations';
  const entries = await readFolder(join(project, folder), folder);
  const files: MigrationFile[] = [];
  for (const [at, entry] of entries.entries()) {
    if (entry.isFolder) continue;
    if (at === 0 && isOldInit(entry.name)) {
      notices.push(
        `"${folder}/${entry.name}" is passed over: replace "init" by another name to have it applied.`,
      );
      continue;
    }
    const match = /^([0-9]+)_(.*)\.sql$/.exec(entry.name);
    if (match === null) {
      notices.push(`"${folder}/${entry.name}" is passed over: a migration is called <timestamp>_<name>.sql.`);
      continue;
    }
    files.push({ ...sqlFile(project, `${folder}/${entry.name}`), version: match[1]!, name: match[2]! });
  }
  return files.sort((a, b) => (a.version < b.version ? -1 : a.version > b.version ? 1 : 0));
}

function isOldInit(name: string): boolean {
  const version = /([0-9]{14})_init\.sql/.exec(name)?.[1];
  return version !== undefined && Number(version) < firstTrueInit;
}

async function findRoles(project: string): Promise<SqlFile | undefined> {
  const path = 'supabase/roles.sql';
  return (await kindOf(join(project, path))) === 'file' ? sqlFile(project, path) : undefined;
}

/** A setting that names files by patterns, from the folder `supabase/` unless absolute. */
interface FileList {
  readonly key: string;
  /** As people write it. */
  readonly shown: string;
  readonly otherwise: readonly string[];
}

const seedList: FileList = {
  key: 'db.seed.sql_paths',
  shown: '[db.seed].sql_paths',
  otherwise: ['./seed.sql'],
};
const schemaList: FileList = {
  key: 'db.migrations.schema_paths',
  shown: '[db.migrations].schema_paths',
  otherwise: [],
};

/** @throws OperatorError when it is no list of texts. */
function patternsOf(config: ProjectConfig, { key, otherwise }: FileList): readonly string[] {
  const value = config.value(key) ?? otherwise;
  const list: readonly unknown[] | undefined =
    typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : undefined;
  const wrong = list?.find((path) => typeof path !== 'string') ?? (list === undefined ? value : undefined);
  if (list === undefined || wrong !== undefined)
    throw wrongValue(config, key, wrong, 'a list of patterns, ["./a.sql"]');
  return list.filter((path): path is string => typeof path === 'string' && path !== '');
}

/** True unless it says otherwise. @throws OperatorError when it says neither. */
function switchOf(config: ProjectConfig, key: string): boolean {
  const value = config.value(key);
  if (value === undefined || value === true || value === 'true') return true;
  // What `env(NAME)` stands for is text.
  if (value === false || value === 'false') return false;
  throw wrongValue(config, key, value, 'true or false');
}

function wrongValue(config: ProjectConfig, key: string, value: unknown, expected: string): OperatorError {
  return new OperatorError(
    `"${key}" in supabase/config.toml${config.place(key)} is ${JSON.stringify(value)}, but must be ${expected}.`,
    'docs/settings.md lists every setting with what it takes.',
  );
}

/**
 * The files that the patterns name, pattern by pattern, sorted by bytes within each, none twice; of a folder every `.sql` file
 * below it. The CLI records a seed under this path. Source: supabase/cli 3.1.0; apps/cli-go/pkg/config/config.go, `Glob.Files`.
 */
async function findListed(
  project: string,
  { shown, otherwise }: FileList,
  patterns: readonly string[],
  notices: string[],
): Promise<readonly SqlFile[]> {
  const paths = new Set<string>();
  for (const pattern of patterns) {
    const full = isAbsolute(pattern) ? pattern : posix.join('supabase', pattern.replaceAll('\\\\', '/'));
    const found = await expand(project, full);
    if (found === undefined) {
      notices.push(`${shown}: "${pattern}" is not a valid pattern.`);
      continue;
    }
    // A project without seeds has no seed.sql, and the default does not make that worth a word.
    if (found.length === 0 && !otherwise.includes(pattern)) {
      notices.push(`${shown}: no file matches "${pattern}".`);
    }
    for (const path of found.toSorted(compareBytes)) {
      for (const file of await filesOf(project, path)) paths.add(file);
    }
  }
  return [...paths].map((path) => sqlFile(project, path));
}

/** What a pattern matches; undefined when it is none. */
async function expand(project: string, pattern: string): Promise<readonly string[] | undefined> {
  if (!isPattern(pattern)) return (await kindOf(locate(project, pattern))) === undefined ? [] : [pattern];
  const folder = posix.dirname(pattern);
  const name = posix.basename(pattern);
  if (matchName(name, '') === undefined) return undefined;
  const folders = isPattern(folder) ? await expand(project, folder) : [folder];
  const found: string[] = [];
  for (const parent of folders ?? []) {
    const entries = await readdir(locate(project, parent)).catch(() => []);
    found.push(
      ...entries.filter((entry) => matchName(name, entry)).map((entry) => posix.join(parent, entry)),
    );
  }
  return found;
}

async function filesOf(project: string, path: string): Promise<readonly string[]> {
  if ((await kindOf(locate(project, path))) !== 'folder') return [path];
  const entries = await readdir(locate(project, path), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.sql'))
    .map((entry) => posix.join(path, relativeTo(locate(project, path), entry.parentPath), entry.name))
    .sort(compareBytes);
}

function relativeTo(folder: string, below: string): string {
  return below.slice(folder.length).replaceAll('\\', '/').replace(/^\/+/, '');
}

/** `[db.vault]`: names and values; what `env(NAME)` leaves open is passed over. */
function vaultSecrets(config: ProjectConfig, notices: string[]): ProjectFiles['vault'] {
  const secrets: { name: string; value: string }[] = [];
  for (const [name, value] of Object.entries(config.section('db.vault'))) {
    if (isSection(value)) continue;
    const text = String(value);
    if (text === '' || /^env\(.*\)$/.test(text)) continue;
    if (isEncrypted(text)) {
      notices.push(
        `[db.vault].${name} is encrypted by dotenvx, and there is no DOTENV_PRIVATE_KEY to open it: left out.`,
      );
      continue;
    }
    secrets.push({ name, value: text });
  }
  return secrets;
}

function sqlFile(project: string, path: string): SqlFile {
  return {
    path,
    read: async () => {
      try {
        return await readFile(locate(project, path));
      } catch (error) {
        throw new OperatorError(
          `"${path}" cannot be read (${errorCode(error) ?? 'unknown error'}).`,
          'Make it readable for this user.',
          error,
        );
      }
    },
  };
}

function locate(project: string, path: string): string {
  return isAbsolute(path) ? path : join(project, path);
}

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined;
  }
}

/** A folder's entries, sorted by bytes; none when it is not there. */
async function readFolder(
  path: string,
  shown: string,
): Promise<readonly { readonly name: string; readonly isFolder: boolean }[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries
      .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
      .sort((a, b) => compareBytes(a.name, b.name));
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return [];
    throw new OperatorError(
      `"${shown}" cannot be read (${code ?? 'unknown error'}).`,
      'It must be a folder that this user may read.',
      error,
    );
  }
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** From this timestamp on a migration called `init` is the project's own. */
const firstTrueInit = 20211209000000;
