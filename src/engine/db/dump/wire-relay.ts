// In charge of: lending a session's wire to a program that speaks the protocol itself: pg_dump as WASM.
import type { Socket } from 'node:net';
import pg from 'pg';
import { OperatorError } from '../../../base/errors.ts';

/** A server that does not take a connection within this time is down. */
const connectTimeoutMs = 10_000;
/** What the server may answer to one statement. A schema of 50,000 tables answers with some tens of megabytes. */
const maxAnswerBytes = 512 * 1024 * 1024;

export interface WireRelay extends Disposable {
  /** Sends what the program wrote; resolves with the server's whole answer, empty when it owes none yet. */
  exchange(bytes: Uint8Array): Promise<Uint8Array>;
}

/**
 * Logs in by `pg`, with all that it knows of TLS and passwords, then takes its socket over. The program's startup is answered
 * from the session that there is.
 */
export async function openWireRelay(login: pg.ClientConfig): Promise<WireRelay> {
  const client = new pg.Client({ connectionTimeoutMillis: connectTimeoutMs, ...login });
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query<{ name: string; setting: string }>(
    'select name, setting from pg_catalog.pg_settings where name = any($1)',
    [reported],
  );
  // Sound: a connected client has a socket, and `pg` keeps it there. @types/pg does not name it.
  const socket = (client as unknown as { connection: { stream: Socket } }).connection.stream;
  socket.removeAllListeners('data');
  return new Relay(socket, greeting(rows));
}

class Relay implements WireRelay {
  readonly #socket: Socket;
  readonly #greeting: Uint8Array;
  #isGreeted = false;
  #outgoing: Buffer = Buffer.alloc(0);
  #incoming: Buffer[] = [];
  #tail: Buffer = Buffer.alloc(0);
  #incomingBytes = 0;
  #waiting: PromiseWithResolvers<Uint8Array> | undefined;
  #failure: Error | undefined;

  constructor(socket: Socket, hello: Uint8Array) {
    this.#socket = socket;
    this.#greeting = hello;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  async exchange(bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#outgoing = Buffer.concat([this.#outgoing, bytes]);
    if (!this.#isGreeted) {
      // The startup packet has no type byte; libpq sends it whole.
      if (this.#outgoing.length < 8 || this.#outgoing.length < this.#outgoing.readInt32BE(0)) return nothing;
      this.#outgoing = this.#outgoing.subarray(this.#outgoing.readInt32BE(0));
      this.#isGreeted = true;
      return this.#greeting;
    }
    const { end, last } = wholeMessages(this.#outgoing);
    if (end === 0) return nothing;
    const whole = this.#outgoing.subarray(0, end);
    this.#outgoing = this.#outgoing.subarray(end);
    // Terminate: the session is ours to close.
    if (last === 'X') return nothing;
    if (last !== 'Q' && last !== 'S') {
      this.#socket.write(whole);
      return nothing;
    }
    this.#waiting = Promise.withResolvers<Uint8Array>();
    this.#socket.write(whole);
    return this.#waiting.promise;
  }

  [Symbol.dispose](): void {
    this.#socket.removeAllListeners('close');
    this.#socket.end(terminate);
  }

  /** Keeps what came; ReadyForQuery ends an answer. */
  #take(chunk: Buffer): void {
    this.#incoming.push(chunk);
    this.#incomingBytes += chunk.length;
    if (this.#incomingBytes > maxAnswerBytes) {
      this.#fail(
        new OperatorError(
          `The server answered one statement of pg_dump with more than ${maxAnswerBytes / 1024 ** 2} MB.`,
          'Dump fewer schemas at once: --schema NAME.',
        ),
      );
      return;
    }
    this.#tail = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    const { end, last } = wholeMessages(this.#tail);
    this.#tail = this.#tail.subarray(end);
    if (last !== 'Z' || this.#tail.length > 0 || this.#waiting === undefined) return;
    const answer = Buffer.concat(this.#incoming);
    const { resolve } = this.#waiting;
    this.#incoming = [];
    this.#incomingBytes = 0;
    this.#waiting = undefined;
    resolve(answer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
    this.#socket.destroy();
  }
}

/** Where the last whole message ends, and its type. Each is a type byte and a length that counts itself. */
function wholeMessages(bytes: Buffer): { readonly end: number; readonly last: string } {
  let end = 0;
  let last = '';
  while (bytes.length - end >= 5) {
    const next = end + 1 + bytes.readInt32BE(end + 1);
    if (next > bytes.length) break;
    last = String.fromCharCode(bytes[end]!);
    end = next;
  }
  return { end, last };
}

/** AuthenticationOk, the settings that libpq wants to hear of, a key that cancels nothing, ReadyForQuery. */
function greeting(settings: readonly { readonly name: string; readonly setting: string }[]): Uint8Array {
  const ok = message('R', Buffer.alloc(4));
  const statuses = settings.map(({ name, setting }) => message('S', Buffer.from(`${name}\0${setting}\0`)));
  return Buffer.concat([ok, ...statuses, message('K', Buffer.alloc(8)), message('Z', Buffer.from('I'))]);
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const nothing = new Uint8Array();
const terminate = message('X', Buffer.alloc(0));

/** Source: PostgreSQL's manual, "Asynchronous Operations": the settings that a server reports at startup. */
const reported = [
  'server_version',
  'server_encoding',
  'client_encoding',
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'integer_datetimes',
  'standard_conforming_strings',
  'is_superuser',
  'session_authorization',
];
