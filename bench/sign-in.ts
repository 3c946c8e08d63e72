// In charge of: what verifying a token costs a request of the Data API, and what more sign-ins than fit do to it.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createClient } from '@supabase/supabase-js';
import { makeProject, type RunningBackend, startBackend } from '../test/harness/backend.ts';
import { personToken } from '../test/harness/tokens.ts';
import { encoded, parallelism, password, runRaw, startRaw } from './hashing.ts';
import { median } from './median.ts';
import { type OpenLoopOptions, type OpenLoopResult, openLoop } from './open-loop.ts';
import { config, items, migration } from './scenarios.ts';

export interface SignInBenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
}

export async function signInTable(options: SignInBenchOptions): Promise<void> {
  await using project = await makeProject({
    'supabase/config.toml': config,
    'supabase/migrations/20260601000000_bench.sql': `${migration}\ngrant select on public.bench_items to service_role;`,
  });
  await using backend = await startBackend(project.folder, [], { log: 'discard' });
  await tokenTable(options, backend);
  await overloadTable(options, backend);
}

/** More than the program remembers, so that each of them is new to it in every turn. */
const freshTokens = 12_000;

/**
 * The processor time of the program for one request: with a secret key, which is no token; with that key and a token's bytes in a header that
 * nobody reads, so that the request is as long; with one token again and again; and with a token that it has not seen. All as `service_role`;
 * the time of Postgres is not in it.
 */
async function tokenTable(
  { rounds, seconds, connections }: SignInBenchOptions,
  { report }: RunningBackend,
): Promise<void> {
  const subject = '00000000-0000-0000-0000-000000000001';
  const sign = () => personToken(subject, { algorithm: 'ES256', role: 'service_role' });
  const repeated = await sign();
  const fresh = await Promise.all(Array.from({ length: freshTokens }, sign));
  let next = 0;
  const bearer = (token: string) => ({
    apikey: report.PUBLISHABLE_KEY,
    authorization: `Bearer ${token}`,
  });
  const contenders = {
    'a secret key, no token': () => ({ apikey: report.SECRET_KEY }),
    'the same, as many bytes': () => ({ apikey: report.SECRET_KEY, 'x-unread': `Bearer ${repeated}` }),
    'one token again and again': () => bearer(repeated),
    'a new ES256 token each': () => bearer(fresh[next++ % freshTokens]!),
  };
  type Name = keyof typeof contenders;
  const costs: Record<Name, number[]> = {
    'a secret key, no token': [],
    'the same, as many bytes': [],
    'one token again and again': [],
    'a new ES256 token each': [],
  };
  for (let round = -1; round < rounds; round += 1) {
    for (const [name, headersOf] of Object.entries(contenders) as [Name, () => Record<string, string>][]) {
      const before = processorMs(report.PID);
      const { done, failed } = await closedLoop({ url: report.API_URL, headersOf, seconds, connections });
      if (done === 0) throw new Error(`bench: all ${failed} requests with ${name} failed`);
      // The first round warms it up.
      if (round >= 0) costs[name].push(((processorMs(report.PID) - before) / done) * 1000);
    }
  }
  console.log(`processor time of the program for a row by key, ${rounds} rounds of ${seconds} s in turns`);
  const base = costs['the same, as many bytes'];
  for (const [name, runs] of Object.entries(costs)) {
    const more = median(runs.map((cost, index) => cost / base[index]! - 1)) * 100;
    console.log(
      `  ${name.padEnd(26)} ${median(runs).toFixed(0).padStart(5)} µs  ${more.toFixed(1)} % more than without verification`,
    );
  }
}

interface ClosedLoop {
  readonly url: string;
  readonly headersOf: () => Record<string, string>;
  readonly seconds: number;
  readonly connections: number;
}

/** As many requests as are answered, on some connections that each wait for their answer. */
async function closedLoop({ url, headersOf, seconds, connections }: ClosedLoop) {
  const { hostname, port } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const endMs = performance.now() + seconds * 1000;
  let [done, failed, asked] = [0, 0, 0];
  const ask = () =>
    new Promise<number>((resolve) => {
      asked += 1;
      const path = `/rest/v1/bench_items?id=eq.${1 + (asked % items)}`;
      const sent = request({ hostname, port, path, headers: headersOf(), agent }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      });
      sent.on('error', () => resolve(0));
      sent.end();
    });
  const caller = async () => {
    while (performance.now() < endMs) {
      if ((await ask()) === 200) done += 1;
      else failed += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, caller));
  agent.destroy();
  return { done, failed };
}

