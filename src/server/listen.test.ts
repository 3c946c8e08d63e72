// In charge of: what the port does with clients that do not read their answer, offer another protocol or expect what nobody does.
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { exchange, openSocket } from '../../test/harness/sockets.ts';
import type { Observation } from '../base/observe.ts';
import { delay } from '../base/time.ts';
import { type HttpPort, type HttpPortOptions, openHttpPort } from './listen.ts';
import { fetchHandler } from './outside.ts';

const stalledMs = 100;
const request = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';

let port: HttpPort | undefined;
afterEach(() => port?.close(0));

async function open(fetch: (url: string) => Promise<Response>) {
  const seen: Observation[] = [];
  port = await openHttpPort({
    host: '127.0.0.1',
    port: 0,
    handle: fetchHandler(
      ({ url }) => fetch(url),
      () => {},
    ),
    observe: (event) => seen.push(event),
    stalledMs,
    heads: { timeoutMs: 300, checkedEveryMs: 50 },
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

const inARow = ['/first', '/second', '/third'].map((path) => request.replace('/', path)).join('');

/** Answers all but the first, which is answered when the function that this gives is called. */
async function openInARow() {
  const [opened, closed]: [string[], string[]] = [[], []];
  const seen: Observation[] = [];
  let release = () => {};
  const handle: HttpPortOptions['handle'] = ({ url = '' }, outgoing) => {
    opened.push(url);
    outgoing.on('close', () => closed.push(url));
    if (url !== '/first') outgoing.end(url);
    else release = () => outgoing.setHeader('connection', 'close').end(url);
  };
  const opening = openHttpPort({
    host: '127.0.0.1',
    port: 0,
    handle,
    observe: (event) => seen.push(event),
  });
  port = await opening;
  const socket = await openSocket({ API_URL: `http://127.0.0.1:${port.port}` });
  socket.write(inARow);
  await expect.poll(() => opened).toEqual(['/first', '/second', '/third']);
  return { port, socket, seen, closed, release: () => release() };
}

type InARow = Awaited<ReturnType<typeof openInARow>>;

describe('requests in a row on a connection', () => {
  it.each([
    ['the first answer ends the connection', ({ release }: InARow) => release()],
    ['the client goes away', ({ socket }: InARow) => socket.resetAndDestroy()],
    [
      'the client asks for a tunnel',
      ({ socket }: InARow) => socket.write('CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n'),
    ],
  ])('are all over when %s', async (_, end) => {
    const inARow = await openInARow();
    end(inARow);
    await expect.poll(() => inARow.closed.toSorted()).toEqual(['/first', '/second', '/third']);
    await inARow.port.close(60_000);
    expect(inARow.seen.at(-1)).toEqual({ kind: 'stop.draining', inFlight: 0 });
  });
});

describe('an offer of another protocol', () => {
  it('ends the connection with its answer: Node loses what came in one piece with it', async () => {
    const asked: string[] = [];
    const { socket } = await open(async (url) => {
      asked.push(url);
      return new Response('the answer');
    });
    const upgrade = `${request.slice(0, -2)}upgrade: h2c\r\nconnection: upgrade\r\n\r\n`;
    expect(await everything(socket, `${upgrade}${request.replace('/', '/second')}`)).toMatch(
      /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*connection: close\r\n(?:.*\r\n)*\r\nthe answer$/i,
    );
    expect(asked).toHaveLength(1);
  });

  it('leaves no way for what comes later to be taken for a request', async () => {
    let release = () => {};
    const asked: string[] = [];
    const { socket } = await open((url) => {
      asked.push(url);
      return new Promise((resolve) => {
        release = () => resolve(new Response('first'));
      });
    });
    socket.write(`${request.slice(0, -2)}upgrade: websocket\r\nconnection: upgrade\r\n\r\n`);
    await expect.poll(() => asked.length).toBe(1);
    const answer = everything(socket, request.replace('/', '/second'));
    const other = await openSocket({ API_URL: `http://127.0.0.1:${port?.port}` });
    other.write(request.replace('/', '/third'));
    // What was sent later is there, so what was sent earlier is.
    await expect.poll(() => asked.at(-1)).toMatch(/third$/);
    expect(asked.filter((url) => url.endsWith('second'))).toEqual([]);
    other.destroy();
    socket.destroy();
    await answer;
    release();
  });
});

describe('a client that waits to be told to go on', () => {
  const waiting = `${request.slice(0, -2)}connection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n`;
  const bare = (answers: string) => answers.replaceAll(/(?:[a-z-]+: .*\r\n)+/gi, '');

  it('is told so once', async () => {
    const { socket } = await open(async () => new Response('done'));
    expect(bare(await everything(socket, `${waiting}hi`))).toBe(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\ndone',
    );
  });
});

it('says what it does not know of Expect', async () => {
  const { socket } = await open(async () => new Response('never'));
  const answer = await everything(socket, `${request.slice(0, -2)}expect: miracles\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 417 /);
  expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toEqual({
    code: 'expectation_failed',
    message: 'This server does not do what the header Expect asks for: "miracles".',
    hint: 'It knows "100-continue".',
  });
});

/** What comes back until the server closes. */
function everything(socket: Socket, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.once('close', () => resolve(text));
    socket.write(bytes);
  });
}

it('answers a client that sends its head bit by bit with 408, and lets go of it', async () => {
  const { seen, socket } = await open(async () => new Response('never'));
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n');
  // Never silent for long enough to be cut off as one that says nothing.
  const drip = setInterval(() => socket.writable && socket.write('x-a: b\r\n'), stalledMs / 4);
  await closed;
  clearInterval(drip);
  expect(text).toMatch(/^HTTP\/1.1 408 Request Timeout\r\nconnection: close\r\n/);
  expect(text).toContain('"code":"request_timeout"');
  expect(seen).toEqual([
    { kind: 'http.malformed', code: 'ERR_HTTP_REQUEST_TIMEOUT', message: expect.any(String) },
  ]);
});
