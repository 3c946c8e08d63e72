// In charge of: three processes over one database, as applications see them by the official client: by Postgres, by NATS and by Redis, also when
// a process or the broker is killed in the middle.
import { createClient, type RealtimeChannel, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';
import { type Broker, hasBroker, startBroker } from './harness/brokers.ts';

const patienceMs = 40_000;
/** Of a test on a busy machine. */
const timeoutMs = 180_000;
let folder: string;
let server: PostgresServer;
let project: Awaited<ReturnType<typeof makeProject>>;

beforeAll(async () => {
  folder = await makeFolder();
  server = await openPostgres({ project: folder, port: 0, password: 'unused', observe: () => {} });
  await withClient({ ...server.login('supabase_admin'), database: 'postgres' }, (client) =>
    client.query(`create role owner login superuser password 'owner-pw'`),
  );
  project = await makeProject({
    'supabase/migrations/1_marks.sql': `create table public.marks (n int primary key);
      grant select on public.marks to anon, authenticated;
      alter publication supabase_realtime add table public.marks;`,
  });
});
afterAll(async () => {
  await server?.stop();
  await removeFolder(folder);
  await project?.[Symbol.asyncDispose]();
});

interface Room {
  readonly channel: RealtimeChannel;
  /** Payloads of broadcasts, in their order. */
  readonly heard: unknown[];
  readonly marks: number[];
  /** Everybody who is there. */
  there(): readonly string[];
  say(n: number): Promise<unknown>;
}

async function enter(
  { report }: RunningBackend,
  name: string,
  key: string,
  clients: SupabaseClient[],
): Promise<Room> {
  const client = createClient(report.API_URL, report.PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  clients.push(client);
  const channel = client.channel(name, { config: { presence: { key }, broadcast: { ack: true } } });
  const heard: unknown[] = [];
  const marks: number[] = [];
  channel.on('broadcast', { event: 'n' }, ({ payload }) => heard.push(payload.n));
  channel.on('presence', { event: 'sync' }, () => {});
  channel.on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'marks' }, ({ new: row }) =>
    marks.push((row as { n: number }).n),
  );
  const listens = new Promise<void>((resolve) => {
    channel.on('system', {}, ({ status }) => status === 'ok' && resolve());
  });
  await new Promise<void>((resolve, reject) => {
    channel.subscribe((status, error) => (status === 'SUBSCRIBED' ? resolve() : reject(error ?? status)));
  });
  await listens;
  return {
    channel,
    heard,
    marks,
    there: () => Object.keys(channel.presenceState()).toSorted(),
    say: (n) => channel.send({ type: 'broadcast', event: 'n', payload: { n } }),
  };
}

let rooms = 0;
const newRoom = () => `room ${++rooms}`;
const comes = (found: () => unknown, expected: unknown) =>
  vi.waitFor(() => expect(found()).toEqual(expected), patienceMs);
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

