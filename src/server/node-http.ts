// In charge of: a request of Node's as plain values, and a plain answer on Node's response.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { type Answer, type Headers, isStream } from '../engine/service/http.ts';
import type { Line, RequestHead } from './passage.ts';
import { sendStream } from './send-stream.ts';

/** The head; a sentence's end when it is none: what is wrong with it (RFC 9112 sections 3.2 and 3.2.2). */
export function headOf(incoming: IncomingMessage): RequestHead | string {
  const found = originForm(incoming.url ?? '');
  if (found === undefined) return `its target is "${incoming.url ?? ''}"`;
  const { target, authority } = found;
  const repeated = repeatedOf(incoming.rawHeaders);
  // Node keeps the first, and whoever stands before us may have gone by the last.
  if (repeated.hosts > 1) return 'it names its host more than once';
  const flat = singleValued(incoming, repeated.authorization);
  // Whoever names a host in the target has meant that one. Source: RFC 9112 section 3.2.2.
  const headers = authority === undefined ? flat : { ...flat, host: authority };
  if (!isHost(headers.host)) return `its host is "${headers.host ?? ''}"`;
  const queryStart = target.indexOf('?');
  return {
    method: incoming.method ?? 'GET',
    path: withoutDots(queryStart < 0 ? target : target.slice(0, queryStart)),
    query: queryStart < 0 ? '' : target.slice(queryStart + 1),
    headers,
    hasBody: headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined,
    address: '',
    countedAs: '',
    isSecure: false,
    isProxied: false,
  };
}

interface Target {
  /** `/path?query` */
  readonly target: string;
  readonly authority?: string;
}

/** The target as a server gets it, also from the absolute form that a client sends to a proxy. */
function originForm(target: string): Target | undefined {
  if (target.startsWith('/')) return { target };
  const [scheme, authority] = /^https?:\/\/([^/?]+)/i.exec(target) ?? [];
  if (scheme === undefined || authority === undefined) return undefined;
  const rest = target.slice(scheme.length);
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority };
}

const hostShape = /^(?:[\w.~-]|%[0-9a-f]{2}|[!$&'()*+,;=])*(?::\d{1,5})?$|^\[[0-9a-f:.]+\](?::\d{1,5})?$/i;
/** The host of the request before, which nearly always is this one's, too. */
let knownHost: string | undefined;

function isHost(host: string | undefined): boolean {
  // HTTP/1.0 knows none; without one in HTTP/1.1 Node has refused already.
  if (host === undefined || host === knownHost) return true;
  if (!hostShape.test(host)) return false;
  knownHost = host;
  return true;
}

/** `/rest/v1/../x` is `/rest/x`, as a browser would have asked: whoever stands before us may have read it so. Source: WHATWG URL, "path state". */
function withoutDots(path: string): string {
  if (!path.includes('/.') && !/%2e/i.test(path)) return path;
  return new URL(`http://localhost${path}`).pathname;
}

/**
 * Node's own object of headers wherever it can be: a copy for each request costs more than routing it. Node joins what came several
 * times, but for two: of `set-cookie` it makes a list, and of `authorization` it keeps the first, where a request that carries two must not be
 * taken for the one that some proxy has checked. Source: Node's documentation, http "message.headers".
 */
function singleValued(
  { headers }: IncomingMessage,
  repeated: string | undefined,
): Readonly<Record<string, string>> {
  const hasList = headers['set-cookie'] !== undefined;
  // Sound: without `set-cookie` every value is a text.
  if (!hasList && repeated === undefined) return headers as Readonly<Record<string, string>>;
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ');
  }
  if (repeated !== undefined) flat.authorization = repeated;
  return flat;
}

/** How often a host is named, and what came as `Authorization` when that came more than once. Nearly every other name is told from them by its length. */
function repeatedOf(rawHeaders: readonly string[]): {
  readonly hosts: number;
  readonly authorization: string | undefined;
} {
  let hosts = 0;
  let first: string | undefined;
  let joined: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length === 4) {
      if (name.toLowerCase() === 'host') hosts += 1;
    } else if (name.length === 13 && name.toLowerCase() === 'authorization') {
      const value = rawHeaders[at + 1]!;
      if (first === undefined) first = value;
      else joined = `${joined ?? first}, ${value}`;
    }
  }
  return { hosts, authorization: joined };
}

export class NodeLine implements Line {
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #hasBody: boolean;

