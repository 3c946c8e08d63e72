// In charge of: what realtime costs beside `ws` by hand, in turns in one run: idle sockets, a broadcast to a thousand, and changes of rows under a policy.
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { SignJWT } from 'jose';
import pg from 'pg';
import { checkout, makeProject, type RunningBackend, startBackend } from '../test/harness/backend.ts';
import { median } from './median.ts';
import { memoryMiB } from './memory.ts';
import type { Order, Taken } from './realtime-clients.ts';

const idleSockets = Number(process.env.IDLE ?? 5_000);
const listeners = 1_000;
const messagesPerSecond = 50;
const users = 100;
const insertsPerSecond = 200;
/** What was left over from opening the sockets is gone by then. */
const settleMs = 4_000;

const project = {
  // Each delivery counts, and this counts them for a minute.
  'supabase/config.toml': '[realtime]\nmax_events_per_second = 10000000\nmax_joins_per_second = 100000\n',
  'supabase/migrations/1_notes.sql': `
    create table public.notes (id bigint generated always as identity primary key, owner uuid not null, body text);
    alter table public.notes enable row level security;
    create policy own on public.notes for select to authenticated using ((select auth.uid()) = owner);
    grant select on public.notes to authenticated;
    alter publication supabase_realtime add table public.notes;`,
};

const parts = ['idle', 'broadcast', 'changes'] as const;

/** @param part one of `parts`; undefined: all. */
export async function realtimeTable(rounds: number, seconds: number, part?: string): Promise<void> {
  const wanted = parts.filter((name) => part === undefined || name === part);
  if (wanted.length === 0) throw new Error(`bench: "${part}" is none of ${parts.join(', ')}`);
  await using folder = await makeProject(project);
  if (wanted.includes('idle')) await idleTable(folder.folder, rounds);
  await using backend = await startBackend(folder.folder, [], { log: 'discard' });
  if (wanted.includes('broadcast')) {
    const raw = await startRaw();
    try {
      await broadcastTable(backend, raw.url, rounds, seconds);
    } finally {
      raw.process.kill();
    }
  }
  if (wanted.includes('changes')) await changesTable(backend, rounds, seconds);
}

const socketUrl = ({ report }: RunningBackend) =>
  `${report.API_URL.replace('http', 'ws')}/realtime/v1/websocket?apikey=${report.ANON_KEY}&vsn=2.0.0`;
const joinText = (topic: string, config: object, token?: string) =>
  JSON.stringify(['1', '1', `realtime:${topic}`, 'phx_join', { config, access_token: token }]);
const joined = '"status":"ok"';
const heartbeat = '[null,"h","phoenix","heartbeat",{}]';

/** Each round a new server, so that nothing is left of the one before; what it takes before counts out. */
async function idleTable(folder: string, rounds: number): Promise<void> {
  const found = { raw: [] as number[], connected: [] as number[], joined: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const raw = await startRaw();
    found.raw.push(await growth(raw.process.pid!, raw.url, { greetings: () => null, ready: null }));
    raw.process.kill();
    for (const kind of ['connected', 'joined'] as const) {
      const backend = await startBackend(folder, [], { log: 'discard' });
      found[kind].push(
        await growth(
          backend.report.PID,
          socketUrl(backend),
          kind === 'connected'
            ? { greetings: () => null, ready: null }
            : { greetings: (at) => joinText(`room ${at}`, {}), ready: joined },
        ),
      );
      await backend.stop();
    }
  }
  const by = (values: readonly number[]) => `${median(values).toFixed(0)} MiB`;
  const ratio = (values: readonly number[]) => (median(values) / median(found.raw)).toFixed(2);
  console.log(
    `${idleSockets} idle sockets  ws by hand ${by(found.raw)}  millrace ${by(found.connected)}, ratio ${ratio(found.connected)}; with a channel each ${by(found.joined)}, ratio ${ratio(found.joined)}`,
  );
}

interface Idle {
  readonly greetings: (at: number) => string | null;
  readonly ready: string | null;
}

