// In charge of: presence and broadcasts by request as an application uses them: by the official client, on one process and on several over one database.
import { createClient, type RealtimeChannel, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { startBackend as startProgram } from './harness/backend.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { personToken } from './harness/tokens.ts';

const ada = '11111111-1111-4111-8111-111111111111';
const bob = '22222222-2222-4222-8222-222222222222';
const policies = `
create policy "hear" on realtime.messages for select to authenticated using (realtime.topic() = 'hall');
create policy "speak" on realtime.messages for insert to authenticated
  with check (realtime.topic() = 'hall' and auth.uid() = '${ada}');
create policy "raises" on realtime.messages for insert to authenticated
  with check (case when realtime.topic() = 'broken' then length(realtime.topic()) / (length(realtime.topic()) - 6) > 0 end);
`;

let folder: string;
let server: PostgresServer;
let project: Awaited<ReturnType<typeof makeProject>>;
let env: Record<string, string>;
/** Two processes over one database. */
let one: RunningBackend;
let two: RunningBackend;
const clients: SupabaseClient[] = [];

beforeAll(async () => {
  folder = await makeFolder();
  server = await openPostgres({ project: folder, port: 0, password: 'unused', observe: () => {} });
  for (const sql of [`create role owner login superuser password 'owner-pw'`, 'create database shared'])
    await withClient({ ...server.login('supabase_admin'), database: 'postgres' }, (client) =>
      client.query(sql),
    );
  project = await makeProject({ 'supabase/migrations/1_policies.sql': policies });
  env = {
    DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${server.login('postgres').port}/shared`,
    MILLRACE_MASTER_KEY: 'the-same-for-both-0123456789-0123456789',
    // One test tracks more often than an application would.
    CLIENT_PRESENCE_MAX_CALLS: '100',
  };
  one = await startBackend(project.folder, [], { env });
  two = await startProgram(project.folder, [], { env });
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.removeAllChannels()));
});
afterAll(async () => {
  await one?.[Symbol.asyncDispose]();
  await two?.[Symbol.asyncDispose]();
  await server?.stop();
  await removeFolder(folder);
  await project?.[Symbol.asyncDispose]();
});

async function clientOf({ report }: RunningBackend, person?: string): Promise<SupabaseClient> {
  const client = createClient(report.API_URL, report.PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  if (person !== undefined) await client.realtime.setAuth(await personToken(person));
  clients.push(client);
  return client;
}

const joined = (channel: RealtimeChannel) =>
  new Promise<string>((resolve) =>
    channel.subscribe((status, error) =>
      resolve(error === undefined ? status : `${status}: ${error.message}`),
    ),
  );

interface Room {
  readonly channel: RealtimeChannel;
  /** Who came and who went, in order. */
  readonly news: string[];
  /** Everybody who is there, with what they say of themselves. */
  there(): Record<string, unknown[]>;
}

let rooms = 0;
const newRoom = () => `room ${++rooms}`;

async function enter(
  backend: RunningBackend,
  name: string,
  key: string,
  { person, isPrivate = false }: { person?: string; isPrivate?: boolean } = {},
): Promise<Room> {
  const client = await clientOf(backend, person);
  const channel = client.channel(name, { config: { private: isPrivate, presence: { key } } });
  const news: string[] = [];
  channel.on('presence', { event: 'join' }, ({ key: who }) => news.push(`+${who}`));
  channel.on('presence', { event: 'leave' }, ({ key: who }) => news.push(`-${who}`));
  expect(await joined(channel)).toBe('SUBSCRIBED');
  return {
    channel,
    news,
    there: () =>
      Object.fromEntries(
        Object.entries(channel.presenceState()).map(([who, metas]) => [
          who,
          metas.map(({ presence_ref: _, ...said }) => said),
        ]),
      ),
  };
}

const comes = (found: () => unknown, expected: unknown) =>
  vi.waitFor(() => expect(found()).toEqual(expected), 30_000);

describe('presence', () => {
  it('shows who is there, what they say of themselves now, and who went', async () => {
    const name = newRoom();
    const [ann, ben] = [await enter(one, name, 'ann'), await enter(one, name, 'ben')];
    expect(await ann.channel.track({ mood: 'fine' })).toBe('ok');
    expect(await ben.channel.track({ mood: 'tired' })).toBe('ok');
    for (const { there } of [ann, ben])
      await comes(there, { ann: [{ mood: 'fine' }], ben: [{ mood: 'tired' }] });
    await ann.channel.track({ mood: 'better' });
    await comes(ben.there, { ann: [{ mood: 'better' }], ben: [{ mood: 'tired' }] });
    expect(await ben.channel.untrack()).toBe('ok');
    for (const { there } of [ann, ben]) await comes(there, { ann: [{ mood: 'better' }] });
    // Who comes later sees the same, without having seen how it came.
    const cid = await enter(one, name, 'cid');
    await comes(cid.there, { ann: [{ mood: 'better' }] });
    await ann.channel.unsubscribe();
    for (const { there } of [ben, cid]) await comes(there, {});
    expect(ben.news).toEqual(['+ann', '+ben', '+ann', '-ann', '-ben', '-ann']);
  });

  it('shows one person on two screens by one key', async () => {
    const name = newRoom();
    const [phone, desk] = [await enter(one, name, 'ann'), await enter(two, name, 'ann')];
    await phone.channel.track({ on: 'phone' });
    await desk.channel.track({ on: 'desk' });
    await vi.waitFor(() => {
      for (const { there } of [phone, desk])
        expect(there().ann?.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))).toEqual([
          { on: 'desk' },
          { on: 'phone' },
        ]);
    }, 30_000);
    await phone.channel.unsubscribe();
    await comes(desk.there, { ann: [{ on: 'desk' }] });
  });

  it('is the same on all processes', async () => {
    const name = newRoom();
    const here = await Promise.all(['a', 'b', 'c'].map((key) => enter(one, name, key)));
    const there = await Promise.all(['d', 'e', 'f'].map((key) => enter(two, name, key)));
    const all = [...here, ...there];
    await Promise.all(all.map(({ channel }, at) => channel.track({ at })));
    const expected = {
      a: [{ at: 0 }],
      b: [{ at: 1 }],
      c: [{ at: 2 }],
      d: [{ at: 3 }],
      e: [{ at: 4 }],
      f: [{ at: 5 }],
    };
    for (const room of all) await comes(room.there, expected);
    // Changes and comings and goings on both sides at once.
    await Promise.all([
      ...here.map(({ channel }, at) => channel.track({ at, now: true })),
      ...there.map(({ channel }) => channel.untrack()),
    ]);
    for (const room of all)
      await comes(room.there, {
        a: [{ at: 0, now: true }],
        b: [{ at: 1, now: true }],
        c: [{ at: 2, now: true }],
      });
  });

  it('takes any name, also what Postgres does not know as text', async () => {
    for (const odd of ['zero \u0000 character', 'half \ud83c of a pair']) {
      const name = `${newRoom()} ${odd}`;
      const [ann, ben] = [await enter(one, name, odd), await enter(two, name, 'ben')];
      await ann.channel.track({ [odd]: odd });
      // Half of a pair is not UTF-8: what stands in its place is up to whoever writes it down.
      await vi.waitFor(() => expect(Object.keys(ben.there())).toHaveLength(1), 30_000);
      await ben.channel.track({ is: 'here' });
      await comes(() => ann.there().ben, [{ is: 'here' }]);
    }
  });

  it('ends with the process that is killed, and what is there is known to one that starts', async () => {
    const name = newRoom();
    const ann = await enter(one, name, 'ann');
    await ann.channel.track({ is: 'here' });
    const mortal = await startProgram(project.folder, [], { env });
    const ben = await enter(mortal, name, 'ben');
    await comes(ben.there, { ann: [{ is: 'here' }] });
    await ben.channel.track({ is: 'mortal' });
    await comes(ann.there, { ann: [{ is: 'here' }], ben: [{ is: 'mortal' }] });
    // The client would come back to another process; this one has none to go to.
    mortal.process.kill('SIGKILL');
    await mortal.ended;
    await vi.waitFor(() => expect(ann.there()).toEqual({ ann: [{ is: 'here' }] }), 60_000);
    expect(ann.news.at(-1)).toBe('-ben');
    await mortal[Symbol.asyncDispose]();
  });

  it('in a private channel is for those whom policies let see it and be seen', async () => {
    const asAda = await enter(one, 'hall', 'ada', { person: ada, isPrivate: true });
    const asBob = await enter(two, 'hall', 'bob', { person: bob, isPrivate: true });
    const outside = await enter(two, 'hall', 'eve');
    expect(await asAda.channel.track({ is: 'heard' })).toBe('ok');
    await comes(asBob.there, { ada: [{ is: 'heard' }] });
    expect(await asBob.channel.track({ is: 'not' })).toBe('error');
    expect(await outside.channel.track({ is: 'outside' })).toBe('ok');
    await comes(outside.there, { eve: [{ is: 'outside' }] });
    expect(asAda.there()).toEqual({ ada: [{ is: 'heard' }] });
  });
});

describe('broadcasts by request', () => {
  const post = async (
    { report }: RunningBackend,
    path: string,
    body: unknown,
    { person, type = 'application/json' }: { person?: string; type?: string } = {},
  ) => {
    const response = await fetch(`${report.API_URL}/realtime/v1/api${path}`, {
      method: 'POST',
      headers: {
        apikey: report.PUBLISHABLE_KEY,
        'content-type': type,
        ...(person === undefined ? {} : { authorization: `Bearer ${await personToken(person)}` }),
      },
      body: Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? '' : JSON.parse(text) };
  };

  async function listen(
    backend: RunningBackend,
    name: string,
    facts: { person?: string; isPrivate?: boolean } = {},
  ): Promise<unknown[]> {
    const client = await clientOf(backend, facts.person);
    const heard: unknown[] = [];
    const channel = client.channel(name, { config: { private: facts.isPrivate ?? false } });
    channel.on('broadcast', { event: '*' }, ({ event, payload }) =>
      heard.push([event, payload instanceof ArrayBuffer ? [...new Uint8Array(payload)] : payload]),
    );
    expect(await joined(channel)).toBe('SUBSCRIBED');
    return heard;
  }

  it('reach the clients of every process, by the batch, one by one, and by the client’s own httpSend', async () => {
    const name = newRoom();
    const heard = [await listen(one, name), await listen(two, name)];
    expect(
      await post(one, '/broadcast', {
        messages: [
          { topic: name, event: 'first', payload: { n: 1 } },
          { topic: 'elsewhere', event: 'first', payload: { n: 1 } },
          { topic: name, event: 'second', payload: { n: 2 } },
        ],
      }),
    ).toEqual({ status: 202, body: '' });
    for (const each of heard)
      await comes(
        () => each,
        [
          ['first', { n: 1 }],
          ['second', { n: 2 }],
        ],
      );
    const path = `/broadcast/${encodeURIComponent(name)}/events`;
    expect(await post(two, `${path}/third`, { n: 3 })).toEqual({ status: 202, body: '' });
    for (const each of heard) await comes(() => each.at(-1), ['third', { n: 3 }]);
    expect(
      await post(one, `${path}/bytes`, Buffer.from([0, 1, 255]), { type: 'application/octet-stream' }),
    ).toEqual({ status: 202, body: '' });
    for (const each of heard) await comes(() => each.at(-1), ['bytes', [0, 1, 255]]);
    const sender = (await clientOf(two)).channel(name);
    expect(await sender.httpSend('fourth', { n: 4 })).toEqual({ success: true });
    for (const each of heard) await comes(() => each.at(-1), ['fourth', { n: 4 }]);
  });

  it('into private channels are for those whom policies let speak there', async () => {
    const heard = await listen(two, 'hall', { person: bob, isPrivate: true });
    const message = { topic: 'hall', event: 'said', payload: { by: 'ada' }, private: true };
    expect(await post(one, '/broadcast', { messages: [message] }, { person: ada })).toMatchObject({
      status: 202,
    });
    await comes(() => heard, [['said', { by: 'ada' }]]);
    // In a batch, nothing is said of what was left out.
    const byBob = { ...message, payload: { by: 'bob' } };
    expect(await post(one, '/broadcast', { messages: [byBob] }, { person: bob })).toEqual({
      status: 202,
      body: '',
    });
    const single = (topic: string, person?: string) =>
      post(
        one,
        `/broadcast/${topic}/events/said?private=true`,
        { by: person ?? 'nobody' },
        person === undefined ? {} : { person },
      );
    expect(await single('hall', bob)).toEqual({ status: 403, body: { message: 'Unauthorized' } });
    expect(await single('hall')).toEqual({ status: 403, body: { message: 'Unauthorized' } });
    expect(await single('broken', ada)).toEqual({ status: 422, body: { message: 'RLS policy error' } });
    expect(await single('hall', ada)).toEqual({ status: 202, body: '' });
    await comes(
      () => heard,
      [
        ['said', { by: 'ada' }],
        ['said', { by: ada }],
      ],
    );
    const asBob = (await clientOf(one, bob)).channel('hall', { config: { private: true } });
    await expect(asBob.httpSend('said', { by: 'bob' })).rejects.toThrow('Unauthorized');
  });

  it('are refused without a key, with a token that does not hold, and when something is missing', async () => {
    const bare = await fetch(`${one.report.API_URL}/realtime/v1/api/broadcast`, { method: 'POST' });
    expect([bare.status, await bare.json()]).toEqual([401, { message: 'Unauthorized' }]);
    const wrong = await fetch(`${one.report.API_URL}/realtime/v1/api/broadcast`, {
      method: 'POST',
      headers: {
        apikey: one.report.PUBLISHABLE_KEY,
        authorization: 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.nothing',
      },
      body: '{}',
    });
    expect([wrong.status, await wrong.json()]).toEqual([401, { message: 'Unauthorized' }]);
    expect(await post(one, '/broadcast', { messages: [{ topic: 'room' }] })).toEqual({
      status: 422,
      body: { errors: { messages: [{ event: ["can't be blank"], payload: ["can't be blank"] }] } },
    });
  });
});