/** User and system time of all threads of a process so far. Source: proc(5), `/proc/<pid>/stat`; a tick is 10 ms on Linux. */
function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const users = 50;
const offeredPerSecond = 200;
const readsPerSecond = 100;

/** 200 sign-ins a second, of which bcrypt lets some 15 a second and thread through, while others read. */
async function overloadTable({ rounds, seconds }: SignInBenchOptions, { report }: RunningBackend) {
  const emails = Array.from({ length: users }, (_, index) => `bench-${index}@example.com`);
  const admin = createClient(report.API_URL, report.SECRET_KEY, { auth: { persistSession: false } });
  for (const email of emails) {
    const { error } = await admin.auth.admin.createUser({
      email,
      email_confirm: true,
      password_hash: encoded,
    });
    if (error) throw error;
  }
  const common = { url: report.API_URL, seconds, timeoutMs: 5_000, connections: 1_000 };
  const signIns: OpenLoopOptions = {
    ...common,
    headers: { apikey: report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
    method: 'POST',
    paths: ['/auth/v1/token?grant_type=password'],
    bodies: emails.map((email) => JSON.stringify({ email, password })),
    perSecond: offeredPerSecond,
  };
  const reads: OpenLoopOptions = {
    ...common,
    headers: { apikey: report.SECRET_KEY },
    paths: Array.from({ length: 1_000 }, (_, id) => `/rest/v1/bench_items?id=eq.${id + 1}`),
    perSecond: readsPerSecond,
    settlingSeconds: 1,
  };
  const raw = startRaw(0);
  const runs: OverloadRound[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const alone = await openLoop(reads);
    const [hashes, besideRaw] = await Promise.all([runRaw(raw, seconds), openLoop(reads)]);
    const [signedIn, beside] = await Promise.all([openLoop(signIns), openLoop(reads)]);
    runs.push({ alone, hashes, besideRaw, signedIn, beside });
  }
  await Promise.all(raw.map((worker) => worker.terminate()));
  printOverload(runs, seconds);
}

/** Three turns: reads alone, beside nothing but hashing, and beside the sign-ins. */
interface OverloadRound {
  readonly alone: OpenLoopResult;
  readonly hashes: number;
  readonly besideRaw: OpenLoopResult;
  readonly signedIn: OpenLoopResult;
  readonly beside: OpenLoopResult;
}

function printOverload(runs: readonly OverloadRound[], seconds: number): void {
  const middle = (of: (run: OverloadRound) => number) => median(runs.map(of));
  const most = (of: (run: OverloadRound) => number) => Math.max(...runs.map(of));
  const sum = (of: (run: OverloadRound) => number) => runs.reduce((total, run) => total + of(run), 0);
  console.log(
    `\n${offeredPerSecond} sign-ins/s offered, ${runs.length} rounds of ${seconds} s in turns, hashing in ${parallelism} thread${parallelism === 1 ? '' : 's'}`,
  );
  console.log(
    `  signed in ${(middle((run) => run.signedIn.good) / seconds).toFixed(1)}/s, bcrypt alone ${(middle((run) => run.hashes) / seconds).toFixed(1)}/s: ratio ${middle((run) => run.signedIn.good / run.hashes).toFixed(2)}`,
  );
  console.log(
    `  ${sum((run) => run.signedIn.refused)} refused, each within ${most((run) => run.signedIn.refusedMaxMs).toFixed(0)} ms (${sum((run) => run.signedIn.unavailable)} of them with 503); ${sum((run) => run.signedIn.failed)} failed or late; ${sum((run) => run.signedIn.behind)} sent too late`,
  );
  console.log(
    `  p99 of ${readsPerSecond} reads/s: ${middle((run) => run.alone.p99Ms).toFixed(1)} ms alone, ${middle((run) => run.besideRaw.p99Ms).toFixed(1)} ms beside bcrypt, ${middle((run) => run.beside.p99Ms).toFixed(1)} ms beside the sign-ins: ratio ${middle((run) => run.beside.p99Ms / run.besideRaw.p99Ms).toFixed(2)} to beside bcrypt; ${sum((run) => run.beside.refused + run.beside.failed)} reads refused or failed`,
  );
}