/** How many MiB more the server has with the sockets than without. */
async function growth(pid: number, url: string, { greetings, ready }: Idle): Promise<number> {
  const clients = openClients();
  // The first ones bring code and buffers with them that all others share.
  await clients.order({ kind: 'open', url, greetings: [greetings(0)], ready, heartbeat: null, mark: null });
  await wait(settleMs);
  const before = memoryMiB(pid).node;
  const all = Array.from({ length: idleSockets }, (_, at) => greetings(at + 1));
  await clients.order({ kind: 'open', url, greetings: all, ready, heartbeat: null, mark: null });
  await wait(settleMs);
  const after = memoryMiB(pid).node;
  clients.process.kill();
  return after - before;
}

async function broadcastTable(
  backend: RunningBackend,
  rawUrl: string,
  rounds: number,
  seconds: number,
): Promise<void> {
  const text = 'x'.repeat(100);
  const contenders = {
    raw: {
      url: rawUrl,
      greeting: '?',
      ready: null,
      message: `{"event":"tick","payload":{"text":"${text}","at":"@"}}`,
    },
    ours: {
      url: socketUrl(backend),
      greeting: joinText('room', { broadcast: { self: true } }),
      ready: joined,
      message: `["1",null,"realtime:room","broadcast",{"type":"broadcast","event":"tick","payload":{"text":"${text}","at":"@"}}]`,
    },
  };
  const found = { raw: [] as number[], ours: [] as number[] };
  for (let round = 0; round < rounds; round++)
    for (const name of ['raw', 'ours'] as const) {
      const { url, greeting, ready, message } = contenders[name];
      const clients = openClients();
      await clients.order({
        kind: 'open',
        url,
        greetings: Array(listeners).fill(greeting),
        ready,
        heartbeat: null,
        mark: '"at":"',
      });
      // The first second brings code up to speed.
      await clients.order({ kind: 'say', message, perSecond: messagesPerSecond, seconds: 1 });
      await wait(500);
      await clients.order({ kind: 'take' });
      await clients.order({ kind: 'say', message, perSecond: messagesPerSecond, seconds });
      const { delays, busy } = await takeAll(clients, listeners * messagesPerSecond * seconds);
      check(delays.length, listeners * messagesPerSecond * seconds, `${name}: messages`);
      found[name].push(quantile(delays, 0.99));
      console.log(
        `  ${name}: p50 ${quantile(delays, 0.5).toFixed(1)} ms, p99 ${quantile(delays, 0.99).toFixed(1)} ms, the clients took ${(busy * 100).toFixed(0)} % of a core`,
      );
      clients.process.kill();
    }
  console.log(
    `broadcast 1 → ${listeners} at ${messagesPerSecond}/s, p99  ws by hand ${median(found.raw).toFixed(1)} ms  millrace ${median(found.ours).toFixed(1)} ms  ratio ${(median(found.ours) / median(found.raw)).toFixed(2)}`,
  );
}

