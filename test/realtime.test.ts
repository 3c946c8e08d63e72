// In charge of: channels as an application uses them: the official client over a real socket, private rooms under the project's own policies, and
// what a stranger tries.
import { createClient, type RealtimeChannel, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { answerTo, openPhoenixSocket } from './harness/phoenix-socket.ts';
import { personToken } from './harness/tokens.ts';

/** Rooms that everybody signed in may hear, where only the owner speaks; one in which a policy raises; one of a member's own. */
const policies = `
create table public.members (room text, person uuid, speaks boolean default false);
alter table public.members enable row level security;
create policy "own rows" on public.members for select to authenticated using (person = auth.uid());
create policy "hear" on realtime.messages for select to authenticated
  using (exists (select from public.members where room = realtime.topic() and person = (select auth.uid())));
create policy "speak" on realtime.messages for insert to authenticated
  with check (extension = 'broadcast' and exists (
    select from public.members where room = realtime.topic() and person = (select auth.uid()) and speaks));
create policy "be there" on realtime.messages for insert to authenticated
  with check (extension = 'presence' and realtime.topic() = 'hall');
create policy "raises" on realtime.messages as restrictive for select to authenticated
  using (case when realtime.topic() = 'broken' then 1 / length(realtime.topic() || '') > 1 / (length(realtime.topic()) - 6) else true end);
create policy "slow" on realtime.messages for select to authenticated using (realtime.topic() like 'slow %' and pg_sleep(0.1) is not null);
insert into public.members values
  ('hall', '11111111-1111-4111-8111-111111111111', true), ('hall', '22222222-2222-4222-8222-222222222222', false),
  ('broken', '11111111-1111-4111-8111-111111111111', true);
`;
const ada = '11111111-1111-4111-8111-111111111111';
const bob = '22222222-2222-4222-8222-222222222222';
const eve = '33333333-3333-4333-8333-333333333333';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
const clients: SupabaseClient[] = [];

beforeAll(async () => {
  project = await makeProject({ 'supabase/migrations/1_policies.sql': policies });
  backend = await startBackend(project.folder);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.removeAllChannels()));
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

/** A client of nobody, or of a person. */
async function client(person?: string): Promise<SupabaseClient> {
  const made = createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  if (person !== undefined) await made.realtime.setAuth(await personToken(person));
  clients.push(made);
  return made;
}

/** Joins; the state that it comes to, with what the server says of it. */
const joined = (channel: RealtimeChannel) =>
  new Promise<string>((resolve) =>
    channel.subscribe((status, error) =>
      resolve(error === undefined ? status : `${status}: ${error.message}`),
    ),
  );

/** What a channel hears of an event, as it comes. */
function heardBy(channel: RealtimeChannel, event: string): unknown[] {
  const heard: unknown[] = [];
  channel.on('broadcast', { event }, ({ payload }) => heard.push(payload));
  return heard;
}

const comes = (heard: readonly unknown[], expected: readonly unknown[]) =>
  vi.waitFor(() => expect(heard).toEqual(expected), 10_000);

const socketOf = (key = backend.report.PUBLISHABLE_KEY, version?: string) =>
  openPhoenixSocket(backend.report.API_URL, key, version);

describe('a public channel', () => {
  it('tells the others, and whoever wants it itself, in order', async () => {
    const [one, two] = [await client(), await client()];
    const speaker = one.channel('room', { config: { broadcast: { self: true, ack: true } } });
    const hearer = two.channel('room');
    const [own, others] = [heardBy(speaker, 'word'), heardBy(hearer, 'word')];
    expect([await joined(speaker), await joined(hearer)]).toEqual(['SUBSCRIBED', 'SUBSCRIBED']);
    for (const n of [1, 2, 3]) {
      expect(await speaker.send({ type: 'broadcast', event: 'word', payload: { n, text: 'né 🎈' } })).toBe(
        'ok',
      );
    }
    const all = [1, 2, 3].map((n) => ({ n, text: 'né 🎈' }));
    await comes(own, all);
    await comes(others, all);
  });

  it('carries bytes', async () => {
    const [one, two] = [await client(), await client()];
    const hearer = two.channel('bytes');
    const heard = heardBy(hearer, 'blob');
    const speaker = one.channel('bytes', { config: { broadcast: { ack: true } } });
    await Promise.all([joined(hearer), joined(speaker)]);
    await speaker.send({ type: 'broadcast', event: 'blob', payload: Uint8Array.from([0, 1, 255]).buffer });
    await vi.waitFor(() => expect(heard.length).toBe(1), 10_000);
    expect(new Uint8Array(heard[0] as ArrayBuffer)).toEqual(Uint8Array.from([0, 1, 255]));
  });

  // To clients of other languages 1.0 is no integer, and ids of 64 bits are what they are.
  it.each(['1.0.0', '2.0.0'])('passes numbers on as they were written, in version %s', async (version) => {
    await using speaker = await socketOf(undefined, '2.0.0');
    await using hearer = await socketOf(undefined, version);
    const texts: string[] = [];
    hearer.socket.on('message', (data, isBinary) => {
      if (!isBinary) texts.push(String(data));
    });
    const topic = `realtime:numbers ${version}`;
    const config = { presence: { enabled: true, key: 'me' } };
    if (version === '2.0.0') hearer.say('1', '1', topic, 'phx_join', { config });
    else
      hearer.socket.send(
        JSON.stringify({ topic, event: 'phx_join', payload: { config }, ref: '1', join_ref: '1' }),
      );
    speaker.say('1', '1', topic, 'phx_join', { config });
    await speaker.hear(answerTo('1'));
    await vi.waitFor(() => expect(texts.join()).toContain('presence_state'), 10_000);
    const numbers = '{"x":1.0,"id":9007199254740993}';
    const send = (event: string, payload: string) =>
      speaker.socket.send(`["1","2","${topic}","${event}",${payload}]`);
    send('broadcast', `{"type":"broadcast","event":"said","payload":${numbers}}`);
    send('presence', `{"type":"presence","event":"track","payload":${numbers}}`);
    await fetch(`${backend.report.API_URL}/realtime/v1/api/broadcast`, {
      method: 'POST',
      headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
      body: `{"messages":[{"topic":"numbers ${version}","event":"asked","payload":${numbers}}]}`,
    });
    await vi.waitFor(
      () => expect(texts.filter((text) => text.includes('"x":1.0,"id":9007199254740993')).length).toBe(3),
      10_000,
    );
    // What is no object is told of nobody.
    send('presence', '{"type":"presence","event":"track","payload":1.0}');
    expect(
      await speaker.hear((message) => message[1] === '2' && JSON.stringify(message).includes('map')),
    ).toBeTruthy();
  });

  it('is not the private one of the same name', async () => {
    const [one, two] = [await client(), await client(ada)];
    const secret = two.channel('hall', { config: { private: true } });
    const heard = heardBy(secret, 'word');
    const open = one.channel('hall', { config: { broadcast: { ack: true } } });
    expect([await joined(secret), await joined(open)]).toEqual(['SUBSCRIBED', 'SUBSCRIBED']);
    expect(await open.send({ type: 'broadcast', event: 'word', payload: { from: 'outside' } })).toBe('ok');
    const speaker = (await client(ada)).channel('hall', {
      config: { private: true, broadcast: { ack: true } },
    });
    await joined(speaker);
    await speaker.send({ type: 'broadcast', event: 'word', payload: { from: 'inside' } });
    await comes(heard, [{ from: 'inside' }]);
  });

  it('is heard by clients of version 1.0.0, too', async () => {
    await using old = await socketOf(undefined, '1.0.0');
    await using young = await socketOf();
    old.socket.send(
      JSON.stringify({
        topic: 'realtime:mixed',
        event: 'phx_join',
        payload: { config: {} },
        ref: '1',
        join_ref: '1',
      }),
    );
    young.say('1', '1', 'realtime:mixed', 'phx_join', { config: {} });
    await young.hear(answerTo('1'));
    await vi.waitFor(() => expect(old.heard.length).toBe(1), 10_000);
    // A broadcast in parts, as the young write it.
    const head = Buffer.from([3, 1, 1, 14, 2, 0, 1]);
    young.socket.send(Buffer.concat([head, Buffer.from('12realtime:mixedhi{"a":1}')]));
    await vi.waitFor(() => expect(old.heard.length).toBe(2), 10_000);
    expect(old.heard).toEqual([
      {
        topic: 'realtime:mixed',
        event: 'phx_reply',
        ref: '1',
        payload: { status: 'ok', response: { postgres_changes: [] } },
      },
      {
        topic: 'realtime:mixed',
        event: 'broadcast',
        ref: null,
        payload: { type: 'broadcast', event: 'hi', payload: { a: 1 } },
      },
    ]);
  });
});

describe('a private channel', () => {
  const privately = { config: { private: true, broadcast: { ack: true } } } as const;

  it('of one user is joined in turn with the many of another whose policies take their time', async () => {
    await using many = await socketOf();
    await using one = await socketOf();
    const join = async (socket: typeof one, person: string, ref: string, topic: string) =>
      socket.say(ref, ref, `realtime:${topic}`, 'phx_join', {
        config: { private: true },
        access_token: await personToken(person),
      });
    const answers = () =>
      many.heard
        .filter((message) => (message as unknown[])[3] === 'phx_reply')
        .map((message) => (message as unknown[])[1]);
    for (let n = 1; n <= 40; n++) await join(many, bob, String(n), `slow ${n}`);
    await many.hear(answerTo('1'));
    await join(one, ada, '1', 'hall');
    expect(await one.hear(answerTo('1'))).toMatchObject({ 4: { status: 'ok' } });
    expect(answers().length).toBeLessThan(30);
    // A channel that its client has left is not asked about.
    for (let n = 1; n <= 39; n++) many.say(String(n), null, `realtime:slow ${n}`, 'phx_leave', {});
    await many.hear(answerTo('40'));
  });

  it('is closed to whom no policy lets in', async () => {
    const strangers = await Promise.all([client(), client(eve)]);
    const answers = await Promise.all(strangers.map((each) => joined(each.channel('hall', privately))));
    const refusal =
      'CHANNEL_ERROR: Unauthorized: You do not have permissions to read from this Channel topic: hall';
    expect(answers).toEqual([refusal, refusal]);
    // One that nobody has ever heard of is refused in the same words, to a member of others as well.
    const others = await Promise.all([client(eve), client(ada)]);
    expect(await Promise.all(others.map((each) => joined(each.channel('nowhere', privately))))).toEqual(
      Array(2).fill(refusal.replace('hall', 'nowhere')),
    );
  });

  it('is closed where a policy raises, to the same words', async () => {
    expect(await joined((await client(ada)).channel('broken', privately))).toBe(
      'CHANNEL_ERROR: Unauthorized: You do not have permissions to read from this Channel topic: broken',
    );
    await vi.waitFor(() => expect(backend.log()).toContain('realtime.policy_raised'), 10_000);
  });

  it('is heard by who may hear, and spoken in by who may speak', async () => {
    const [speaker, hearer] = [await client(ada), await client(bob)];
    const stage = speaker.channel('hall', {
      config: { private: true, broadcast: { ack: true, self: true } },
    });
    const seat = hearer.channel('hall', privately);
    const [onStage, heard] = [heardBy(stage, 'word'), heardBy(seat, 'word')];
    expect([await joined(stage), await joined(seat)]).toEqual(['SUBSCRIBED', 'SUBSCRIBED']);
    // Not heard by anybody, and not answered: upstream keeps silent, too.
    void seat.send({ type: 'broadcast', event: 'word', payload: { from: 'bob' } }, { timeout: 500 });
    expect(await stage.send({ type: 'broadcast', event: 'word', payload: { from: 'ada' } })).toBe('ok');
    await comes(heard, [{ from: 'ada' }]);
    await comes(onStage, [{ from: 'ada' }]);
  });

  it('lets go of whom a new token does not let in any more', async () => {
    const guest = await client(ada);
    const channel = guest.channel('hall', privately);
    const said: unknown[] = [];
    channel.on('system', {}, (payload) => said.push(payload));
    expect(await joined(channel)).toBe('SUBSCRIBED');
    await guest.realtime.setAuth(await personToken(eve));
    await comes(said, [
      {
        extension: 'system',
        status: 'error',
        message: 'You do not have permissions to read from this Channel topic: hall',
        channel: 'hall',
      },
    ]);
  });

  it('lets go of whose token has ended, within seconds', async () => {
    await using socket = await socketOf();
    const token = await personToken(ada, { expiresInSeconds: 3 });
    socket.say('1', '1', 'realtime:hall', 'phx_join', { config: { private: true }, access_token: token });
    await socket.hear(answerTo('1'));
    const said = await socket.hear<[unknown, unknown, unknown, unknown, { message: string }]>(
      (message) => message[3] === 'system',
    );
    expect(said[4].message).toMatch(/^Token has expired \d+ seconds ago$/);
    await socket.hear((message) => message[3] === 'phx_close');
    // The connection stays: its other channels may have tokens that hold.
    expect(socket.socket.readyState).toBe(WebSocket.OPEN);
  });
});

describe('messages of before', () => {
  it('and those that are committed while they are read come without one missing, and none twice', async () => {
    const database = new pg.Client(backend.report.DB_URL);
    await database.connect();
    try {
      let n = 0;
      let isSending = true;
      const send = () =>
        database.query(`select realtime.send($1::jsonb, 'n', 'hall', true)`, [JSON.stringify({ n: ++n })]);
      const sending = (async () => {
        while (isSending) await send();
      })();
      const heard: number[][] = [];
      for (let at = 0; at < 12; at++) {
        const config = { private: true, broadcast: { replay: { since: Date.now() - 10_000, limit: 25 } } };
        const channel = (await client(ada)).channel('hall', { config });
        const numbers: number[] = [];
        channel.on('broadcast', { event: 'n' }, ({ payload }) => numbers.push((payload as { n: number }).n));
        heard.push(numbers);
        expect(await joined(channel)).toBe('SUBSCRIBED');
      }
      isSending = false;
      await sending;
      await vi.waitFor(
        () => expect(heard.map((numbers) => numbers.at(-1))).toEqual(heard.map(() => n)),
        20_000,
      );
      for (const numbers of heard) {
        const first = numbers[0] ?? 0;
        expect(numbers).toEqual(Array.from({ length: n - first + 1 }, (_, at) => first + at));
      }
    } finally {
      await database.end();
    }
  });
});

describe('a token', () => {
  it.each([
    ['that is none', 'x.y.z', /^MalformedJWT: /],
    ['of somebody else’s secret', undefined, /^JwtSignatureError: Failed to validate JWT signature$/],
  ])('%s is refused at the join', async (_name, token, sentence) => {
    await using socket = await socketOf();
    const given = token ?? (await personToken(ada, { secret: 's'.repeat(40) }));
    socket.say('1', '1', 'realtime:room', 'phx_join', { config: {}, access_token: given });
    const answer = await socket.hear<[unknown, unknown, unknown, unknown, { response: { reason: string } }]>(
      answerTo('1'),
    );
    expect(answer[4].response.reason).toMatch(sentence);
  });
});

describe('a socket', () => {
  it('beats its heart, leaves, and is told what it has not joined', async () => {
    await using socket = await socketOf();
    socket.say(null, '1', 'phoenix', 'heartbeat', {});
    socket.say('2', '2', 'realtime:room', 'phx_join', {});
    socket.say('2', '3', 'realtime:room', 'phx_leave', {});
    socket.say(null, '4', 'realtime:other', 'broadcast', {});
    socket.say('5', '5', 'elsewhere', 'phx_join', {});
    socket.say('6', '6', 'realtime:', 'phx_join', { config: {} });
    await socket.hear(answerTo('6'));
    await socket.hear((message) => message[3] === 'phx_close');
    const byRef = (one: unknown, other: unknown) =>
      String((one as unknown[])[1]).localeCompare(String((other as unknown[])[1]));
    const heard = socket.heard.filter((message) => (message as unknown[])[3] !== 'system').toSorted(byRef);
    const ok = (response: unknown = {}) => ({ status: 'ok', response });
    const error = (reason: string) => ({ status: 'error', response: { reason } });
    const [entry] = (
      (await socket.hear<unknown[]>(answerTo('2')))[4] as { response: { postgres_changes: { id: number }[] } }
    ).response.postgres_changes;
    expect(heard).toEqual([
      [null, '1', 'phoenix', 'phx_reply', ok()],
      ['2', '2', 'realtime:room', 'phx_reply', ok({ postgres_changes: [{ schema: 'room', id: entry!.id }] })],
      ['2', '2', 'realtime:room', 'phx_close', {}],
      ['2', '3', 'realtime:room', 'phx_reply', ok()],
      [null, '4', 'realtime:other', 'phx_reply', error('unmatched topic')],
      ['5', '5', 'elsewhere', 'phx_reply', error('unmatched topic')],
      ['6', '6', 'realtime:', 'phx_reply', error('TopicNameRequired: You must provide a topic name')],
    ]);
  });

  it('that joins a topic again begins anew there', async () => {
    await using socket = await socketOf();
    socket.say('1', '1', 'realtime:twice', 'phx_join', { config: {} });
    await socket.hear(answerTo('1'));
    socket.say('2', '2', 'realtime:twice', 'phx_join', { config: { broadcast: { self: true } } });
    await socket.hear(answerTo('2'));
    socket.say('2', '3', 'realtime:twice', 'broadcast', { type: 'broadcast', event: 'e', payload: 1 });
    await socket.hear((message) => message[3] === 'broadcast');
    expect(socket.heard.filter((message) => (message as unknown[])[3] === 'broadcast').length).toBe(1);
  });

  it.each([
    ['text that is no JSON', '{'],
    ['an array too short', '[1]'],
    ['bytes that are no message', Buffer.from([9, 9])],
  ])('that sends %s is closed, and nobody else', async (_name, data) => {
    await using other = await socketOf();
    await using socket = await socketOf();
    socket.socket.send(data);
    expect(await socket.closed).toMatchObject({
      code: 1007,
      reason: expect.stringMatching(/^Not a message of the protocol: /),
    });
    other.say(null, '1', 'phoenix', 'heartbeat', {});
    await other.hear(answerTo('1'));
  });
});

describe('a handshake', () => {
  const refused = (query: string, headers: Record<string, string> = {}) =>
    new Promise<unknown>((resolve) => {
      const url = `${backend.report.API_URL.replace(/^http/, 'ws')}/realtime/v1/websocket${query}`;
      const socket = new WebSocket(url, { headers });
      socket.on('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(body) as unknown }));
      });
      socket.on('open', () => resolve('open'));
      socket.on('error', () => {});
    });

  it.each([
    ['without a key', '', 401, 'API key is missing'],
    [
      'with a version that nobody speaks',
      '?apikey=KEY&vsn=3.0.0',
      400,
      'There is no version "3.0.0" of this protocol: 1.0.0 and 2.0.0 are spoken.',
    ],
  ])('%s is refused', async (_name, query, status, error) => {
    const asked = query.replace('KEY', backend.report.PUBLISHABLE_KEY);
    expect(await refused(asked)).toEqual({ status, body: { error } });
  });

  it('with a key that is none is refused', async () => {
    expect(await refused('?apikey=sb_publishable_wrong')).toMatchObject({ status: 401 });
  });

  it('anywhere else is a request like any', async () => {
    const response = await fetch(`${backend.report.API_URL}/rest/v1/members`, {
      headers: { apikey: backend.report.PUBLISHABLE_KEY },
    });
    expect(response.status).toBe(200);
    const plain = await fetch(
      `${backend.report.API_URL}/realtime/v1/websocket?apikey=${backend.report.PUBLISHABLE_KEY}`,
    );
    expect(plain.status).toBe(404);
  });
});

describe('a server that stops', () => {
  it('tells sockets to come back', async () => {
    await using other = await startBackend(project.folder, ['--data', `${project.folder}/other-state`]);
    await using socket = await openPhoenixSocket(other.report.API_URL, other.report.PUBLISHABLE_KEY);
    const ended = other.stop();
    expect(await socket.closed).toEqual({
      code: 1012,
      reason: 'This server is stopping; come back in a moment.',
    });
    expect(await ended).toBe(0);
  });
});
