// In charge of: showing requests to realtime and their answers, beside what upstream's own tests say of them.
// Source: supabase/realtime test/realtime_web/controllers/{broadcast,broadcast_single}_controller_test.exs.
import { describe, expect, it } from 'vitest';
import { Cancellation } from '../../../base/cancellation.ts';
import { DatabaseUnavailable } from '../../../engine/db/db.ts';
import type { ServiceRequest } from '../../../engine/service/http.ts';
import { openLimits } from '../limits.ts';
import { settings } from '../settings.ts';
import { answerRequest, type HttpMessage } from './requests.ts';

type Values = Parameters<typeof openLimits>[0] extends () => infer V ? V : never;

const usual = Object.fromEntries(
  Object.entries(settings).map(([name, setting]) => [name, setting.default]),
) as unknown as Values;

function open(given: Partial<Values> = {}) {
  let now = 0;
  const sent: { name: { topic: string; isPrivate: boolean }; message: HttpMessage }[] = [];
  const asked: string[] = [];
  const observed: string[] = [];
  const limits = openLimits(
    () => ({ ...usual, ...given }),
    () => now,
  );
  const parts = {
    limits,
    mayWrite: async ({ topic }: { topic: string }) => {
      asked.push(topic);
      const error = failures[topic];
      if (error !== undefined) throw error;
      return topic.startsWith('mine');
    },
    broadcast: (name: { topic: string; isPrivate: boolean }, message: HttpMessage) => {
      sent.push({ name, message });
    },
    health: () => ({ isDatabaseThere: true, isReplicating: true, users: 3 }),
    observe: ({ kind }: { kind: string }) => observed.push(kind),
  };
  return {
    parts,
    sent,
    asked,
    observed,
    limits,
    /** Whoever asks has sent, or made others be sent, so many. */
    causes(messages: number) {
      limits.events.count(messages);
      limits.events.countFor('anon 192.0.2.1', messages);
    },
    wait(ms: number) {
      now += ms;
    },
    async ask(
      method: string,
      path: string,
      {
        body,
        type = 'application/json',
        by = 'token',
      }: { body?: unknown; type?: string | null; by?: 'token' | 'key' | 'nothing' } = {},
    ) {
      const [before, query = ''] = path.split('?');
      const bytes =
        body instanceof Buffer
          ? body
          : Buffer.from(typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body));
      const request = {
        method,
        path: before,
        query,
        headers: type === null ? {} : { 'content-type': type },
        caller: { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by },
        refused: undefined,
        requestId: 'r',
        countedAs: '192.0.2.1',
        cancellation: new Cancellation(),
        readBody: async () => bytes,
      } as unknown as ServiceRequest;
      const answer = await answerRequest(parts, request);
      return { ...answer, headers: Object.fromEntries(answer.headers) };
    },
  };
}

const sqlError = (code: string) => Object.assign(new Error('refused'), { code });
const failures: Record<string, Error> = {
  raises: sqlError('P0001'),
  'no role': sqlError('22023'),
  canceled: sqlError('57014'),
  busy: new DatabaseUnavailable('overloaded', 'too many wait', 2),
  away: new DatabaseUnavailable('unreachable', 'no server', 2),
  bug: new TypeError('undefined is not a function'),
};

const rate = { 'x-rate-rolling': '0', 'x-rate-limit': '100000', 'x-rate-limit-remaining': '100000' };
const jsonHeaders = { 'content-type': 'application/json; charset=utf-8', ...rate };

