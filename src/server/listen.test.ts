// In charge of: what the port does with a client that does not read its answer, beside one that waits for it.
import { afterEach, expect, it } from 'vitest';
import { exchange, openSocket } from '../../test/harness/sockets.ts';
import type { Observation } from '../base/observe.ts';
import { delay } from '../base/time.ts';
import { type HttpPort, openHttpPort } from './listen.ts';
import { fetchHandler } from './outside.ts';

const stalledMs = 100;
const request = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';

let port: HttpPort | undefined;
afterEach(() => port?.close(0));

async function open(fetch: () => Promise<Response>) {
  const seen: Observation[] = [];
  port = await openHttpPort({
    host: '127.0.0.1',
    port: 0,
    handle: fetchHandler(fetch, () => {}),
    observe: (event) => seen.push(event),
    stalledMs,
  });
  return { seen, socket: await openSocket({ API_URL: `http://127.0.0.1:${port.port}` }) };
}

it('cuts off a client that reads nothing of a large answer', async () => {
  const { seen, socket } = await open(async () => new Response('x'.repeat(50_000_000)));
  socket.pause();
  socket.write(request);
  await expect
    .poll(() => seen, { timeout: 20_000 })
    .toEqual([{ kind: 'http.stalled', level: 'info', unreadBytes: expect.any(Number) }]);
  socket.destroy();
});

it('lets a client wait for an answer that takes longer than that', async () => {
  const { seen, socket } = await open(async () => {
    await delay(3 * stalledMs);
    return new Response('late');
  });
  expect(await exchange(socket, request)).toBe('200');
  expect(seen).toEqual([]);
  socket.destroy();
});
