// In charge of: what a broken network and a stop do to channels: who comes back misses nothing, and many who come back at once all do, while the
// server answers everybody else.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';
import { openCrowd } from './harness/crowd.ts';
import { type CutProxy, openCutProxy } from './harness/cut-proxy.ts';
import { freePort } from './harness/free-port.ts';
import { answerTo, openPhoenixSocket, type PhoenixSocket } from './harness/phoenix-socket.ts';
import { openSession } from './harness/sessions.ts';

const returning = Number(process.env.SOCKETS ?? 200);

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let port: number;
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': 'project_id = "network"\n[api]\nauto_expose_new_tables = true\n',
    'supabase/migrations/1_notes.sql': `
      create table public.notes (id bigint primary key);
      alter table public.notes enable row level security;
      create policy everybody on public.notes for select using (true);
      alter publication supabase_realtime add table public.notes;`,
  });
  port = await freePort();
  backend = await startBackend(project.folder, ['--port', String(port)]);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

describe('a network that is cut again and again', () => {
  let proxy: CutProxy;
  afterEach(() => proxy?.[Symbol.asyncDispose]());

  it('costs a client that says what it saw last nothing: each change comes, once, in order', async () => {
    proxy = await openCutProxy(backend.report.API_URL);
    const seen: number[] = [];
    let last: string | undefined;

    /** Joins behind what was seen last, and reads until the connection breaks. */
    async function follow(): Promise<PhoenixSocket> {
      const socket = await openPhoenixSocket(proxy.url, backend.report.PUBLISHABLE_KEY);
      socket.socket.on('message', (data: Buffer) => {
        const [, , , event, payload] = JSON.parse(data.toString()) as [
          unknown,
          unknown,
          unknown,
          string,
          { id?: string; data?: { record: { id: number } } },
        ];
        if (event === 'gap') seen.push(Number.NaN);
        if (event !== 'postgres_changes') return;
        last = payload.id;
        seen.push(payload.data!.record.id);
      });
      const entry = { event: '*', schema: 'public', table: 'notes' };
      const postgres_changes = [last === undefined ? entry : { ...entry, since: last }];
      socket.say('1', '1', 'realtime:notes', 'phx_join', { config: { postgres_changes } });
      await socket.hear(answerTo('1'));
      return socket;
    }

    let socket = await follow();
    await socket.hear((message) => message[3] === 'system');
    await using session = await openSession(backend, 'select');
    const rows = 500;
    let isWritten = false;
    const writing = (async () => {
      for (let id = 1; id <= rows; id++) {
        await session.query('insert into public.notes values ($1)', [id]);
        await new Promise((resolve) => setTimeout(resolve, 4));
      }
      isWritten = true;
    })();
    let cuts = 0;
    while (!isWritten) {
      const before = seen.length;
      await vi.waitFor(() => expect(seen.length > before + 20 || isWritten).toBe(true), 20_000);
      proxy.cut();
      cuts += 1;
      await socket.closed;
      socket = await follow();
    }
    await writing;
    await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(rows), 20_000);
    socket.socket.terminate();
    expect(seen).toEqual(Array.from({ length: rows }, (_, at) => at + 1));
    expect(cuts).toBeGreaterThan(3);
  }, 60_000);
});

describe('a server that is started anew', () => {
  it(`has all of ${returning} clients again, and answers requests while they come`, async () => {
    const crowd = openCrowd(backend.report, returning);
    try {
      await crowd.areThere();
      expect(await backend.stop()).toBe(0);
      await crowd.areGone();
      backend = await startBackend(project.folder, ['--port', String(port)]);
      await crowd.comesBack();
    } finally {
      crowd.close();
    }
  }, 180_000);
});
