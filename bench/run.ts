// In charge of: `npm run bench`. Each row compares things measured in turns in this run; the figure that counts is the ratio.
// `npm run bench -- start` measures the start and nothing else, `-- requests` the requests, `-- gateway` what the gateway costs and is worth,
// `-- hashing` what passwords cost, `-- sign-in` what tokens cost the Data API, and sign-ins beside it,
// `-- realtime [idle|broadcast|changes]` what sockets cost beside `ws` by hand, and changes under a policy,
// `-- between` how long a broadcast takes to another process, by Postgres, NATS and Redis,
// `-- files` what uploads and downloads cost beside the same by hand,
// `-- migrations [PROJECT]` how long migrations take beside psql, `-- library` how long a test waits for a backend of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findRunningServer } from '../src/engine/db/postgres/running.ts';
import { findStateFolder } from '../src/engine/db/postgres/state-folder.ts';
import { makeProject, type RunningBackend, startBackend } from '../test/harness/backend.ts';
import { betweenTable } from './between.ts';
import { enginesTable } from './engines.ts';
import { filesTable } from './files.ts';
import { gatewayTable } from './gateway.ts';
import { hashingTable } from './hashing.ts';
import { libraryTable } from './library.ts';
import { hasWrk, type LoadResult, load } from './load.ts';
import { median } from './median.ts';
import { memoryMiB } from './memory.ts';
import { migrationsTable } from './migrations.ts';
import { openLoop } from './open-loop.ts';
import { realtimeTable } from './realtime.ts';
import { config, migration, type Scenario, scenarios } from './scenarios.ts';
import { signInTable } from './sign-in.ts';
import { measureStarts } from './start.ts';

const rounds = Number(process.env.ROUNDS ?? 5);
const seconds = Number(process.env.SECONDS ?? 4);
const connections = Number(process.env.CONNECTIONS ?? 32);
const only = process.argv[2];
console.log(`${cpus()[0]?.model ?? ''}, ${cpus().length} cores, Node ${process.version}\n`);
if (only === undefined || only === 'start') await startTable();
if (only === 'start') process.exit();
if (only === 'hashing') {
  await hashingTable({ rounds, seconds });
  process.exit();
}
if (only === 'migrations') {
  await migrationsTable(rounds, process.argv[3]);
  process.exit();
}
if (only === 'files') {
  await filesTable(rounds);
  process.exit();
}
if (only === 'realtime') {
  await realtimeTable(rounds, seconds, process.argv[3]);
  process.exit();
}
if (only === 'between') {
  await betweenTable(rounds, seconds);
  process.exit();
}
if (only === 'library') {
  await libraryTable(rounds);
  process.exit();
}
if (only === 'sign-in') {
  await signInTable({ rounds, seconds, connections });
  process.exit();
}

if (!hasWrk()) {
  console.error('bench: needs wrk (Debian: apt-get install wrk)');
  process.exit(1);
}

const headersFor = async ({ report }: RunningBackend) => ({
  apikey: report.PUBLISHABLE_KEY,
  Authorization: `Bearer ${await signToken(report.JWT_SECRET)}`,
});
if (only === 'engines') {
  await enginesTable(rounds, seconds, connections);
  process.exit();
}
if (only === 'gateway') {
  await gatewayTable({ rounds, seconds, connections, headersFor });
  process.exit();
}

await using project = await makeProject({
  'supabase/config.toml': config,
  'supabase/migrations/20260601000000_bench.sql': migration,
});
await using backend = await startBackend(project.folder, [], { log: 'discard' });
const stateFolder = await findStateFolder({ project: project.folder });
const login = (await findRunningServer(stateFolder))!('authenticator');
const limit = await startHandWritten('limit');
const application = await startHandWritten('application');

const headers = await headersFor(backend);
const contenders = {
  millrace: backend.report.API_URL,
  limit: limit.url,
  application: application.url,
};

console.log(
  `requests: ${backend.report.ENGINE}; ${rounds} rounds of ${seconds} s, ${connections} connections\n`,
);
try {
  for (const scenario of scenarios) await table(scenario);
  await ladder(scenarios[0]!);
  await halfOfPeak(scenarios[0]!);
  console.log(`\nmemory at the end (PSS): ${renderMemory(memoryMiB(backend.report.PID))}`);
} finally {
  limit.process.kill();
  application.process.kill();
}

