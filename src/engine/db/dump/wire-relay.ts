// In charge of: lending a session's wire to a program that speaks the protocol itself: pg_dump as WASM.
import type { Socket } from 'node:net';
import type { Client } from 'pg';
import { OperatorError } from '../../../base/errors.ts';

/** What the server may answer to one statement. A schema of 50,000 tables answers with some tens of megabytes. */
const maxAnswerBytes = 512 * 1024 * 1024;

export interface WireRelay extends Disposable {
  /** Sends what the program wrote; resolves with the server's whole answer, empty when it owes none yet. */
  exchange(bytes: Uint8Array): Promise<Uint8Array>;
}

/**
 * Lends a session that is logged in already, with all that `pg` knows of TLS and passwords, in whatever transaction it is. The program's startup is
 * answered from the session that there is. Until the relay is given back nobody may query; a program that was stopped in the middle ends the session.
 */
export async function lendWire(client: Client): Promise<WireRelay> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    'select name, setting from pg_catalog.pg_settings where name = any($1)',
    [reported],
  );
  // Sound: a connected client has a socket, and `pg` keeps it there. @types/pg does not name it.
  const socket = (client as unknown as { connection: { stream: Socket } }).connection.stream;
  return new Relay(socket, greeting(rows));
}

type DataListener = (chunk: Buffer) => void;

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
  /** Those of `pg`, which hear nothing meanwhile. */
  readonly #listeners: readonly DataListener[];
  readonly #onData = (chunk: Buffer) => this.#take(chunk);
  readonly #onError = (error: Error) => this.#fail(error);
  readonly #onClose = () => this.#fail(new Error('the server closed the connection'));

  constructor(socket: Socket, hello: Uint8Array) {
    this.#socket = socket;
    this.#greeting = hello;
    this.#listeners = socket.listeners('data') as DataListener[];
    socket.removeAllListeners('data');
    socket.on('data', this.#onData).on('error', this.#onError).on('close', this.#onClose);
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
    // Terminate: the session goes back to whom it belongs.
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
    // An answer that is still to come would be read as one to somebody else's question.
    if (this.#waiting !== undefined || this.#incomingBytes > 0) this.#socket.destroy();
    this.#socket.off('data', this.#onData).off('error', this.#onError).off('close', this.#onClose);
    for (const listener of this.#listeners) this.#socket.on('data', listener);
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