const inTurn = { concurrent: false };
const ways = [{ by: 'postgres' as const }, { by: 'nats' as const }, { by: 'redis' as const }];
// The ways beside each other: most of a story is waiting until somebody is taken for gone. The stories of one way follow each other.
describe.concurrent.each(ways.filter(({ by }) => by === 'postgres' || hasBroker(by)))(
  'three processes by $by',
  { timeout: timeoutMs },
  ({ by }) => {
    let broker: Broker | undefined;
    let env: Record<string, string>;
    let processes: RunningBackend[];
    const clients: SupabaseClient[] = [];
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.removeAllChannels()));
    });
    const sql = (text: string) =>
      withClient({ connectionString: env.DATABASE_URL! }, (client) => client.query(text));

    beforeAll(async () => {
      broker = by === 'postgres' ? undefined : await startBroker(by);
      await withClient({ ...server.login('supabase_admin'), database: 'postgres' }, (client) =>
        client.query(`create database by_${by}`),
      );
      env = {
        DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${server.login('postgres').port}/by_${by}`,
        MILLRACE_MASTER_KEY: 'the-same-for-all-0123456789-0123456789',
        ...(broker && { MILLRACE_FANOUT_URL: broker.url }),
      };
      processes = [];
      for (let count = 0; count < 3; count += 1)
        processes.push(await startBackend(project.folder, [], { env }));
    }, timeoutMs);
    afterAll(async () => {
      for (const process of processes ?? []) await process[Symbol.asyncDispose]();
      await broker?.[Symbol.asyncDispose]();
    });

    const enterAll = (name: string) =>
      Promise.all(processes.map((process, at) => enter(process, name, `p${at}`, clients)));

    it('hear what is said on each of them, in its order', inTurn, async () => {
      const all = await enterAll(newRoom());
      const [one, two, three] = all as [Room, Room, Room];
      for (const n of upTo(50)) {
        await one.say(n);
        await two.say(100 + n);
      }
      const from = ({ heard }: Room, least: number) =>
        heard.filter((n) => (n as number) > least && (n as number) <= least + 100);
      await comes(() => three.heard.length, 100);
      await comes(() => one.heard.length, 50);
      await comes(() => two.heard.length, 50);
      expect([from(three, 0), from(three, 100)]).toEqual([upTo(50), upTo(50).map((n) => 100 + n)]);
      expect([from(two, 0), from(one, 100)]).toEqual([upTo(50), upTo(50).map((n) => 100 + n)]);
    });

    it('show who is there on any of them, and let go of those of one that is killed', inTurn, async () => {
      const name = newRoom();
      const all = await enterAll(name);
      for (const { channel } of all) expect(await channel.track({})).toBe('ok');
      for (const { there } of all) await comes(there, ['p0', 'p1', 'p2']);
      processes[2]!.process.kill('SIGKILL');
      await processes[2]!.ended;
      for (const { there } of all.slice(0, 2)) await comes(there, ['p0', 'p1']);
      processes[2] = await startBackend(project.folder, [], { env });
      const { there } = await enter(processes[2]!, name, 'p2', clients);
      await comes(there, ['p0', 'p1']);
    });

    it(
      'hear each change once and in the order of the commits, also with the broker killed in the middle',
      inTurn,
      async () => {
        await sql('delete from marks');
        const all = await enterAll(newRoom());
        await withClient({ connectionString: env.DATABASE_URL! }, async (client) => {
          for (const n of upTo(300)) {
            if (n === 100) await broker?.kill();
            if (n === 200) await broker?.start();
            await client.query('insert into marks values ($1)', [n]);
          }
        });
        for (const { marks } of all) await comes(() => marks, upTo(300));
        for (const { log } of processes) expect(log()).not.toContain('"kind":"changes.gap"');
      },
    );

    it.skipIf(by === 'postgres')(
      'serve on by themselves while the broker is away, say so, and are one again when it is back',
      inTurn,
      async () => {
        const [one, two] = (await enterAll(newRoom())) as [Room, Room, Room];
        await one.channel.track({});
        await comes(two.there, ['p0']);
        await broker!.kill();
        const page = async () =>
          (await fetch(processes[0]!.report.API_URL, { headers: { accept: 'text/html' } })).text();
        await vi.waitFor(
          async () =>
            expect(await page()).toMatch(
              /the processes do not hear each other: the broker \w+:\/\/127\.0\.0\.1:\d+ is away/,
            ),
          patienceMs,
        );
        expect((await fetch(`${processes[0]!.report.API_URL}/ready`)).status).toBe(200);
        // Who comes and goes meanwhile is known afterwards; nobody is taken for gone before.
        expect(await two.channel.track({})).toBe('ok');
        await comes(two.there, ['p0', 'p1']);
        await one.channel.untrack();
        await comes(one.there, []);
        await broker!.start();
        await comes(one.there, ['p1']);
        await comes(two.there, ['p1']);
        await vi.waitFor(async () => {
          await one.say(1);
          expect(two.heard).toContain(1);
        }, patienceMs);
        await vi.waitFor(
          async () => expect(await page()).not.toContain('do not hear each other'),
          patienceMs,
        );
      },
    );

    it.skipIf(by === 'postgres')('end while the broker is away, and start only with it', inTurn, async () => {
      const room = await enter(processes[2]!, newRoom(), 'last', clients);
      await room.channel.track({});
      await broker!.kill();
      for (const n of upTo(20)) await room.say(n);
      expect(await processes[2]!.stop()).toBe(0);
      expect(processes[2]!.log()).not.toContain('stop.stuck');
      const url = broker!.url.replace('//', '//me:hush@');
      const start = startBackend(project.folder, [], { env: { ...env, MILLRACE_FANOUT_URL: url } });
      const said = await start.then(
        () => 'it started',
        (error: Error) => error.message,
      );
      expect(said).toContain(`The broker ${broker!.url} of [fanout].url cannot be reached: `);
      expect(said).not.toContain('hush');
      await broker!.start();
    });
  },
);
