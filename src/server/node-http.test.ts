// In charge of: that an answer ends where it ends, whatever a service or a function of the project's says about that.
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, expect, it } from 'vitest';
import { openSocket } from '../../test/harness/sockets.ts';
import { FileBytes } from '../base/file-bytes.ts';
import type { Answer } from '../engine/service/http.ts';
import { type HttpPort, type HttpPortOptions, openHttpPort } from './listen.ts';
import { NodeLine } from './node-http.ts';

let port: HttpPort | undefined;
afterEach(() => port?.close(0));

/** All bytes that come back, until the server closes. */
async function exchange(bytes: string, handle: HttpPortOptions['handle']): Promise<string> {
  port = await openHttpPort({ host: '127.0.0.1', port: 0, handle, observe: () => {} });
  const socket = await openSocket({ API_URL: `http://127.0.0.1:${port.port}` });
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('close', () => resolve(text.replaceAll(/date: [^\r]*\r\n|keep-alive: [^\r]*\r\n/gi, '')));
    socket.write(bytes);
  });
}

/** The answers to these requests, the last of which ends the connection. */
function ask(answer: Answer, ...methods: readonly string[]): Promise<string> {
  const requests = methods.map((method) => `${method} / HTTP/1.1\r\nhost: localhost\r\n\r\n`).join('');
  return exchange(
    requests.replace(/\r\n$/, 'connection: close\r\n\r\n'),
    (incoming, outgoing) => void new NodeLine(incoming, outgoing, false).reply(answer, [])?.catch(() => {}),
  );
}

async function openFile(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'mr-node-http-'));
  const path = join(folder, 'file');
  await writeFile(path, text);
  return {
    handle: await open(path),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
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

it.each([
  ['abc', /^HTTP\/1.1 200 OK\r\ncontent-length: 3\r\nConnection: close\r\n\r\nabc$/],
  // What is too much would be read as the next answer's beginning.
  ['abcd', /^(?!.*abc)/s],
  ['ab', /^$|content-length: 3\r\n.*\r\n\r\nab$/s],
])(
  'sends the 3 bytes that a stream of %j was said to have, or ends the connection',
  async (text, expected) => {
    const body = { stream: Readable.from([Buffer.from(text)]), sizeBytes: 3 };
    expect(await ask({ status: 200, headers: [], body }, 'GET')).toMatch(expected);
  },
);

it.each([
  ['abc', /^HTTP\/1.1 200 OK\r\ncontent-length: 3\r\nConnection: close\r\n\r\nabc$/],
  ['abcd', /^(?!.*abc)/s],
  ['ab', /^$|content-length: 3\r\n.*\r\n\r\nab$/s],
])('does the same with a file of %j', async (text, expected) => {
  await using file = await openFile(text);
  const body = { stream: new FileBytes(file.handle), sizeBytes: 3 };
  expect(await ask({ status: 200, headers: [], body }, 'GET')).toMatch(expected);
});

it('sends a file behind the answer whose turn is first', async () => {
  await using file = await openFile('file');
  const requests =
    'GET /first HTTP/1.1\r\nhost: localhost\r\n\r\nGET /file HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';
  let first: NodeLine | undefined;
  const answers = await exchange(requests, (incoming, outgoing) => {
    const line = new NodeLine(incoming, outgoing, false);
    if (incoming.url === '/first') {
      first = line;
      return;
    }
    void line.reply(
      { status: 200, headers: [], body: { stream: new FileBytes(file.handle), sizeBytes: 4 } },
      [],
    );
    setImmediate(() => void first?.reply({ status: 200, headers: [], body: 'first' }, []));
  });
  expect(answers).toBe(
    'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nConnection: keep-alive\r\n\r\nfirst' +
      'HTTP/1.1 200 OK\r\ncontent-length: 4\r\nConnection: close\r\n\r\nfile',
  );
});

it.each(['/first', '/file'])(
  'closes the file when the client goes away, its turn being at %s',
  async (now) => {
    await using file = await openFile('x'.repeat(50_000_000));
    let over: Promise<void> | undefined;
    const answered = Promise.withResolvers<void>();
    port = await openHttpPort({
      host: '127.0.0.1',
      port: 0,
      observe: () => {},
      handle: (incoming, outgoing) => {
        if (incoming.url !== '/file') return;
        const body = { stream: new FileBytes(file.handle), sizeBytes: 50_000_000 };
        over = new NodeLine(incoming, outgoing, false).reply({ status: 200, headers: [], body }, []);
        answered.resolve();
      },
    });
    const socket = await openSocket({ API_URL: `http://127.0.0.1:${port.port}` });
    const first = now === '/first' ? 'GET /first HTTP/1.1\r\nhost: localhost\r\n\r\n' : '';
    socket.write(`${first}GET /file HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    await answered.promise;
    socket.destroy();
    await expect(over).rejects.toThrow();
    await expect.poll(() => file.handle.fd).toBe(-1);
  },
);

it('tells nobody to go on in the middle of an answer', async () => {
  const requests =
    'GET /first HTTP/1.1\r\nhost: localhost\r\n\r\n' +
    'POST /second HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi';
  let first: NodeLine | undefined;
  const answers = await exchange(requests, (incoming, outgoing) => {
    const line = new NodeLine(incoming, outgoing, incoming.method === 'POST');
    if (incoming.method === 'GET') {
      first = line;
      return;
    }
    // The second answer is there before its turn has come.
    void line.readBody(10).then((body) => {
      void line.reply({ status: 200, headers: [], body: body ?? null }, []);
      void first?.reply({ status: 200, headers: [], body: 'first' }, []);
    });
  });
  expect(answers).toBe(
    'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nConnection: keep-alive\r\n\r\nfirst' +
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nhi',
  );
});
