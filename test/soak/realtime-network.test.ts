// In charge of: a network that goes silent without a word, whose clients are let go of in the time that is named, and a thousand that come back at once,
// after a stop and after a kill. `npm run soak`; SOCKETS=… for more of them.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { silenceMs } from '../../src/services/realtime/connection.ts';
import { makeProject, type RunningBackend, startBackend } from '../harness/backend.ts';
import { openCrowd } from '../harness/crowd.ts';
import { openCutProxy } from '../harness/cut-proxy.ts';
import { figuresOf, withProbe } from '../harness/figures.ts';
import { freePort } from '../harness/free-port.ts';
import { openLightSocket } from '../harness/light-socket.ts';

const returning = Number(process.env.SOCKETS ?? 1_000);
const silent = 500;
/** Those that are silent are looked for this often, and their connections end a second behind their last words. */
const lookedAtMs = 5_000;
const lastWordsMs = 1_000;
const slackMs = 10_000;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let port: number;
const start = () =>
  startBackend(project.folder, ['--port', String(port), '--log-level', 'warn'], { env: withProbe });
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': `project_id = "network"
[api]
auto_expose_new_tables = true
[realtime]
max_presence_events_per_second = 1000000
`,
    'supabase/migrations/1_notes.sql': `
      create table public.notes (id bigint primary key);
      alter table public.notes enable row level security;
      create policy everybody on public.notes for select using (true);`,
  });
  port = await freePort();
  backend = await start();
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const print = (text: string) => void process.stdout.write(text);

async function keptMiB(): Promise<number> {
  const { heapBytes, externalBytes } = await figuresOf(backend);
  return (heapBytes + externalBytes) / 2 ** 20;
}

it(`${silent} clients behind a cable that was cut are gone when they should be, and their presences with them`, async () => {
  const url = (from: string) =>
    `${from.replace('http', 'ws')}/realtime/v1/websocket?apikey=${backend.report.PUBLISHABLE_KEY}&vsn=2.0.0`;
  const there = new Set<string>();
  const witness = await openLightSocket(url(backend.report.API_URL), (payload) => {
    const [, , , event, told] = JSON.parse(payload.toString()) as [
      unknown,
      unknown,
      unknown,
      string,
      Record<string, Record<string, unknown>>,
    ];
    if (event === 'presence_state') for (const key of Object.keys(told)) there.add(key);
    if (event !== 'presence_diff') return;
    for (const key of Object.keys(told.joins!)) there.add(key);
    for (const key of Object.keys(told.leaves!)) there.delete(key);
  });
  const join = (key: string) =>
    JSON.stringify(['1', '1', 'realtime:hall', 'phx_join', { config: { presence: { enabled: true, key } } }]);
  witness.send(join('witness'));
  const beats = setInterval(() => witness.send('[null,"0","phoenix","heartbeat",{}]'), 20_000);
  await using proxy = await openCutProxy(backend.report.API_URL);
  const before = await keptMiB();
  for (let at = 0; at < silent; at++) {
    const socket = await openLightSocket(url(proxy.url), () => {});
    socket.send(join(`client ${at}`));
    const track = { type: 'presence', event: 'track', payload: { at } };
    socket.send(JSON.stringify(['1', '2', 'realtime:hall', 'presence', track]));
  }
  await vi.waitFor(() => expect(there.size).toBe(silent), 60_000);
  const full = await keptMiB();
  proxy.swallow();
  const swallowedMs = performance.now();
  const bound = silenceMs + lookedAtMs + lastWordsMs + slackMs;
  await vi.waitFor(() => expect([there.size, proxy.left()]).toEqual([0, 0]), {
    timeout: bound,
    interval: 100,
  });
  const tookMs = performance.now() - swallowedMs;
  const after = await keptMiB();
  print(
    `let go of after ${(tookMs / 1000).toFixed(1)} s; ${before.toFixed(1)} MiB before, ${full.toFixed(1)} with them, ${after.toFixed(1)} after\n`,
  );
  expect(after - before).toBeLessThan(3);
  clearInterval(beats);
  witness.close();
});

it.each([
  ['a stop', 'SIGTERM'],
  ['a kill', 'SIGKILL'],
] as const)(`${returning} clients come back behind %s`, async (name, signal) => {
  const crowd = openCrowd(backend.report, returning);
  try {
    await crowd.areThere();
    process.kill(backend.report.PID, signal);
    await backend.ended;
    await crowd.areGone();
    backend = await start();
    const beganMs = performance.now();
    const tookMs = (await crowd.comesBack()).toSorted((a, b) => a - b);
    const at = (part: number) => tookMs[Math.floor(part * (tookMs.length - 1))]!.toFixed(0);
    const { longestMs } = await figuresOf(backend);
    print(
      `behind ${name}: all of ${returning} there ${((performance.now() - beganMs) / 1000).toFixed(1)} s after the start; ` +
        `${tookMs.length} requests meanwhile, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; event loop busy for ${longestMs.toFixed(0)} ms at most\n`,
    );
  } finally {
    crowd.close();
  }
});