async function table({ name, method, luaPath, body }: Scenario): Promise<void> {
  const request = { headers, luaPath, method, body };
  const results: Record<keyof typeof contenders, LoadResult[]> = { millrace: [], limit: [], application: [] };
  for (const url of Object.values(contenders)) await load({ url, connections, seconds: 1, ...request });
  for (let round = 0; round < rounds; round += 1) {
    for (const [who, url] of Object.entries(contenders) as [keyof typeof contenders, string][]) {
      results[who].push(await load({ url, connections, seconds, ...request }));
    }
  }
  console.log(name);
  for (const [who, runs] of Object.entries(results)) {
    const failed = runs.reduce((sum, run) => sum + run.failed, 0);
    const void_ = runs.some((run) => run.generatorCpu > 0.95)
      ? '  VOID: the load generator was the limit'
      : '';
    console.log(
      `  ${who.padEnd(12)} ${median(runs.map((run) => run.requestsPerSecond))
        .toFixed(0)
        .padStart(
          7,
        )}/s  p50 ${median(runs.map((run) => run.p50Ms)).toFixed(2)} ms  p99 ${median(runs.map((run) => run.p99Ms)).toFixed(2)} ms  failed ${failed}  wrk ${(median(runs.map((run) => run.generatorCpu)) * 100).toFixed(0)} % of a core${void_}`,
    );
  }
  const ratio = (other: 'limit' | 'application') =>
    median(
      results.millrace.map((run, index) => run.requestsPerSecond / results[other][index]!.requestsPerSecond),
    ).toFixed(2);
  console.log(`  ratio to the limit ${ratio('limit')}, to an application ${ratio('application')}`);
}

/** Requests per second from 1 to 256 connections, and memory at the peak. */
async function ladder({ name, method, luaPath, body }: Scenario): Promise<void> {
  console.log(`\n${name}, millrace alone by connections`);
  for (const count of [1, 4, 16, 64, 256]) {
    const run = await load({
      url: contenders.millrace,
      connections: count,
      seconds,
      headers,
      luaPath,
      method,
      body,
    });
    const { node, postgres } = memoryMiB(backend.report.PID);
    console.log(
      `  ${String(count).padStart(3)}  ${run.requestsPerSecond.toFixed(0).padStart(6)}/s  p50 ${run.p50Ms.toFixed(2)} ms  p99 ${run.p99Ms.toFixed(2)} ms  failed ${run.failed}  ${(node + postgres).toFixed(0)} MiB`,
    );
  }
}

/** How long an answer takes when requests come at half the rate that would be possible. */
async function halfOfPeak({ name, method, luaPath, body }: Scenario): Promise<void> {
  const url = contenders.millrace;
  const peak = await load({ url, connections, seconds, headers, luaPath, method, body });
  const paths = Array.from({ length: 1000 }, (_, id) => `/rest/v1/bench_items?id=eq.${id + 1}`);
  const perSecond = peak.requestsPerSecond / 2;
  const run = await openLoop({ url, headers, paths, perSecond, seconds, timeoutMs: 5_000, connections: 64 });
  console.log(
    `\n${name}, ${perSecond.toFixed(0)}/s, half of the peak: p50 ${run.p50Ms.toFixed(2)} ms  p99 ${run.p99Ms.toFixed(2)} ms  failed ${run.failed}  sent late ${run.behind}`,
  );
}

async function startTable(): Promise<void> {
  const { firstMs, laterMs, idle } = await measureStarts(rounds);
  console.log('start of the example, to the first 200 on /rest/v1/');
  console.log(`  first run    ${firstMs.toFixed(0).padStart(5)} ms`);
  console.log(`  later runs   ${median(laterMs).toFixed(0).padStart(5)} ms (median of ${laterMs.length})`);
  console.log(`  idle memory  ${renderMemory(idle)}\n`);
}

function renderMemory({ node, postgres }: ReturnType<typeof memoryMiB>): string {
  return `${(node + postgres).toFixed(0)} MiB PSS (Node ${node.toFixed(0)}, Postgres ${postgres.toFixed(0)})`;
}

async function startHandWritten(kind: string): Promise<{ url: string; process: ChildProcess }> {
  const file = join(dirname(fileURLToPath(import.meta.url)), 'hand-written.ts');
  const child = spawn(process.execPath, [file, kind, JSON.stringify(login)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
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
