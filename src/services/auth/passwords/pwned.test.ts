// In charge of: what is sent to the leak service, what is made of its answers, and what happens without it. The server is real.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Observation } from '../../../base/observe.ts';
import { openEgress } from '../../../engine/egress/egress.ts';
import { openPwnedPasswords } from './pwned.ts';

async function open(listener: RequestListener) {
  const requests: IncomingMessage[] = [];
  const seen: Observation[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const egress = openEgress({ allow: () => ['127.0.0.1/32'], observe: () => undefined, now: Date.now });
  onTestFinished(async () => {
    await egress.close();
    server.closeAllConnections();
    server.close();
  });
  let time = 1_000_000;
  // Sound: a TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  const pwned = openPwnedPasswords({
    fetch: egress.fetch,
    observe: (observation) => seen.push(observation),
    now: () => time,
    url: () => `http://127.0.0.1:${port}/range/`,
  });
  return {
    find: pwned.find,
    requests,
    seen,
    wait(ms: number) {
      time += ms;
    },
  };
}

/** `password` has the SHA-1 5BAA6 1E4C9B93F3F0682250B6CF8331B7EE68FD8. */
const range = [
  '003D68EB55068C33ACE09247EE4C639306B:3',
  '1E4C9B93F3F0682250B6CF8331B7EE68FD8:9545824',
  '1E4C9B93F3F0682250B6CF8331B7EE68FD9:0',
  'not a line of this form',
].join('\r\n');

describe('a leaked password', () => {
  it('is found, and only five digits of its SHA-1 were sent', async () => {
    const { find, requests } = await open((_, response) => response.end(range));
    expect(await find('password')).toBe('found');
    expect(requests).toHaveLength(1);
    const { method, url, headers } = requests[0]!;
    expect({ method, url }).toEqual({ method: 'GET', url: '/range/5BAA6' });
    expect(headers['add-padding']).toBe('true');
    expect(headers['user-agent']).toBe('millrace');
    expect(JSON.stringify(headers)).not.toContain('1E4C9B');
  });

  it('is not what the service fills its answers up with', async () => {
    const password = 'x';
    const digest = createHash('sha1').update(password).digest('hex').toUpperCase();
    const { find } = await open((_, response) => response.end(`${digest.slice(5)}:0\r\n`));
    expect(await find(password)).toBe('not found');
  });

  it('is asked for once, however many ask at a time and for an hour after', async () => {
    const { find, requests, wait } = await open((_, response) => response.end(range));
    expect(await Promise.all(Array.from({ length: 10 }, () => find('password')))).toEqual(
      Array(10).fill('found'),
    );
    expect(await find('password')).toBe('found');
    expect(requests).toHaveLength(1);
    wait(60 * 60_000);
    expect(await find('password')).toBe('found');
    expect(requests).toHaveLength(2);
  });

  it('is asked for again when 32 other ranges came after it', async () => {
    const { find, requests } = await open((_, response) => response.end(range));
    await find('password');
    for (let index = 0; index < 32; index += 1) await find(`other ${index}`);
    expect(requests).toHaveLength(33);
    await find('password');
    expect(requests).toHaveLength(34);
  });
});

describe('a service that is away', () => {
  it.each<[string, RequestListener]>([
    ['answers 503', (_, response) => response.writeHead(503).end()],
    ['leads elsewhere', (_, response) => response.writeHead(302, { location: 'https://example.com/' }).end()],
    ['hangs up', (request) => request.socket.destroy()],
    ['sends without end', (_, response) => response.end('x'.repeat(300 * 1024))],
    ['never answers', () => undefined],
  ])('%s: nobody is kept waiting for the next minute, and then it is tried again', async (_, listener) => {
    let isAway = true;
    const { find, requests, seen, wait } = await open((request, response) =>
      isAway ? listener(request, response) : response.end(range),
    );
    expect(await find('password')).toBe('unknown');
    expect(seen).toMatchObject([{ kind: 'auth.pwned_unreachable', level: 'warn' }]);
    expect(JSON.stringify(seen)).not.toContain('5BAA6');
    const asked = requests.length;
    expect(await find('password')).toBe('unknown');
    expect(await find('another')).toBe('unknown');
    expect(requests).toHaveLength(asked);
    isAway = false;
    wait(60_000);
    expect(await find('password')).toBe('found');
  });
});
