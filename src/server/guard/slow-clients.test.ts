// In charge of: telling a client that dawdles from one that waits for us. Real sockets; only the clock is turned by hand.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Observation } from '../../base/observe.ts';
import { watchSlowClients } from './slow-client-watch.ts';
import { isTooSlow, openSlowClientSweep, type SlowClientRules } from './slow-clients.ts';

const rules: SlowClientRules = { minBytesPerSecond: 100, graceMs: 5_000 };

let server: Server;
let client: Socket;
let inFlight: Set<ServerResponse>;
let nowMs: number;
let look: (afterMs: number) => readonly string[];
let handle: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  inFlight = new Set();
  server = createServer((request, response) => {
    inFlight.add(response);
    response.on('close', () => inFlight.delete(response));
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => {});
  nowMs = 1_000_000;
  const sweep = openSlowClientSweep(() => rules);
  look = (afterMs) => {
    nowMs += afterMs;
    return sweep(inFlight, nowMs).map(({ doing }) => doing);
  };
});
afterEach(async () => {
  client.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const only = (): ServerResponse => [...inFlight][0]!;
const post = (length: number) =>
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`);

/** So many bytes more, until the server has them. */
async function send(bytes: number): Promise<void> {
  const { socket } = only();
  const until = socket!.bytesRead + bytes;
  client.write('x'.repeat(bytes));
  await expect.poll(() => socket!.bytesRead).toBe(until);
}

describe('a client that sends', () => {
  beforeEach(async () => {
    handle = (request) => request.resume();
    post(100_000);
    await expect.poll(() => inFlight.size).toBe(1);
    expect(look(0)).toEqual([]);
  });

  it('nothing at all is too slow once its grace is over', () => {
    expect(look(5_000)).toEqual([]);
    expect(look(1)).toEqual(['sending']);
  });

  it('a byte now and then is too slow, too', async () => {
    const found: string[] = [];
    for (let second = 0; second < 7 && found.length === 0; second += 1) {
      await send(1);
      found.push(...look(1_000));
    }
    expect(found).toEqual(['sending']);
  });

  it('enough is not', async () => {
    for (let second = 0; second < 20; second += 1) {
      await send(100);
      expect(look(1_000)).toEqual([]);
    }
  });

  it('in bursts is judged by what it sends on average', async () => {
    await send(10_000);
    expect(look(100_000)).toEqual([]);
    expect(look(5_001)).toEqual(['sending']);
  });

  it('all that it said is left alone, however long we take then', async () => {
    await send(100_000);
    await expect.poll(() => only().req.complete).toBe(true);
    expect(look(1_000_000)).toEqual([]);
  });

  it('and goes away is forgotten', async () => {
    client.destroy();
    await expect.poll(() => inFlight.size).toBe(0);
    expect(look(1_000_000)).toEqual([]);
  });
});

describe('a client whose body we do not read', () => {
  it('is not the one that is slow', async () => {
    handle = () => {};
    post(10_000_000);
    await expect.poll(() => inFlight.size).toBe(1);
    client.write('x'.repeat(1_000_000));
    const { req } = only();
    // As much as is kept for a reader: Node reads no further.
    await expect.poll(() => req.readableLength).toBeGreaterThan(0);
    expect(look(0)).toEqual([]);
    expect(look(1_000_000)).toEqual([]);
  });
});

describe('a client that only asks', () => {
  it('is not slow while it waits for its answer', async () => {
    handle = () => {};
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(() => inFlight.size).toBe(1);
    expect(look(0)).toEqual([]);
    expect(look(1_000_000)).toEqual([]);
  });
});

describe('a client that does not read its answer', () => {
  beforeEach(async () => {
    handle = (_, response) => response.end(Buffer.alloc(64 * 2 ** 20));
    client.pause();
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(() => only()?.socket?.writableLength ?? 0).toBeGreaterThan(0);
    // Until the operating system takes no more.
    let taken = -1;
    await expect
      .poll(() => {
        const { socket } = only();
        const before = taken;
        taken = (socket?.bytesWritten ?? 0) - (socket?.writableLength ?? 0);
        return before === taken;
      })
      .toBe(true);
  });

  it('is too slow once its grace is over', () => {
    expect(look(0)).toEqual([]);
    expect(look(5_000)).toEqual([]);
    expect(look(1)).toEqual(['reading']);
  });

  it('is not, when it reads in the meantime', async () => {
    expect(look(0)).toEqual([]);
    client.resume();
    await expect.poll(() => inFlight.size).toBe(0);
    expect(look(1_000_000)).toEqual([]);
  });
});

it.each([
  [0, 5_000, false],
  [0, 5_001, true],
  [99, 6_000, true],
  [100, 6_000, false],
  [1_000_000, 5_000_000, false],
])('%d bytes in %d ms are too few: %s', (bytes, waitedMs, expected) => {
  expect(isTooSlow(bytes, waitedMs, rules)).toBe(expected);
});

it('with a rate of 0 nobody is', async () => {
  handle = () => {};
  post(10);
  await expect.poll(() => inFlight.size).toBe(1);
  const sweep = openSlowClientSweep(() => ({ minBytesPerSecond: 0, graceMs: 0 }));
  sweep(inFlight, 0);
  expect(sweep(inFlight, 1_000_000_000)).toEqual([]);
});

describe('the watch', () => {
  it('tells who sends too slowly, ends the connection, and lets go of whoever waited for the body', async () => {
    const observed: Observation[] = [];
    const ended = new Promise<boolean>((resolve) => {
      handle = (request, response) => {
        request.resume();
        response.on('close', () => resolve(request.complete));
      };
    });
    let answer = '';
    client.on('data', (chunk) => {
      answer += chunk;
    });
    const closed = new Promise((resolve) => client.on('close', resolve));
    post(100_000);
    const watch = watchSlowClients({
      inFlight: () => inFlight,
      rules: () => ({ minBytesPerSecond: 1_000_000, graceMs: 0 }),
      observe: (observation) => observed.push(observation),
      everyMs: 5,
    });
    await closed;
    watch.close();
    expect(await ended).toBe(false);
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\nconnection: close\r\n/);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ code: 'request_timeout' });
    expect(observed).toMatchObject([{ kind: 'http.slow_client', doing: 'sending' }]);
  });

  it('ends the connection of who does not read, without a word in the middle of the answer', async () => {
    const whole = new Promise<boolean>((resolve) => {
      handle = (_, response) => {
        response.on('close', () => resolve(response.writableFinished));
        response.end(Buffer.alloc(64 * 2 ** 20));
      };
    });
    client.pause();
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const watch = watchSlowClients({
      inFlight: () => inFlight,
      rules: () => ({ minBytesPerSecond: 1_000_000_000, graceMs: 0 }),
      observe: () => {},
      everyMs: 5,
    });
    expect(await whole).toBe(false);
    watch.close();
  });
});
