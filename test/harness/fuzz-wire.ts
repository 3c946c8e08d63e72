// In charge of: a fuzz's connections: how bytes are sent, and answers read as strictly as a proxy would, each within a bound.
import { connect, type Socket } from 'node:net';
import type { FuzzRequest } from './fuzz-frames.ts';
import type { Random } from './random.ts';

export interface WireAnswer {
  readonly request: FuzzRequest;
  readonly status: number;
  /** By lower-case name; the last one of several. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Visit {
  readonly answers: readonly WireAnswer[];
  readonly sent: number;
  /** What no server of good standing does; undefined when all is well. */
  readonly complaint: string | undefined;
}

export interface Port {
  readonly host: string;
  readonly port: number;
}

/** Neither an answer nor the end of the connection within this time is a hang. */
export const hangMs = 20_000;
const connectMs = 10_000;
/** A slow client sends in at most so many pieces. */
const maxPieces = 250;

export const manners = [
  'inTurn',
  'pipelined',
  'slow',
  'halfClosed',
  'cut',
  'reset',
  'left',
  'late',
  'silent',
] as const;
export type Manner = (typeof manners)[number];

/** Sends the requests on one connection in that manner. Resolves when it is closed. */
export async function visit(
  { host, port }: Port,
  requests: readonly FuzzRequest[],
  manner: Manner,
  random: Random,
): Promise<Visit> {
  // Each visitor may come from an address of its own: all of 127.0.0.0/8 is this machine on Linux.
  const localAddress =
    process.platform === 'linux' ? `127.0.${random.whole(0, 3)}.${random.whole(1, 250)}` : undefined;
  const socket = connect({
    host,
    port,
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const conversation = new Conversation(socket, requests);
  try {
    if (!(await conversation.opened())) return conversation.result('the connection is not taken');
    await talk(conversation, requests, manner, random);
    return conversation.result(undefined);
  } catch (error) {
    return conversation.result(error instanceof Error ? error.message : String(error));
  } finally {
    socket.destroy();
  }
}

async function talk(
  conversation: Conversation,
  requests: readonly FuzzRequest[],
  manner: Manner,
  random: Random,
): Promise<void> {
  const whole = Buffer.concat(requests.map(({ bytes }) => bytes));
  const { socket } = conversation;
  switch (manner) {
    case 'inTurn':
      for (const [index, { bytes }] of requests.entries()) {
        if (conversation.isOver) break;
        conversation.send(bytes, 1);
        await conversation.until(index + 1);
      }
      break;
    case 'pipelined':
      conversation.send(whole, requests.length);
      await conversation.until(requests.length);
      break;
    case 'slow': {
      // A byte at a time as far as that goes, and the rest in pieces.
      const first = random.whole(1, maxPieces / 2);
      const step = Math.max(1, Math.ceil((whole.length - first) / (maxPieces / 2)));
      for (let at = 0; at < whole.length && !conversation.isOver; at += at < first ? 1 : step) {
        conversation.send(whole.subarray(at, at < first ? at + 1 : at + step), 0);
        await pause(random.whole(0, 8));
      }
      conversation.send(Buffer.alloc(0), requests.length);
      await conversation.until(requests.length);
      break;
    }
    case 'halfClosed':
      conversation.send(whole, requests.length);
      // Time for an answer, as the end of our half is the end of what we asked for.
      await Promise.race([conversation.until(requests.length), pause(random.pick([0, 0, 200]))]);
      socket.end();
      await conversation.untilClosed();
      break;
    case 'cut':
      conversation.send(whole.subarray(0, random.whole(0, whole.length - 1)), 0);
      await pause(random.pick([0, 20, 300]));
      socket.end();
      await conversation.untilClosed();
      break;
    case 'reset':
      conversation.send(
        whole.subarray(0, random.chance(0.5) ? whole.length : random.whole(0, whole.length)),
        0,
      );
      await pause(random.pick([0, 1, 5, 30, 200]));
      socket.resetAndDestroy();
      break;
    case 'left':
      conversation.send(whole, requests.length);
      await Promise.race([conversation.until(1), pause(random.pick([0, 5, 50]))]);
      socket.destroy();
      break;
    case 'late':
      socket.pause();
      conversation.send(whole, requests.length);
      await pause(random.whole(100, 1_500));
      socket.resume();
      await conversation.until(requests.length);
      break;
    case 'silent':
      await pause(random.whole(0, 500));
      socket.end();
      await conversation.untilClosed();
  }
}

class Conversation {
  readonly socket: Socket;
  readonly #requests: readonly FuzzRequest[];
  readonly #answers: WireAnswer[] = [];
  #received: Buffer = Buffer.alloc(0);
  #sent = 0;
  #isOpen = false;
  /** The server has said that it takes no more, or the connection is gone. */
  #isOver = false;
  #isClosed = false;
  #complaint: string | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(socket: Socket, requests: readonly FuzzRequest[]) {
    this.socket = socket;
    this.#requests = requests;
    socket.on('connect', () => {
      this.#isOpen = true;
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('end', () => this.#over());
    socket.on('close', () => {
      this.#isClosed = true;
      this.#over();
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async opened(): Promise<boolean> {
    await this.#when(() => this.#isOpen || this.#isClosed, connectMs, 'no connection').catch(() => {});
    return this.#isOpen;
  }

  send(bytes: Buffer, requests: number): void {
    this.#sent += requests;
    if (this.socket.writable) this.socket.write(bytes);
  }

  /** Until there are so many answers, or no more will come. */
  until(answers: number): Promise<void> {
    const asked = this.#requests.map(({ label }) => label).join(' + ');
    return this.#when(
      () => this.#answers.length >= answers || this.#isOver,
      hangMs,
      `no answer within ${hangMs / 1000} s: ${asked}`,
    );
  }

  untilClosed(): Promise<void> {
    const asked = this.#requests.map(({ label }) => label).join(' + ');
    return this.#when(() => this.#isOver, hangMs, `not closed within ${hangMs / 1000} s: ${asked}`);
  }

  result(complaint: string | undefined): Visit {
    return { answers: this.#answers, sent: this.#sent, complaint: complaint ?? this.#complaint };
  }

  #when(isSo: () => boolean, ms: number, otherwise: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (isSo()) {
        resolve();
        return;
      }
      const look = () => {
        if (!isSo()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(otherwise));
      }, ms);
      this.#waiting.add(look);
    });
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  #over(): void {
    this.#isOver = true;
    this.#wake();
  }

  #read(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      const request = this.#requests[Math.min(this.#answers.length, this.#requests.length - 1)];
      if (request === undefined) break;
      const found = parseAnswer(this.#received, request);
      if (found === undefined) break;
      if (typeof found === 'string') {
        this.#complaint ??= `${found}: ${request.label} → ${this.#received.toString('latin1', 0, 300)}`;
        this.#over();
        return;
      }
      this.#received = found.rest;
      if (found.answer.status >= 200) this.#answers.push(found.answer);
      if (found.answer.headers.connection === 'close' && found.answer.status >= 200) {
        this.#over();
        return;
      }
      if (this.#received.length === 0) break;
    }
    this.#wake();
  }
}

/** The first answer of what was received; a sentence's end when it is none; undefined while a part is missing. */
function parseAnswer(
  received: Buffer,
  request: FuzzRequest,
): { readonly answer: WireAnswer; readonly rest: Buffer } | string | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return received.length > 100_000 ? 'an endless head' : undefined;
  const [line = '', ...lines] = received.toString('latin1', 0, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) [^\r\n]*$/.exec(line)?.[1]);
  if (!(status >= 100 && status <= 599)) return 'no status line';
  const headers: Record<string, string> = {};
  for (const header of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\0\r\n]*)$/.exec(header) ?? [];
    if (name === undefined || value === undefined) return 'a line that is no header';
    const known = name.toLowerCase();
    if (known === 'content-length' && headers[known] !== undefined) return 'two lengths';
    headers[known] = value;
  }
  const rest = received.subarray(headEnd + 4);
  const answer = { request, status, headers };
  // A head that could not be read has no method, so that its refusal comes with a body.
  const isRefusal = headers.connection === 'close' && status >= 400 && rest.length > 0;
  if (status < 200 || status === 204 || status === 304 || (request.method === 'HEAD' && !isRefusal))
    return { answer: { ...answer, body: Buffer.alloc(0) }, rest };
  if (headers['transfer-encoding'] === 'chunked') {
    const whole = unchunked(rest);
    return typeof whole === 'object' ? { answer: { ...answer, body: whole.body }, rest: whole.rest } : whole;
  }
  const length = Number(headers['content-length']);
  if (!Number.isInteger(length)) return 'neither a length nor chunks';
  if (rest.length < length) return undefined;
  return { answer: { ...answer, body: rest.subarray(0, length) }, rest: rest.subarray(length) };
}

function unchunked(bytes: Buffer): { readonly body: Buffer; readonly rest: Buffer } | string | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) return 'a chunk without a size';
    const end = lineEnd + 2 + size;
    if (bytes.length < end + 2) return undefined;
    parts.push(bytes.subarray(lineEnd + 2, end));
    at = end + 2;
    if (size === 0) return { body: Buffer.concat(parts), rest: bytes.subarray(at) };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
