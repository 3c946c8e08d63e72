// In charge of: what happens at each limit of realtime, as a client sees it.
import { createClient, type RealtimeChannel, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { NotUpgraded, openLightSocket } from './harness/light-socket.ts';
import { answerTo, openPhoenixSocket, type PhoenixSocket } from './harness/phoenix-socket.ts';
import { personToken } from './harness/tokens.ts';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
const clients: SupabaseClient[] = [];

beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': `
[realtime]
max_concurrent_users = 4
max_channels_per_client = 3
max_joins_per_second = 10
max_events_per_second = 20
max_payload_size_in_kb = 1
`,
    'supabase/migrations/1_slow.sql': `
create policy slow on realtime.messages for select to anon using (realtime.topic() = 'slow' and pg_sleep(2) is not null);
`,
  });
  backend = await startBackend(project.folder);
});
afterEach(async () => {
  for (const client of clients.splice(0)) {
    await client.removeAllChannels();
    await client.realtime.disconnect();
  }
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function client(): SupabaseClient {
  const made = createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  clients.push(made);
  return made;
}

const joined = (channel: RealtimeChannel) =>
  new Promise<string>((resolve) =>
    channel.subscribe((status, error) =>
      resolve(error === undefined ? status : `${status}: ${error.message}`),
    ),
  );

/** What the server says of a channel that it shuts down. */
function shutDown(channel: RealtimeChannel): { readonly sentences: string[] } {
  const sentences: string[] = [];
  channel.on('system', {}, ({ status, message }: { status: string; message: string }) => {
    if (status === 'error') sentences.push(message);
  });
  return { sentences };
}

const phoenix = () => openPhoenixSocket(backend.report.API_URL, backend.report.PUBLISHABLE_KEY);

it('refuses a join that is too large to be kept', async () => {
  await using socket = await phoenix();
  socket.say('1', '1', 'realtime:large', 'phx_join', {
    config: { postgres_changes: ['x'.repeat(256 * 1024)] },
  });
  expect(await socket.hear(answerTo('1'))).toMatchObject({
    4: { status: 'error', response: { reason: 'JoinTooLarge: The join is too large' } },
  });
});

it('shuts down a channel that has too much waiting to be handled', async () => {
  await using socket = await phoenix();
  socket.say('1', '1', 'realtime:slow', 'phx_join', { config: { private: true } });
  for (let at = 2; at < 5; at++)
    socket.say('1', String(at), 'realtime:slow', 'broadcast', { payload: 'x'.repeat(4_000_000) });
  expect(await socket.hear((message) => message[3] === 'system')).toMatchObject({
    4: { status: 'error', message: 'Too many messages per second' },
  });
});
const join = (socket: PhoenixSocket, topic: string, ref: string, config: object = {}) => {
  socket.say(ref, ref, `realtime:${topic}`, 'phx_join', { config });
  return socket.hear<unknown[]>(answerTo(ref));
};
const accepted = (ref: string, topic: string) => [
  ref,
  ref,
  `realtime:${topic}`,
  'phx_reply',
  { status: 'ok', response: { postgres_changes: [] } },
];
const refused = (ref: string, topic: string, reason: string) => [
  ref,
  ref,
  `realtime:${topic}`,
  'phx_reply',
  { status: 'error', response: { reason } },
];

it('refuses one channel more than a client may have, until it leaves another', async () => {
  await using socket = await phoenix();
  for (const ref of ['1', '2', '3'])
    expect(await join(socket, `room ${ref}`, ref)).toEqual(accepted(ref, `room ${ref}`));
  expect(await join(socket, 'room 4', '4')).toEqual(
    refused('4', 'room 4', 'ChannelRateLimitReached: Too many channels'),
  );
  socket.say('1', '5', 'realtime:room 1', 'phx_leave', {});
  await socket.hear(answerTo('5'));
  expect(await join(socket, 'room 4', '6')).toEqual(accepted('6', 'room 4'));
});

it('refuses one client more than there may be, at its join and at its handshake', async () => {
  await using stack = new AsyncDisposableStack();
  // It is there already, and has not joined anything yet.
  const late = stack.use(await phoenix());
  for (const _ of [1, 2, 3, 4]) {
    const socket = stack.use(await phoenix());
    await join(socket, 'room', '1');
  }
  expect(await join(late, 'room', '1')).toEqual(
    refused('1', 'room', 'ConnectionRateLimitReached: Too many connected users'),
  );
  const url = `${backend.report.API_URL.replace('http', 'ws')}/realtime/v1/websocket?apikey=${backend.report.ANON_KEY}&vsn=2.0.0`;
  const tooMany = await openLightSocket(url, () => {}).catch((error: unknown) => error);
  expect(tooMany).toBeInstanceOf(NotUpgraded);
  expect(tooMany).toMatchObject({
    status: 429,
    answer: expect.stringMatching(
      /retry-after: ([5-9]|[12]\d|30)\r\n[\s\S]*\{"error":"Too many connected users"\}/,
    ),
  });
});

it('closes the channel of a client that tracks itself too often, and no other', async () => {
  const one = client().channel('room', { config: { presence: { key: 'a' } } });
  const other = client().channel('room', { config: { presence: { key: 'b' } } });
  const heard = shutDown(one);
  one.on('presence', { event: 'sync' }, () => {});
  other.on('presence', { event: 'sync' }, () => {});
  expect([await joined(one), await joined(other)]).toEqual(['SUBSCRIBED', 'SUBSCRIBED']);
  for (let call = 0; call < 5; call++) expect(await one.track({ call })).toBe('ok');
  void one.track({ call: 5 });
  await vi.waitFor(() => expect(heard.sentences).toEqual(['Client presence rate limit exceeded']), 20_000);
  await vi.waitFor(() => expect(other.presenceState()).toEqual({}), 20_000);
  expect(await other.track({ still: 'here' })).toBe('ok');
});

it('does not pass on what is larger than it may be, and says so where somebody waits for an answer', async () => {
  const config = { broadcast: { self: true, ack: true } };
  const channel = client().channel('room', { config });
  const heard: unknown[] = [];
  channel.on('broadcast', { event: 'word' }, ({ payload }) => heard.push(payload));
  const end = shutDown(channel);
  expect(await joined(channel)).toBe('SUBSCRIBED');
  const say = (payload: object) => channel.send({ type: 'broadcast', event: 'word', payload });
  expect(await say({ text: 'x'.repeat(2_000) })).toBe('error');
  expect(await say({ text: 'x'.repeat(1_000) })).toBe('ok');
  await vi.waitFor(() => expect(heard).toEqual([{ text: 'x'.repeat(1_000) }]), 20_000);
  void channel.track({ text: 'x'.repeat(2_000) });
  await vi.waitFor(() => expect(end.sentences).toEqual(['Track message size exceeded']), 20_000);
});

it('closes a channel that sends more than there may be, and refuses broadcasts by request', async () => {
  const channel = client().channel('room', { config: { broadcast: { self: true } } });
  const end = shutDown(channel);
  expect(await joined(channel)).toBe('SUBSCRIBED');
  const url = `${backend.report.API_URL}/realtime/v1/api/broadcast`;
  const headers = { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' };
  const batch = (size: number) =>
    fetch(url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ messages: Array(size).fill({ topic: 'elsewhere', event: 'e', payload: {} }) }),
    });
  const tooLarge = await batch(100);
  expect([tooLarge.status, await tooLarge.json()]).toEqual([
    429,
    { message: 'Too many messages to broadcast, please reduce the batch size' },
  ]);
  // An average is known when a tick of five seconds is over.
  await vi.waitFor(
    async () => {
      for (let at = 0; at < 300; at++) void channel.send({ type: 'broadcast', event: 'e', payload: { at } });
      await vi.waitFor(() => expect(end.sentences).toEqual(['Too many messages per second']), 2_000);
    },
    { timeout: 40_000, interval: 100 },
  );
  const over = await batch(1);
  expect([over.status, await over.json(), over.headers.get('retry-after')]).toEqual([
    429,
    { message: 'Too many requests' },
    '5',
  ]);
}, 90_000);

it('closes the channels of one that floods all others, and nobody else’s', async () => {
  const [flooder, hearer, speaker] = [client(), client(), client()];
  await hearer.realtime.setAuth(await personToken('11111111-1111-4111-8111-111111111111'));
  await speaker.realtime.setAuth(await personToken('22222222-2222-4222-8222-222222222222'));
  const flood = flooder.channel('room');
  const ear = hearer.channel('room');
  const mouth = speaker.channel('room', { config: { broadcast: { ack: true } } });
  const heard: unknown[] = [];
  ear.on('broadcast', { event: 'word' }, ({ payload }) => heard.push(payload));
  const [floodEnd, earEnd, mouthEnd] = [shutDown(flood), shutDown(ear), shutDown(mouth)];
  expect([await joined(flood), await joined(ear), await joined(mouth)]).toEqual(Array(3).fill('SUBSCRIBED'));
  await vi.waitFor(
    async () => {
      for (let at = 0; at < 1_000; at++) void flood.send({ type: 'broadcast', event: 'e', payload: { at } });
      await vi.waitFor(() => expect(floodEnd.sentences).toEqual(['Too many messages per second']), 2_000);
    },
    { timeout: 40_000, interval: 100 },
  );
  // All together are over for up to a minute from here on.
  for (const n of [1, 2, 3])
    expect(await mouth.send({ type: 'broadcast', event: 'word', payload: { n } })).toBe('ok');
  await vi.waitFor(() => expect(heard).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]), 20_000);
  expect([earEnd.sentences, mouthEnd.sentences]).toEqual([[], []]);
  const again = flooder.channel('elsewhere', { config: { broadcast: { ack: true } } });
  const againEnd = shutDown(again);
  expect(await joined(again)).toBe('SUBSCRIBED');
  void again.send({ type: 'broadcast', event: 'e', payload: {} });
  await vi.waitFor(() => expect(againEnd.sentences).toEqual(['Too many messages per second']), 20_000);
}, 90_000);

it('disconnects who joins when there are too many joins, and takes no handshakes until there are fewer', async () => {
  await using socket = await phoenix();
  let ref = 0;
  const timer = setInterval(() => {
    for (let at = 0; at < 20; at++) socket.say(String(++ref), String(ref), 'realtime:room', 'phx_join', {});
  }, 100);
  const end = await socket.closed;
  clearInterval(timer);
  const reason = 'ClientJoinRateLimitReached: Too many joins per second';
  expect(end).toEqual({ code: 1008, reason });
  expect(socket.heard.at(-1)).toMatchObject({ 3: 'phx_reply', 4: { status: 'error', response: { reason } } });
  const next = await phoenix().then(
    () => 'a socket',
    (error: Error) => error.message,
  );
  expect(next).toContain('429');
}, 90_000);