describe('POST /realtime/v1/api/broadcast', () => {
  const message = { topic: 'room', event: 'greeting', payload: { hello: 'world' } };

  it('sends each message of the batch to its topic', async () => {
    const one = open();
    const answer = await one.ask('POST', '/api/broadcast', {
      body: {
        messages: [
          message,
          { ...message, id: 'an id', private: false },
          { ...message, private: 'true', topic: 'mine' },
        ],
      },
    });
    expect(answer).toEqual({ status: 202, headers: rate, body: '' });
    expect(
      one.sent.map(({ name, message }) => [name, JSON.parse((message as { json: string }).json)]),
    ).toEqual([
      [
        { topic: 'room', isPrivate: false },
        { type: 'broadcast', event: 'greeting', payload: { hello: 'world' } },
      ],
      [
        { topic: 'room', isPrivate: false },
        { type: 'broadcast', event: 'greeting', payload: { hello: 'world' }, meta: { id: 'an id' } },
      ],
      [
        { topic: 'mine', isPrivate: true },
        { type: 'broadcast', event: 'greeting', payload: { hello: 'world' } },
      ],
    ]);
    one.wait(5_000);
    expect(one.limits.events.average()).toBe(0.3);
  });

  it('leaves out in silence what policies do not let the caller send, and asks once for each topic', async () => {
    const one = open();
    const messages = ['theirs', 'mine', 'theirs', 'raises', 'mine'].map((topic) => ({
      ...message,
      topic,
      private: true,
    }));
    expect((await one.ask('POST', '/api/broadcast', { body: { messages } })).status).toBe(202);
    expect(one.asked).toEqual(['theirs', 'mine', 'raises']);
    expect(one.sent.map(({ name }) => name)).toEqual([
      { topic: 'mine', isPrivate: true },
      { topic: 'mine', isPrivate: true },
    ]);
    expect(one.observed).toEqual(['realtime.policy_failed']);
  });

  it.each([
    ['no messages', {}, { messages: ["can't be blank"] }],
    ['none at all', { messages: [] }, { messages: ["can't be blank"] }],
    ['no list', { messages: 'x' }, { messages: ['is invalid'] }],
    ['no objects', { messages: [message, 1] }, { messages: ['is invalid'] }],
    ['a list as the body', [message], { messages: ["can't be blank"] }],
    [
      'missing members',
      { messages: [{ topic: 'topic' }, { payload: { data: 'data' } }, message] },
      {
        messages: [
          { payload: ["can't be blank"], event: ["can't be blank"] },
          { topic: ["can't be blank"], event: ["can't be blank"] },
          {},
        ],
      },
    ],
    [
      'members of other types',
      { messages: [{ topic: 1, event: ' ', payload: 'text', private: 'perhaps', id: 7 }] },
      {
        messages: [
          {
            topic: ['is invalid'],
            event: ["can't be blank"],
            payload: ['is invalid'],
            private: ['is invalid'],
            id: ['is invalid'],
          },
        ],
      },
    ],
    [
      'a payload that is too large',
      { messages: [{ ...message, payload: { data: 'x'.repeat(3_000_501) } }] },
      { messages: [{ payload: ['Payload size exceeds tenant limit'] }] },
    ],
    [
      'a payload without end',
      `{"messages":[{"topic":"room","event":"e","payload":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}]}`,
      { messages: [{ payload: ['is invalid'] }] },
    ],
  ])('refuses a batch with %s', async (_, body, errors) => {
    const one = open();
    const answer = await one.ask('POST', '/api/broadcast', { body });
    expect({ ...answer, body: JSON.parse(String(answer.body)) }).toEqual({
      status: 422,
      headers: jsonHeaders,
      body: { errors },
    });
    expect(one.sent).toEqual([]);
  });

  it('refuses what is no JSON, and takes what does not say that it is JSON for nothing', async () => {
    const one = open();
    expect(await one.ask('POST', '/api/broadcast', { body: '{"messages":' })).toMatchObject({
      status: 400,
      body: '{"message":"Bad Request"}',
    });
    expect(await one.ask('POST', '/api/broadcast', { body: Buffer.from([0x22, 0xff, 0x22]) })).toMatchObject({
      status: 400,
    });
    expect(
      await one.ask('POST', '/api/broadcast', { body: { messages: [message] }, type: 'text/plain' }),
    ).toMatchObject({ status: 422, body: `{"errors":{"messages":["can't be blank"]}}` });
  });

  it('refuses whoever nobody vouches for', async () => {
    const one = open();
    const answer = await one.ask('POST', '/api/broadcast', { body: { messages: [message] }, by: 'nothing' });
    expect(answer).toEqual({ status: 401, headers: jsonHeaders, body: '{"message":"Unauthorized"}' });
  });

  it('refuses a batch that is too large for the rate, and every one when the rate is exceeded', async () => {
    const one = open({ maxEventsPerSecond: 10 });
    const batch = (size: number) => ({ body: { messages: Array(size).fill(message) } });
    expect(await one.ask('POST', '/api/broadcast', batch(11))).toMatchObject({
      status: 429,
      body: '{"message":"Too many messages to broadcast, please reduce the batch size"}',
    });
    one.causes(99);
    one.wait(5_000);
    expect(await one.ask('POST', '/api/broadcast', batch(1))).toMatchObject({
      status: 429,
      headers: { 'x-rate-rolling': '9', 'x-rate-limit': '10', 'x-rate-limit-remaining': '1' },
    });
    one.causes(500);
    one.wait(5_000);
    expect(await one.ask('POST', '/api/broadcast', batch(1))).toMatchObject({
      status: 429,
      body: '{"message":"Too many requests"}',
      headers: { 'retry-after': '5' },
    });
    expect(one.sent).toEqual([]);
  });
});

