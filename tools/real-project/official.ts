// In charge of: what the official CLI says of a database that Millrace has filled. It needs no Docker for this, and no network.
// It gets the project's migrations and no config.toml: of older projects it refuses that ("[inbucket] is no longer supported").
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from '../../test/harness/backend.ts';

export interface OfficialReport {
  /** `db push --dry-run` has nothing to do. */
  readonly upToDate: boolean;
  /** What it said otherwise. */
  readonly said: string;
  /** How many migrations `migration list` shows as local and applied, and how many in one of the two alone. */
  readonly both: number;
  readonly onlyOne: number;
}

export async function askOfficialCli(project: string, databaseUrl: string): Promise<OfficialReport> {
  const home = await mkdtemp(join(tmpdir(), 'mr-home-'));
  try {
    const migrations = join('supabase', 'migrations');
    await cp(join(project, migrations), join(home, migrations), { recursive: true });
    await writeFile(join(home, 'supabase', 'config.toml'), 'project_id = "project"\n');
    const run = (...words: readonly string[]) => supabase(home, databaseUrl, words);
    const pushed = await run('db', 'push', '--dry-run');
    const listed = await run('migration', 'list', '--output-format', 'json');
    const line = listed.split('\n').find((text) => text.startsWith('{')) ?? '{}';
    const versions = [...line.matchAll(/"(\d{6,})"/g)].map(([, version]) => version!);
    const counts = new Map<string, number>();
    for (const version of versions) counts.set(version, (counts.get(version) ?? 0) + 1);
    const both = [...counts.values()].filter((count) => count > 1).length;
    const upToDate = /up to date/i.test(pushed);
    return { upToDate, said: upToDate ? '' : pushed.trim(), both, onlyOne: counts.size - both };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** Its answer, of both streams, whatever came of it. */
function supabase(home: string, databaseUrl: string, words: readonly string[]): Promise<string> {
  const program = join(checkout, 'node_modules', 'supabase', 'dist', 'supabase.js');
  const flags = [`--remote=${databaseUrl}`, '--workdir', home, '--yes', '--agent', 'no'];
  const env = { PATH: process.env.PATH, HOME: home, DO_NOT_TRACK: '1', NO_COLOR: '1', PGSSLMODE: 'disable' };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...words, ...flags],
      { env, timeout: 120_000, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => resolve(`${stdout}${stderr}${error === null ? '' : error.message}`),
    );
  });
}
