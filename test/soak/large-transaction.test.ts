// In charge of: one transaction of a million rows in a table that is listened to: what it takes of memory, that everybody hears all of it or of a gap, and
// that others are served meanwhile. `npm run soak`; ROWS=… for more or fewer.
import { expect, it } from 'vitest';
import { delay } from '../../src/base/time.ts';
import { withClient } from '../../src/engine/db/client.ts';
import { makeProject, type RunningBackend, startBackend } from '../harness/backend.ts';
import { type LightSocket, openLightSocket } from '../harness/light-socket.ts';
import { peakOf } from '../harness/peak-memory.ts';
import { personToken } from '../harness/tokens.ts';

const rows = Number(process.env.ROWS ?? 1_000_000);
/** What may be in memory at once: what is on its way, what is kept for those who come back, what a client has not read, each twice, and what the heap is slow to give back. */
const allowedMiB = 512;
const alice = '00000000-0000-4000-8000-00000000000a';
const nobody = '00000000-0000-4000-8000-00000000000b';

const print = (text: string) => void process.stdout.write(`${text}\n`);

it(`${rows} rows in one transaction`, { timeout: 1_500_000 }, async () => {
  await using project = await makeProject({
    'supabase/config.toml': 'project_id = "large"\n[api]\nauto_expose_new_tables = true\n',
    'supabase/migrations/1_large.sql': `
      create table public.large (id bigint primary key, owner uuid, n integer, word text);
      alter table public.large enable row level security;
      create policy own on public.large for select to authenticated using ((select auth.uid()) = owner);
      create table public.other (id bigint primary key, at timestamptz);
      alter table public.other enable row level security;
      create policy everybody on public.other for select using (true);
      alter publication supabase_realtime add table public.large, public.other;`,
  });
  await using backend = await startBackend(project.folder, ['--log-level', 'warn']);
  const { SERVICE_ROLE_KEY, PUBLISHABLE_KEY, DB_URL, API_URL, PID } = backend.report;
  const all = await listen(backend, 'all', SERVICE_ROLE_KEY, {});
  const hers = await listen(backend, 'hers', await personToken(alice), {});
  const filtered = await listen(backend, 'filtered', SERVICE_ROLE_KEY, { filter: 'n=lt.1000' });
  const none = await listen(backend, 'none', await personToken(nobody), {});
  const everybody = [
    { ear: all, shown: rows },
    { ear: hers, shown: rows / 2 },
    { ear: filtered, shown: 1_000 },
    { ear: none, shown: 0 },
  ];
  const beside = await listen(backend, 'beside', PUBLISHABLE_KEY, { table: 'other' });
  using _ = {
    [Symbol.dispose]() {
      for (const { close } of [all, hers, filtered, none, beside]) close();
    },
  };
  // What a process takes when it has worked a little.
  await withClient({ connectionString: DB_URL }, (client) =>
    client.query(`insert into large select id, '${alice}', 5000, 'warm' from generate_series(-2000, -1) id`),
  );
  await expect.poll(() => [all.count, hers.count], { timeout: 60_000 }).toEqual([2_000, 2_000]);
  for (const { ear } of everybody) ear.count = 0;

  const served: number[] = [];
  const late: number[] = [];
  let isOver = false;
  const serving = (async () => {
    while (!isOver) {
      const beganMs = performance.now();
      const answer = await fetch(`${API_URL}/rest/v1/other?limit=1`, {
        headers: { apikey: PUBLISHABLE_KEY },
      });
      expect(answer.status).toBe(200);
      await answer.arrayBuffer();
      served.push(performance.now() - beganMs);
      await delay(100);
    }
  })();
  let committedMs = 0;
  const beganMs = performance.now();
  const peak = await peakOf(PID, async () => {
    await withClient({ connectionString: DB_URL }, async (client) => {
      await client.query(
        `insert into large select id, case id % 2 when 0 then '${alice}'::uuid end, id, 'word ' || id from generate_series(0, ${rows - 1}) id`,
      );
      committedMs = performance.now();
      // Behind the large one in the order of the commits.
      await client.query('insert into other values (1, now())');
    });
    while (beside.count < 1) await delay(20);
    late.push(performance.now() - committedMs);
    const isDone = () => everybody.every(({ ear, shown }) => ear.count >= shown || ear.gaps.length > 0);
    while (!isDone()) await delay(50);
    await delay(1_000);
  });
  const tookMs = performance.now() - committedMs;
  isOver = true;
  await serving;
  served.sort((a, b) => a - b);
  const at = (part: number) => served[Math.floor(part * (served.length - 1))]!.toFixed(0);
  print(
    `${rows} rows: ${peak.aboveMiB} MiB above ${peak.idleMiB}; the commit after ${((committedMs - beganMs) / 1000).toFixed(1)} s, ` +
      `all told ${((tookMs - 1_000) / 1000).toFixed(1)} s after it, another table's change ${(late[0]! / 1000).toFixed(1)} s`,
  );
  print(`${served.length} requests meanwhile: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`);
  for (const { ear, shown } of everybody)
    print(
      `${ear.name}: ${ear.count} of ${shown}, ${ear.ends.length} times cut off (${ear.ends[0] ?? ''}), gaps: ${ear.gaps.length}`,
    );
  for (const { ear, shown } of everybody) {
    expect([ear.name, ear.isInOrder]).toEqual([ear.name, true]);
    if (ear.gaps.length === 0) expect([ear.name, ear.count]).toEqual([ear.name, shown]);
    else expect(ear.count).toBeLessThan(shown);
  }
  expect(peak.aboveMiB).toBeLessThan(allowedMiB);
});

