// In charge of: `npm run bench`. Each row compares two things measured in turns in this run; the figure that counts is the ratio.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findStateFolder } from '../src/engine/db/postgres/state-folder.ts';
import { findRunningServer } from '../src/engine/db/postgres/running.ts';
import { makeProject, startBackend } from '../test/harness/backend.ts';
import { hasWrk, load, type LoadResult } from './load.ts';

const rounds = Number(process.env.ROUNDS ?? 5);
const seconds = Number(process.env.SECONDS ?? 4);
const connections = Number(process.env.CONNECTIONS ?? 32);
const items = 10_000;

const migration = `
create table public.bench_items (id int primary key, owner uuid not null, title text not null, body text not null);
alter table public.bench_items enable row level security;
create policy own on public.bench_items for select to authenticated using (owner = (select auth.uid()));
grant select on public.bench_items to authenticated;
insert into public.bench_items
  select i, '00000000-0000-0000-0000-000000000001', 'Title ' || i, repeat('body ', 20) from generate_series(1, ${items}) i;
analyze public.bench_items;
`;

if (!hasWrk()) {
  console.error('bench: needs wrk (Debian: apt-get install wrk)');
  process.exit(1);
}

await using project = await makeProject({
  'supabase/config.toml': '[api]\nauto_expose_new_tables = false\n',
  'supabase/migrations/20260601000000_bench.sql': migration,
});
await using backend = await startBackend(project.folder, [], { log: 'discard' });
const stateFolder = await findStateFolder({ project: project.folder });
const login = (await findRunningServer(stateFolder))!('authenticator');
const limit = await startHandWritten('limit');
const application = await startHandWritten('application');

const token = await signToken(backend.report.JWT_SECRET);
const headers = { apikey: backend.report.PUBLISHABLE_KEY, Authorization: `Bearer ${token}` };
const contenders = {
  millrace: backend.report.API_URL,
  limit: limit.url,
  application: application.url,
};

console.log(`${cpus()[0]?.model ?? ''}, ${cpus().length} cores; ${backend.report.ENGINE}; ${rounds} rounds of ${seconds} s, ${connections} connections\n`);
try {
  await table('row by key under a policy', `"/rest/v1/bench_items?id=eq." .. math.random(1, ${items})`);
  console.log(`\nmemory at the end (PSS): ${await memoryMiB()} MiB for Node and Postgres together`);
} finally {
  limit.process.kill();
  application.process.kill();
}

async function table(name: string, luaPath: string): Promise<void> {
  const results: Record<keyof typeof contenders, LoadResult[]> = { millrace: [], limit: [], application: [] };
  for (const url of Object.values(contenders)) await load({ url, connections, seconds: 2, headers, luaPath });
  for (let round = 0; round < rounds; round += 1) {
    for (const [who, url] of Object.entries(contenders) as [keyof typeof contenders, string][]) {
      results[who].push(await load({ url, connections, seconds, headers, luaPath }));
    }
  }
  console.log(name);
  for (const [who, runs] of Object.entries(results)) {
    const failed = runs.reduce((sum, run) => sum + run.failed, 0);
    const void_ = runs.some((run) => run.generatorCpu > 0.95) ? '  VOID: the load generator was the limit' : '';
    console.log(
      `  ${who.padEnd(12)} ${median(runs.map((run) => run.requestsPerSecond)).toFixed(0).padStart(7)}/s  p50 ${median(runs.map((run) => run.p50Ms)).toFixed(2)} ms  p99 ${median(runs.map((run) => run.p99Ms)).toFixed(2)} ms  failed ${failed}  wrk ${(median(runs.map((run) => run.generatorCpu)) * 100).toFixed(0)} % of a core${void_}`,
    );
  }
  const ratio = (other: 'limit' | 'application') =>
    median(results.millrace.map((run, index) => run.requestsPerSecond / results[other][index]!.requestsPerSecond)).toFixed(2);
  console.log(`  ratio to the limit ${ratio('limit')}, to an application ${ratio('application')}`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function startHandWritten(kind: string): Promise<{ url: string; process: ChildProcess }> {
  const file = join(dirname(fileURLToPath(import.meta.url)), 'hand-written.ts');
  const child = spawn(process.execPath, [file, kind, JSON.stringify(login)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = await once(createInterface({ input: child.stdout! }), 'line');
  return { url: `http://127.0.0.1:${port}`, process: child };
}

async function signToken(secret: string): Promise<string> {
  const { SignJWT } = await import('jose');
  return new SignJWT({ role: 'authenticated', sub: '00000000-0000-0000-0000-000000000001' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret));
}

/** Proportional memory of the backend and every process below it. */
async function memoryMiB(): Promise<number> {
  const { readdirSync } = await import('node:fs');
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {}
  }
  const below = (pid: number): boolean => pid === backend.report.PID || (pid > 1 && below(parents.get(pid) ?? 0));
  let kib = 0;
  for (const pid of parents.keys()) {
    if (!below(pid)) continue;
    try {
      kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {}
  }
  return Math.round(kib / 1024);
}