describe('POST /realtime/v1/api/broadcast/:topic/events/:event', () => {
  const path = (topic: string, event = 'greeting') =>
    `/api/broadcast/${encodeURIComponent(topic)}/events/${encodeURIComponent(event)}`;

  it('sends JSON as it came, and bytes', async () => {
    const one = open();
    const text = '{ "a": 1.0, "big": 12345678901234567890 }';
    expect(await one.ask('POST', path('room:1/2', 'ä b'), { body: text })).toEqual({
      status: 202,
      headers: rate,
      body: '',
    });
    await one.ask('POST', path('room'), { body: '[1,2]', type: 'application/json; charset=utf-8' });
    await one.ask('POST', path('room'), { body: '' });
    await one.ask('POST', path('room'), { body: 'whatever', type: null });
    await one.ask('POST', path('room'), { body: Buffer.from([0, 255]), type: 'application/octet-stream' });
    const user = (event: string, encoding: string, body: Buffer) => ({ kind: 'user', event, encoding, body });
    expect(one.sent).toEqual([
      { name: { topic: 'room:1/2', isPrivate: false }, message: user('ä b', 'json', Buffer.from(text)) },
      {
        name: { topic: 'room', isPrivate: false },
        message: user('greeting', 'json', Buffer.from('{"_json":[1,2]}')),
      },
      { name: { topic: 'room', isPrivate: false }, message: user('greeting', 'json', Buffer.from('{}')) },
      { name: { topic: 'room', isPrivate: false }, message: user('greeting', 'json', Buffer.from('{}')) },
      {
        name: { topic: 'room', isPrivate: false },
        message: user('greeting', 'binary', Buffer.from([0, 255])),
      },
    ]);
  });

  it('asks the policies for a private topic', async () => {
    const one = open();
    expect((await one.ask('POST', `${path('mine')}?private=true`, { body: {} })).status).toBe(202);
    expect(await one.ask('POST', `${path('theirs')}?private=true`, { body: {} })).toEqual({
      status: 403,
      headers: jsonHeaders,
      body: '{"message":"Unauthorized"}',
    });
    expect((await one.ask('POST', `${path('theirs')}?private=yes`, { body: {} })).status).toBe(202);
    expect(one.sent.map(({ name }) => name)).toEqual([
      { topic: 'mine', isPrivate: true },
      { topic: 'theirs', isPrivate: false },
    ]);
  });

  it.each([
    ['raises', 422, 'RLS policy error'],
    ['no role', 422, 'RLS policy error'],
    ['canceled', 422, 'Query canceled'],
    ['busy', 429, 'Connection pool exhausted'],
    ['away', 422, 'Tenant database unavailable'],
    ['bug', 500, 'Unable to authorize broadcast'],
  ])('says of a policy that %s: %i %s', async (topic, status, message) => {
    const one = open();
    const answer = await one.ask('POST', `${path(topic)}?private=true`, { body: {} });
    expect(answer).toMatchObject({ status, body: JSON.stringify({ message }) });
    expect(one.sent).toEqual([]);
  });

  it('refuses other media types, payloads that are too large, and too many', async () => {
    const one = open({ maxPayloadKb: 1, maxEventsPerSecond: 10 });
    expect(await one.ask('POST', path('room'), { body: 'x', type: 'text/plain' })).toMatchObject({
      status: 415,
      body: '{"error":"Unsupported Media Type. Use application/json or application/octet-stream"}',
    });
    for (const type of ['application/json', 'application/octet-stream'])
      expect(
        await one.ask('POST', path('room'), { body: JSON.stringify({ a: 'x'.repeat(1_500) }), type }),
      ).toMatchObject({
        status: 422,
        body: '{"errors":{"payload":["Payload size exceeds tenant limit"]}}',
      });
    expect(await one.ask('POST', path('  '), { body: {} })).toMatchObject({
      status: 422,
      body: `{"errors":{"topic":["can't be blank"]}}`,
    });
    one.causes(105);
    one.wait(5_000);
    expect(await one.ask('POST', path('room'), { body: {} })).toMatchObject({ status: 429 });
    expect(one.sent).toEqual([]);
  });
});

describe('whether it is there', () => {
  it('answers a ping', async () => {
    expect(await open().ask('GET', '/api/ping')).toEqual({
      status: 200,
      headers: jsonHeaders,
      body: '{"message":"Success"}',
    });
  });

  it('says how it is, by the name that the CLI and the compose file ask for', async () => {
    const one = open();
    expect(JSON.parse(String((await one.ask('GET', '/api/tenants/realtime-dev/health')).body))).toEqual({
      data: {
        healthy: true,
        db_connected: true,
        replication_connected: true,
        connected_cluster: 3,
        region: null,
        node: 'millrace',
      },
    });
    expect((await one.ask('GET', '/api/tenants/another/health')).status).toBe(404);
    expect((await one.ask('GET', '/api/tenants/realtime-dev/health', { by: 'nothing' })).status).toBe(401);
    expect((await one.ask('GET', '/api/nothing')).status).toBe(404);
  });
});