interface Ear {
  readonly name: string;
  count: number;
  readonly gaps: string[];
  /** Why it was cut off. */
  readonly ends: string[];
  readonly isInOrder: boolean;
  close(): void;
}

/** One that comes back with the last id that it saw when it is cut off. */
async function listen(
  { report }: RunningBackend,
  name: string,
  token: string,
  wish: { readonly table?: string; readonly filter?: string },
): Promise<Ear> {
  const url = `${report.API_URL.replace('http', 'ws')}/realtime/v1/websocket?apikey=${report.PUBLISHABLE_KEY}&vsn=2.0.0`;
  const ear = { name, count: 0, gaps: [] as string[], ends: [] as string[], isInOrder: true };
  let lastId = '';
  let isClosed = false;
  let socket: LightSocket;
  const { promise: listens, resolve } = Promise.withResolvers<void>();

  function heard(payload: Buffer): void {
    const text = payload.toString();
    if (text.includes('"postgres_changes",{"ids"')) {
      const id = /"id":"([^"]+)","data"/.exec(text)![1]!;
      ear.isInOrder &&= id > lastId;
      lastId = id;
      ear.count++;
    } else if (text.includes('"gap"')) ear.gaps.push(text);
    else if (text.includes('Subscribed to PostgreSQL')) resolve();
  }

  async function open(): Promise<void> {
    socket = await openLightSocket(url, heard);
    const since = lastId === '' ? {} : { since: lastId };
    const changes = { event: '*', schema: 'public', table: 'large', ...wish, ...since };
    const join = { config: { postgres_changes: [changes] }, access_token: token };
    socket.send(JSON.stringify(['1', '1', `realtime:${name}`, 'phx_join', join]));
    void socket.ended.then(({ code, reason }) => {
      if (isClosed) return;
      ear.ends.push(`${code} ${reason}`);
      setTimeout(() => void open(), 500);
    });
  }

  await open();
  const beats = setInterval(() => socket.send('[null,"0","phoenix","heartbeat",{}]'), 20_000);
  await listens;
  return Object.assign(ear, {
    close() {
      isClosed = true;
      clearInterval(beats);
      socket.close();
    },
  });
}
