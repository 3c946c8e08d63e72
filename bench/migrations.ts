// In charge of: how long our runner takes for a project's migrations, and how long psql takes for the same files, in turns on one server.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ClientConfig } from 'pg';
import { withClient } from '../src/engine/db/client.ts';
import { ident } from '../src/engine/db/ident.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { bootstrapDatabase } from '../src/engine/db/shape/shape.ts';
import { median } from './median.ts';
import { generatedMigrations } from './migration-files.ts';

const generatedCount = 350;

/** `checkout`: the folder that holds a `supabase/`, to be measured beside the generated project. */
export async function migrationsTable(rounds: number, checkout: string | undefined): Promise<void> {
  const psql = await findPsql();
  if (psql === undefined) {
    console.log('migrations: skipped, there is no psql (Debian: apt-get install postgresql-client)');
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'mr-bench-migrations-'));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(folder, 0o755);
  const server = await openServer(folder);
  try {
    await writeProject(join(folder, 'generated'));
    await measure(psql, server, join(folder, 'generated'), rounds);
    if (checkout !== undefined) await measure(psql, server, checkout, rounds);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(psql: string, server: PostgresServer, project: string, rounds: number): Promise<void> {
  const files = await sqlFiles(project);
  const contenders = {
    millrace: (name: string) => runOurs(server, name, project),
    // Every statement in a transaction of its own, as psql does unasked.
    'psql -f … -f …': (name: string) =>
      runPsql(
        psql,
        server,
        name,
        files.flatMap((file) => ['-f', file]),
      ),
    'psql -1, all in one transaction': (name: string) =>
      runPsql(psql, server, name, ['-1', ...files.flatMap((file) => ['-f', file])]),
  };
  type Contender = keyof typeof contenders;
  const took = new Map<Contender, number[]>();
  for (let round = 0; round < rounds; round += 1) {
    for (const [who, run] of Object.entries(contenders) as [Contender, (name: string) => Promise<number>][]) {
      const ms = await inFreshDatabase(server, run);
      took.set(who, [...(took.get(who) ?? []), ms]);
    }
  }
  console.log(`${files.length} migrations of ${project}, ${rounds} rounds in turns`);
  const ours = took.get('millrace')!;
  for (const [who, times] of took) {
    const ratio = median(ours.map((ms, round) => ms / times[round]!));
    const beside = who === 'millrace' ? '' : `  we take ${ratio.toFixed(2)} of it`;
    console.log(`  ${who.padEnd(32)} ${median(times).toFixed(0).padStart(6)} ms${beside}`);
  }
}

/** A copy of the shaped database for one run. */
async function inFreshDatabase(
  server: PostgresServer,
  run: (name: string) => Promise<number>,
): Promise<number> {
  const name = 'bench_migrations';
  const maintenance = { ...server.login('supabase_admin'), database: 'template1' };
  await withClient(maintenance, (client) =>
    client.query(`create database ${ident(name)} template postgres owner postgres`),
  );
  try {
    return await run(name);
  } finally {
    await withClient(maintenance, (client) => client.query(`drop database ${ident(name)} with (force)`));
  }
}

/** In a process of its own, so that nothing is warm that would be cold in a start; the program's own start is not counted. */
async function runOurs(server: PostgresServer, database: string, project: string): Promise<number> {
  const logins = {
    postgres: { ...server.login('postgres'), database },
    admin: { ...server.login('supabase_admin'), database },
  };
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'migrations-ours.ts'), JSON.stringify(logins), project],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`our run ended with ${code}`);
  return Number(said);
}

async function runPsql(
  psql: string,
  server: PostgresServer,
  database: string,
  args: readonly string[],
): Promise<number> {
  const { host, port, user } = server.login('postgres');
  const started = performance.now();
  await promisify(execFile)(
    psql,
    [
      '-X',
      '-q',
      '-v',
      'ON_ERROR_STOP=1',
      '-h',
      host!,
      '-p',
      String(port),
      '-U',
      user!,
      '-d',
      database,
      ...args,
    ],
    { env: { PATH: process.env.PATH, PGOPTIONS: '-c client_min_messages=warning' }, maxBuffer: 64 << 20 },
  );
  return performance.now() - started;
}

async function openServer(folder: string): Promise<PostgresServer> {
  const server = await openPostgres({
    project: folder,
    data: join(folder, 'state'),
    port: 0,
    password: 'postgres',
    observe: () => {},
  });
  await withClient(server.login('supabase_admin') as ClientConfig, (client) =>
    bootstrapDatabase(client, {
      external: false,
      passwordOf: (role) => (role === 'postgres' ? 'postgres' : undefined),
      autoExposeNewTables: true,
      observe: () => {},
    }),
  );
  return server;
}

async function writeProject(project: string): Promise<void> {
  const folder = join(project, 'supabase', 'migrations');
  await mkdir(folder, { recursive: true });
  for (const [name, text] of generatedMigrations(generatedCount)) await writeFile(join(folder, name), text);
}

async function sqlFiles(project: string): Promise<readonly string[]> {
  const folder = join(project, 'supabase', 'migrations');
  const names = (await readdir(folder)).filter((name) => /^\d+_.*\.sql$/.test(name)).sort();
  return names.map((name) => join(folder, name));
}

/** Debian's `psql` is a script that looks for the program: the program itself is the quicker one. */
async function findPsql(): Promise<string | undefined> {
  const installed = await readdir('/usr/lib/postgresql').catch(() => []);
  const paths = installed.map((version) => join('/usr/lib/postgresql', version, 'bin', 'psql'));
  for (const path of [...paths, 'psql']) {
    const works = await promisify(execFile)(path, ['--version']).then(
      () => true,
      () => false,
    );
    if (works) return path;
  }
  return undefined;
}
