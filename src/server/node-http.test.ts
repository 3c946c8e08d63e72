// In charge of: that an answer ends where it ends, whatever a service or a function of the project's says about that.
import { afterEach, expect, it } from 'vitest';
import { openSocket } from '../../test/harness/sockets.ts';
import type { Answer } from '../engine/service/http.ts';
import { type HttpPort, openHttpPort } from './listen.ts';
import { NodeLine } from './node-http.ts';

let port: HttpPort | undefined;
afterEach(() => port?.close(0));

/** All bytes that come back for these requests, the last of which ends the connection. */
async function ask(answer: Answer, ...methods: readonly string[]): Promise<string> {
  port = await openHttpPort({
    host: '127.0.0.1',
    port: 0,
    handle: (incoming, outgoing) => new NodeLine(incoming, outgoing, false).reply(answer, []),
    observe: () => {},
  });
  const socket = await openSocket({ API_URL: `http://127.0.0.1:${port.port}` });
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('close', () => resolve(text.replaceAll(/date: [^\r]*\r\n|keep-alive: [^\r]*\r\n/gi, '')));
    const requests = methods.map((method) => `${method} / HTTP/1.1\r\nhost: localhost\r\n\r\n`).join('');
    socket.write(requests.replace(/\r\n$/, 'connection: close\r\n\r\n'));
  });
}

const unruly: Answer['headers'] = [
  ['Content-Length', '1'],
  ['Transfer-Encoding', 'gzip'],
  ['Connection', 'upgrade'],
  ['Keep-Alive', 'timeout=1'],
  ['Upgrade', 'websocket'],
  ['Trailer', 'x-late'],
  ['x-own', 'kept'],
];

it('gives the length of its body, not the one that it was told', async () => {
  const one = (connection: string) =>
    `HTTP/1.1 200 OK\r\nx-own: kept\r\ncontent-length: 9\r\nConnection: ${connection}\r\n\r\nthe whole`;
  expect(await ask({ status: 200, headers: unruly, body: 'the whole' }, 'GET', 'GET')).toBe(
    one('keep-alive') + one('close'),
  );
});

it('has no length where there can be no body', async () => {
  expect(await ask({ status: 204, headers: unruly, body: null }, 'GET')).toBe(
    'HTTP/1.1 204 No Content\r\nx-own: kept\r\nConnection: close\r\n\r\n',
  );
});

it('says of HEAD what it was told that GET has', async () => {
  expect(await ask({ status: 200, headers: unruly, body: null }, 'HEAD')).toBe(
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nx-own: kept\r\nConnection: close\r\n\r\n',
  );
});