  constructor(incoming: IncomingMessage, outgoing: ServerResponse, hasBody: boolean) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#hasBody = hasBody;
  }

  readBody(maxBytes: number): Promise<Buffer | undefined> {
    const incoming = this.#incoming;
    askForBody(incoming, this.#outgoing);
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      incoming.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes > maxBytes) {
          // The rest is read past and not kept, so that the client gets to read the refusal.
          chunks.length = 0;
          resolve(undefined);
          return;
        }
        chunks.push(chunk);
      });
      incoming.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
      incoming.on('error', reject);
      incoming.on('close', () => {
        if (!incoming.complete) reject(new Error('the client went away before its body was here'));
      });
    });
  }

  openBody(): Readable {
    const incoming = this.#incoming;
    askForBody(incoming, this.#outgoing);
    // Of its own: whoever gives it up would end the connection with Node's, before the refusal is out. The rest is read past then.
    const body = new PassThrough();
    // Whoever reads it hears of it; until somebody does, it must not end the program.
    body.on('error', () => {});
    const breakOff = () => {
      if (!incoming.complete) body.destroy(new Error('the client went away before its body was here'));
    };
    // Before anybody asked for its body: nothing tells of it any more.
    if (incoming.destroyed && !incoming.complete) {
      breakOff();
      return body;
    }
    incoming.on('error', (error) => body.destroy(error));
    incoming.on('close', breakOff);
    body.on('close', () => incoming.unpipe(body));
    return incoming.pipe(body);
  }

  movedBytes(): number {
    const { socket } = this.#incoming;
    return socket.bytesRead + socket.bytesWritten;
  }

  bodyIsMissing(): boolean {
    return this.#hasBody && !this.#incoming.complete;
  }

  isGone(): boolean {
    return this.#outgoing.destroyed || this.#incoming.socket.destroyed;
  }

  reply(answer: Answer, own: Headers): Promise<void> | undefined {
    const outgoing = this.#outgoing;
    if (outgoing.destroyed) {
      if (isStream(answer.body)) answer.body.stream.destroy();
      return undefined;
    }
    const { status, body } = answer;
    // One flat list straight into the head: setHeader() first, and Node merges header by header.
    const flat: string[] = [];
    const { method } = this.#incoming;
    let hasLength = false;
    for (const [name, value] of own) flat.push(name, value);
    for (const [name, value] of answer.headers) {
      if (isFraming(name)) {
        // What a GET would have had; nothing else of it could be known here.
        if (method !== 'HEAD' || name.toLowerCase() !== lengthHeader) continue;
        hasLength = true;
      }
      flat.push(name, value);
    }
    if (!hasLength && carriesBody(method, status)) {
      const length = lengthOf(body);
      // Without one Node sends it in chunks.
      if (length !== undefined) flat.push(lengthHeader, String(length));
    }
    outgoing.writeHead(status, flat);
    let over: Promise<void> | undefined;
    if (body === null) outgoing.end();
    else if (!isStream(body)) outgoing.end(body);
    else if (carriesBody(method, status)) over = sendStream(body, outgoing);
    else {
      body.stream.destroy();
      outgoing.end();
    }
    if (this.#hasBody && !this.#incoming.complete) drain(this.#incoming);
    return over;
  }
}

function lengthOf(body: Answer['body']): number | undefined {
  if (body === null) return 0;
  return isStream(body) ? body.sizeBytes : Buffer.byteLength(body);
}

/** Tells a client that asks first to send its body; every other one does anyway. Node closes the connection of one that is answered without. */
export function askForBody({ headers, httpVersionMinor }: IncomingMessage, outgoing: ServerResponse): void {
  if (headers.expect === undefined || httpVersionMinor === 0 || outgoing.destroyed) return;
  // Of a request whose turn has not come Node would put the word behind the head of its answer.
  if (outgoing.socket !== null) outgoing.writeContinue();
  else
    outgoing.once('socket', () => {
      if (!outgoing.headersSent) outgoing.writeContinue();
    });
}

const lengthHeader = 'content-length';

/**
 * What says where an answer ends and what becomes of the connection is this file's to say. A function of the project's may set any
 * header, and with a length of its own the rest of its body would be read as the next answer (CWE-113).
 */
function isFraming(name: string): boolean {
  // By length first: most names are done with by that.
  switch (name.length) {
    case 7:
    case 10:
    case 14:
    case 17:
      return framing.has(name.toLowerCase());
    default:
      return false;
  }
}

const framing: ReadonlySet<string> = new Set([
  'upgrade',
  'trailer',
  'connection',
  'keep-alive',
  lengthHeader,
  'transfer-encoding',
]);

function carriesBody(method: string | undefined, status: number): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304;
}

/** How much of a body that nobody wants is read past so that its sender gets to read the answer, and for how long. */
const drainedBytes = 64 * 1024 * 1024;
const drainMs = 1_000;

/** A client that is still sending when its answer is there would get a reset in its place. One that goes on for too long is cut off. */
function drain(incoming: IncomingMessage): void {
  let left = drainedBytes;
  const timer = setTimeout(() => incoming.destroy(), drainMs);
  incoming.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) incoming.destroy();
  });
  incoming.on('close', () => clearTimeout(timer));
  incoming.on('end', () => clearTimeout(timer));
  // Whoever had opened it and gave it up stops it when that is told, which may be later than now.
  incoming.unpipe();
  incoming.resume();
}
