// In charge of: what the official CLI says of a database that Millrace has filled. It needs no Docker for this, and no network.
// It gets the project's migrations and no config.toml: of older projects it refuses that ("[inbucket] is no longer supported").
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout, runCli } from '../../test/harness/backend.ts';

export interface OfficialReport {
  /** `db push --dry-run` has nothing to do. */
  readonly upToDate: boolean;
  /** What it said otherwise. */
  readonly said: string;
  /** How many migrations `migration list` shows as local and applied, and how many in one of the two alone. */
  readonly both: number;
  readonly onlyOne: number;
  /** Whether `gen types` gives the same for TypeScript up to white space; a sentence about the first difference, if not. */
  readonly types: 'equal' | { readonly differs: string };
}

export async function askOfficialCli(project: string, databaseUrl: string): Promise<OfficialReport> {
  const home = await mkdtemp(join(tmpdir(), 'mr-home-'));
  try {
    const migrations = join('supabase', 'migrations');
    await cp(join(project, migrations), join(home, migrations), { recursive: true });
    await writeFile(join(home, 'supabase', 'config.toml'), 'project_id = "project"\n');
    const run = async (...words: readonly string[]) => {
      const { stdout, rest } = await supabase(home, databaseUrl, words);
      return stdout + rest;
    };
    const pushed = await run('db', 'push', '--dry-run');
    const listed = await run('migration', 'list', '--output-format', 'json');
    const line = listed.split('\n').find((text) => text.startsWith('{')) ?? '{}';
    const versions = [...line.matchAll(/"(\d{6,})"/g)].map(([, version]) => version!);
    const counts = new Map<string, number>();
    for (const version of versions) counts.set(version, (counts.get(version) ?? 0) + 1);
    const both = [...counts.values()].filter((count) => count > 1).length;
    const upToDate = /up to date/i.test(pushed);
    const types = await compareTypes(project, home, databaseUrl);
    return { upToDate, said: upToDate ? '' : pushed.trim(), both, onlyOne: counts.size - both, types };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function compareTypes(
  project: string,
  home: string,
  databaseUrl: string,
): Promise<OfficialReport['types']> {
  const config = await readFile(join(project, 'supabase', 'config.toml'), 'utf8').catch(() => '');
  const words = ['gen', 'types', '--lang', 'typescript'];
  const flags = exposedSchemas(config).flatMap((name) => ['--schema', name]);
  const ours = await runCli([...words, ...flags, '--project', project], { timeoutMs });
  if (ours.code !== 0) return { differs: `millrace gen types ended with ${ours.code}: ${ours.stderr}` };
  const { stdout, rest } = await supabase(home, databaseUrl, [...words, ...flags]);
  const [mine, theirs] = [ours.stdout, stdout].map((text) => text.match(/\S+/g) ?? []);
  if (mine!.join('') === theirs!.join('')) return 'equal';
  const at = mine!.findIndex((word, index) => word !== theirs![index]);
  const around = (found: readonly string[]) => found.slice(Math.max(0, at - 5), at + 10).join(' ');
  return {
    differs: `here "${around(mine!)}", there "${around(theirs!)}" ${theirs!.length === 0 ? rest : ''}`,
  };
}

/** `[api].schemas`, or what stands for it. */
function exposedSchemas(config: string): readonly string[] {
  const api = /^\[api\]$([\s\S]*?)(?=^\[|$(?![\s\S]))/m.exec(config)?.[1] ?? '';
  const list = /^schemas\s*=\s*\[([^\]]*)\]/m.exec(api)?.[1];
  const names = [...(list ?? '').matchAll(/"([^"]+)"|'([^']+)'/g)].map(([, one, other]) => one ?? other!);
  return names.length === 0 ? ['public', 'graphql_public'] : names;
}

const timeoutMs = 600_000;

/** Its answer, whatever came of it: what it printed, and what else it said. */
function supabase(
  home: string,
  databaseUrl: string,
  words: readonly string[],
): Promise<{ readonly stdout: string; readonly rest: string }> {
  const program = join(checkout, 'node_modules', 'supabase', 'dist', 'supabase.js');
  const flags = [`--remote=${databaseUrl}`, '--workdir', home, '--yes', '--agent', 'no'];
  const env = { PATH: process.env.PATH, HOME: home, DO_NOT_TRACK: '1', NO_COLOR: '1', PGSSLMODE: 'disable' };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...words, ...flags],
      { env, timeout: timeoutMs, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => resolve({ stdout, rest: `${stderr}${error === null ? '' : error.message}` }),
    );
  });
}