async function changesTable(backend: RunningBackend, rounds: number, seconds: number): Promise<void> {
  const { DB_URL, JWT_SECRET } = backend.report;
  const tokens = await Promise.all(Array.from({ length: users }, (_, user) => tokenOf(user, JWT_SECRET)));
  const database = new pg.Client({ connectionString: DB_URL });
  await database.connect();
  const found = { p99: [] as number[], reads: [] as number[], with: [] as number[], without: [] as number[] };
  for (let round = 0; round < rounds; round++)
    for (const kind of ['without', 'with'] as const) {
      const clients = openClients();
      const postgres_changes = kind === 'with' ? [{ event: 'INSERT', schema: 'public', table: 'notes' }] : [];
      await clients.order({
        kind: 'open',
        url: socketUrl(backend),
        greetings: Array.from({ length: listeners }, (_, at) =>
          joinText('notes', { postgres_changes }, tokens[at % users]),
        ),
        ready: kind === 'with' ? 'Subscribed to PostgreSQL' : joined,
        heartbeat,
        mark: '"at:',
      });
      await inserts(DB_URL, 1);
      await wait(2_000);
      const idle = await transactions(database, seconds);
      await clients.order({ kind: 'take' });
      const before = await committed(database);
      const commits = await inserts(DB_URL, seconds);
      await wait(2_000);
      const after = await committed(database);
      const { delays, busy } = (await clients.order({ kind: 'take' })) as Taken;
      found[kind].push(quantile(commits, 0.5));
      if (kind === 'with') {
        check(delays.length, (commits.length * listeners) / users, 'changes');
        found.p99.push(quantile(delays, 0.99));
        found.reads.push((after - before - idle - commits.length) / commits.length);
      }
      console.log(
        `  ${kind} subscriptions: commit p50 ${quantile(commits, 0.5).toFixed(2)} ms, p99 ${quantile(commits, 0.99).toFixed(1)} ms${kind === 'with' ? `; to the client p50 ${quantile(delays, 0.5).toFixed(1)} ms, p99 ${quantile(delays, 0.99).toFixed(1)} ms` : ''}; the clients took ${(busy * 100).toFixed(0)} % of a core`,
      );
      await clients.order({ kind: 'close' });
      clients.process.kill();
    }
  await database.end();
  const commit = median(found.with) / median(found.without);
  console.log(
    `${insertsPerSecond} inserts/s to ${listeners} subscribers of ${users} users  begin of the insert to the client, p99 ${median(found.p99).toFixed(0)} ms  reads per change ${median(found.reads).toFixed(2)}  commit p50 ${median(found.with).toFixed(2)} ms, of the same without subscriptions ${commit.toFixed(2)}`,
  );
}

function tokenOf(user: number, secret: string): Promise<string> {
  const sub = `00000000-0000-4000-8000-${String(user).padStart(12, '0')}`;
  return new SignJWT({ role: 'authenticated', sub })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setExpirationTime('2h')
    .sign(new TextEncoder().encode(secret));
}

/** How long each commit took, in milliseconds. */
async function inserts(url: string, seconds: number): Promise<readonly number[]> {
  const child = spawn(
    process.execPath,
    [
      join(checkout, 'bench', 'realtime-inserts.ts'),
      url,
      String(users),
      String(insertsPerSecond),
      String(seconds),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return JSON.parse(line) as number[];
}

/** Transactions of the whole database. Each look at who may see what is one. */
async function committed(database: pg.Client): Promise<number> {
  await wait(1_500);
  const { rows } = await database.query<{ count: string }>(
    'select xact_commit::text as count from pg_stat_database where datname = current_database()',
  );
  return Number(rows[0]!.count);
}

/** As many as there are in the same time when nothing is written. */
async function transactions(database: pg.Client, seconds: number): Promise<number> {
  const before = await committed(database);
  await wait(seconds * 1_000 + 2_000);
  return (await committed(database)) - before;
}

/** Until so many have come, or for a while none. */
async function takeAll(clients: Clients, count: number): Promise<Taken> {
  const delays: number[] = [];
  let busy: number | undefined;
  for (let silentMs = 0; delays.length < count && silentMs < 5_000; ) {
    const taken = (await clients.order({ kind: 'take' })) as Taken;
    busy ??= taken.busy;
    silentMs = taken.delays.length === 0 ? silentMs + 500 : 0;
    for (const delay of taken.delays) delays.push(delay);
    if (delays.length < count) await wait(500);
  }
  return { delays, busy: busy ?? 0 };
}

function check(found: number, expected: number, what: string): void {
  if (found !== expected) console.log(`  ${what}: ${found} came, ${expected} were expected`);
}

function quantile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

interface Clients {
  readonly process: ChildProcess;
  order(order: Order): Promise<Taken | null>;
}

function openClients(): Clients {
  const child = fork(join(checkout, 'bench', 'realtime-clients.ts'), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return {
    process: child,
    async order(order) {
      child.send(order);
      const [answer] = (await once(child, 'message')) as [{ done?: Taken | null; failed?: string }];
      if (answer.failed !== undefined) throw new Error(`bench: ${answer.failed}`);
      return answer.done ?? null;
    },
  };
}

async function startRaw(): Promise<{ readonly url: string; readonly process: ChildProcess }> {
  const child = spawn(process.execPath, [join(checkout, 'bench', 'realtime-raw.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return { url: `ws://127.0.0.1:${port}/`, process: child };
}
