// In charge of: what strangers say over a WebSocket: each mistake closes, or is refused on, that socket alone, and nobody else hears of it.
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';
import { figuresOf, withProbe } from './harness/figures.ts';
import { openSocketFuzz, type SocketFuzz, socketUrl } from './harness/fuzz-sockets.ts';
import {
  clientFrame,
  type LightSocket,
  NotUpgraded,
  opcodes,
  openLightSocket,
} from './harness/light-socket.ts';

const seed = Number(process.env.SEED ?? 42);
const attackers = Number(process.env.RUNS ?? 200);
/** At a time. */
const together = 4;
const maxMessageBytes = 5_000_000;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let fuzz: SocketFuzz;

beforeAll(async () => {
  project = await makeProject({
    // Attackers are no crowd; their number is not what is tested.
    'supabase/config.toml': '[realtime]\nmax_client_presence_events_per_window = 100000\n',
    'supabase/migrations/1_notes.sql': `
      create table public.notes (id bigint generated always as identity primary key, body text);
      alter table public.notes enable row level security;
      create policy all_of_them on public.notes for select using (true);
      alter publication supabase_realtime add table public.notes;`,
  });
  backend = await startBackend(project.folder, ['--log-level', 'warn'], { env: withProbe });
  fuzz = await openSocketFuzz(backend);
});
afterAll(async () => {
  fuzz?.close();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const open: SocketFuzz['open'] = (...given) => fuzz.open(...given);
const urlOf = (query?: string, path?: string) => socketUrl(backend, query, path);
const expectOthersGoOn = (label: string) => fuzz.expectOthersGoOn(label);
const isOver = (socket: LightSocket) => socket.tcp.closed;

describe('a WebSocket', () => {
  it(`of ${attackers} strangers closes or refuses by itself (seed ${seed})`, async () => {
    const codes = new Map<number | undefined, number>();
    for (let turn = 0; turn < attackers; turn += together) {
      const turns = Array.from({ length: together }, (_, at) => turn + at);
      for (const code of await Promise.all(turns.map((one) => fuzz.stranger(seed, one))))
        codes.set(code, (codes.get(code) ?? 0) + 1);
      if (turn % 20 === 0) await expectOthersGoOn(`turn ${turn}`);
    }
    await expectOthersGoOn('in the end');
    await fuzz.expectNobodyLeft();
    // Otherwise it was no test.
    expect(codes.get(1002) ?? 0).toBeGreaterThan(0);
    expect(codes.get(1007) ?? 0).toBeGreaterThan(0);
    expect(codes.get(undefined) ?? 0).toBeGreaterThan(0);
  }, 600_000);

  it('takes no message that is longer than allowed, in one piece or many', async () => {
    const huge = Buffer.alloc(maxMessageBytes + 1, 'x');
    const inOne = await open();
    inOne.send(huge, opcodes.text);
    expect((await inOne.ended).code).toBe(1009);
    const inMany = await open();
    for (let piece = 0; piece < 100 && !isOver(inMany); piece++) {
      const opcode = piece === 0 ? opcodes.text : opcodes.continuation;
      inMany.write(clientFrame(huge.subarray(0, 100_000), { opcode, isFinal: false }));
    }
    expect((await inMany.ended).code).toBe(1009);
    await expectOthersGoOn('huge');
  });

  it('takes no compression that nobody agreed on, and agrees on none', async () => {
    const offers = await open(() => {}, { 'sec-websocket-extensions': 'permessage-deflate' });
    offers.write(clientFrame(Buffer.from([0xaa, 0x56, 0x4a]), { reserved: 4 }));
    expect((await offers.ended).code).toBe(1002);
    await expectOthersGoOn('compressed');
  });

  it('that is slow, or goes in the middle of a word, is nobody else’s business, and takes bounded memory', async () => {
    const before = await figuresOf(backend);
    const half = clientFrame(Buffer.alloc(maxMessageBytes, '['), { opcode: opcodes.text });
    const sockets = await Promise.all(Array.from({ length: 30 }, () => open()));
    for (const socket of sockets) socket.write(half.subarray(0, half.length - 10));
    await expectOthersGoOn('half a message each');
    for (const socket of sockets) socket.tcp.destroy();
    // One byte after the other.
    const slow = await open();
    for (const byte of clientFrame(Buffer.from('[null,"1","phoenix","heartbeat",{}]'))) {
      slow.write(Buffer.from([byte]));
      await wait(2);
    }
    slow.tcp.destroy();
    await expectOthersGoOn('slow');
    await expect
      .poll(async () => {
        const { heapBytes, externalBytes } = await figuresOf(backend);
        return (heapBytes + externalBytes - before.heapBytes - before.externalBytes) / 2 ** 20;
      })
      .toBeLessThan(40);
  });

  it('that does not read is closed with a reason when what it was sent does not fit, and delays nobody', async () => {
    const lazy = await open();
    lazy.send(
      JSON.stringify(['1', '1', 'realtime:flood', 'phx_join', { config: { broadcast: { self: true } } }]),
    );
    await wait(500);
    lazy.tcp.pause();
    const speaker = await open();
    speaker.send(JSON.stringify(['1', '1', 'realtime:flood', 'phx_join', { config: {} }]));
    const payload = { type: 'broadcast', event: 'e', payload: { text: 'x'.repeat(500_000) } };
    const text = JSON.stringify(['1', '2', 'realtime:flood', 'broadcast', payload]);
    for (let at = 0; at < 60; at++) speaker.send(text);
    await expectOthersGoOn('somebody does not read');
    await vi.waitFor(() => expect(backend.log()).toContain('realtime.too_slow'), 30_000);
    lazy.tcp.resume();
    const end = await Promise.race([lazy.ended, wait(20_000).then(() => 'still there')]);
    expect(end).not.toBe('still there');
    speaker.close();
    await expectOthersGoOn('somebody did not read');
  });
});

describe('a handshake', () => {
  it.each<[string, () => string, Record<string, string>, number]>([
    ['of a version that is not spoken', () => urlOf('vsn=3.0.0'), {}, 400],
    ['of another version of WebSocket', () => urlOf(), { 'sec-websocket-version': '8' }, 400],
    ['with a short key', () => urlOf(), { 'sec-websocket-key': 'short' }, 400],
    ['at another path', () => urlOf('vsn=2.0.0', '/elsewhere'), {}, 404],
    ['without a key', () => urlOf().replace(/apikey=[^&]+&/, ''), {}, 401],
    ['with a key that is none', () => urlOf().replace(/apikey=[^&]+/, 'apikey=nothing'), {}, 401],
    // No wish for a WebSocket at all is a request like any.
    ['to another protocol', () => urlOf(), { upgrade: 'h2c' }, 404],
  ])('%s is refused with words', async (_, url, headers, status) => {
    const refused = await openLightSocket(url(), () => {}, headers).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(NotUpgraded);
    const { answer, status: found } = refused as NotUpgraded;
    expect({ found, answer }).toMatchObject({ found: status });
    expect(fuzz.errors()).toEqual([]);
  });
});

it('stops as it should after all of that', async () => {
  fuzz.close();
  expect(await backend.stop()).toBe(0);
});
