// In charge of: sockets as they come, stay and go: real ones, by a clock that the test turns.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { clientFrame, opcodes, openLightSocket } from '../../../test/harness/light-socket.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import { CredentialsRefused } from '../../engine/identity/refused.ts';
import { silenceMs } from './connection.ts';
import type { Realtime } from './context.ts';
import { openLimits } from './limits.ts';
import { settings } from './settings.ts';
import { openSockets, type Sockets } from './sockets.ts';

const defaults = Object.fromEntries(
  Object.entries(settings).map(([name, setting]) => [name, setting.default]),
) as unknown as ReturnType<Realtime['config']['now']>;
const nobody: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'nothing' };

let now: number;
let server: Server;
let sockets: Sockets;
let url: string;
/** Keys that open, and what has to happen before one is known. */
let known: Promise<void>;
const seen: Record<string, unknown>[] = [];

beforeEach(async () => {
  now = 1_000_000;
  known = Promise.resolve();
  seen.length = 0;
  sockets = openSockets({
    config: { now: () => defaults, onChange: () => () => {} },
    identity: {
      async callerOf(_: string | undefined, apikey: string | undefined) {
        await known;
        if (apikey !== 'good') throw new CredentialsRefused('unknown_key');
        return { ...nobody, by: 'key' };
      },
    },
    messages: { rest() {} },
    sessions: { of: () => undefined, ended: async () => new Set(), hasEnded: async () => false },
    limits: openLimits(
      () => defaults,
      () => now,
    ),
    now: () => now,
    observe: (event: Record<string, unknown>) => seen.push(event),
    // Sound: nothing is joined here.
  } as unknown as Realtime);
  server = createServer();
  server.on('upgrade', (incoming, stream: Socket, first) => {
    const [path = '', query = ''] = (incoming.url ?? '').split('?', 2);
    const headers = incoming.headers as Record<string, string>;
    const caller = query.includes('apikey=') ? { ...nobody, by: 'key' as const } : nobody;
    void sockets
      .accept({
        path,
        query,
        headers,
        caller,
        refused: undefined,
        address: '127.0.0.1',
        countedAs: '127.0.0.1',
        requestId: 'r',
        incoming,
        socket: stream,
        first,
        take: () => true,
      })
      .then((answer) => {
        if (answer !== undefined) stream.end(`HTTP/1.1 ${answer.status} no\r\n\r\n${String(answer.body)}`);
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/websocket?vsn=2.0.0`;
});
afterEach(async () => {
  await sockets.close();
  server.close();
});

const open = (apikey = '&apikey=good') => openLightSocket(`${url}${apikey}`, () => {});

describe('a socket of which nothing was heard for long', () => {
  it('is let go of', async () => {
    const socket = await open();
    now += silenceMs;
    await sockets.confirm();
    now += 1;
    await sockets.confirm();
    expect(await socket.ended).toEqual({ code: 1001, reason: 'Nothing was heard for 60 s.' });
  });

  it.each([
    ['ping', opcodes.ping],
    ['pong', opcodes.pong],
  ])('is heard by a %s of its protocol', async (_, opcode) => {
    const socket = await open();
    now += silenceMs;
    socket.send(Buffer.from('beat'), opcode);
    // A message behind it is answered when it was heard.
    const beaten = new Promise((resolve) => socket.tcp.on('data', resolve));
    if (opcode === opcodes.pong) socket.write(clientFrame(Buffer.from('x'), { opcode: opcodes.ping }));
    await beaten;
    now += silenceMs;
    await sockets.confirm();
    socket.close();
    expect((await socket.ended).code).toBe(1000);
  });
});

it('a ping is answered with what it brought', async () => {
  const socket = new WebSocket(`${url}&apikey=good`);
  await once(socket, 'open');
  socket.ping('né');
  expect(String((await once(socket, 'pong'))[0])).toBe('né');
  socket.terminate();
});

it('a flood of pings whose answers nobody reads ends its own socket, before it takes memory', async () => {
  const socket = await open();
  socket.tcp.pause();
  const flood = Buffer.concat(
    Array.from({ length: 1_000 }, () => clientFrame(Buffer.alloc(125), { opcode: opcodes.ping })),
  );
  await vi.waitFor(() => {
    for (let at = 0; at < 20; at++) socket.write(flood);
    expect(seen).toContainEqual(expect.objectContaining({ kind: 'realtime.too_slow' }));
  }, 20_000);
  expect(seen.filter(({ kind }) => kind === 'realtime.too_slow').length).toBe(1);
  expect(Number(seen.find(({ kind }) => kind === 'realtime.too_slow')?.queuedBytes)).toBeLessThan(9e6);
  socket.tcp.destroy();
});

describe('a stop', () => {
  const comeBack = { code: 1012, reason: 'This server is stopping; come back in a moment.' };

  it('tells all that there are, and those whose handshake was on its way', async () => {
    const early = await open();
    const { promise, resolve } = Promise.withResolvers<void>();
    known = promise;
    const late = openLightSocket(url, () => {}, { 'x-api-key': 'good' });
    await vi.waitFor(async () => {
      const [count] = await new Promise<[number]>((done) =>
        server.getConnections((_, connections) => done([connections])),
      );
      expect(count).toBe(2);
    });
    sockets.drain();
    resolve();
    expect(await Promise.all([early.ended, (await late).ended])).toEqual([comeBack, comeBack]);
  });
});

describe('the header x-api-key', () => {
  it('opens by itself', async () => {
    const socket = await openLightSocket(url, () => {}, { 'x-api-key': 'good' });
    socket.close();
    expect((await socket.ended).code).toBe(1000);
  });

  it('decides where there is a key in the URL as well', async () => {
    const refused = openLightSocket(`${url}&apikey=good`, () => {}, { 'x-api-key': 'bad' });
    await expect(refused).rejects.toMatchObject({
      status: 401,
      answer: expect.stringContaining('{"error":"The credentials do not hold: unknown_key"}'),
    });
  });
});
