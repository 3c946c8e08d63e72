// In charge of: the engine's doors: a socket for this program and a TCP port for people. Who comes in is settled here, because the engine asks nobody.
import { randomBytes, randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { literal } from '../ident.ts';
import { Connection } from './connection.ts';
import { ScramLogin } from './scram.ts';
import { SessionRefused } from './session-refused.ts';
import { readStartup, type Startup, startupSettings } from './startup.ts';
import { EngineLost, type EngineThread } from './thread.ts';
import type { Turns } from './turns.ts';
import {
  cString,
  type ErrorFields,
  errorResponse,
  int32,
  type Message,
  MessageCutter,
  message,
  parameterStatus,
  readyForQuery,
} from './wire.ts';

export interface FrontOptions {
  /** The engine as it is now; waits while it is started again. */
  readonly engine: () => Promise<EngineThread>;
  readonly turns: Turns;
  /** Clients that are logged in; and at each door as many that are not yet, so that those at the port keep nobody away from the socket. */
  readonly maxConnections: number;
}

type Door = 'socket' | 'tcp';

/** A client that does not get as far as being logged in within this time is sent away. */
const loginWithinMs = 30_000;
const maxLoginMessageBytes = 10_000;
/** 3.0 */
const protocolVersion = 0x30000;
/** The salt of users that do not exist is made with it. */
const mockKeyBytes = 32;

/** Who is not let in, and what they are told. */
class Refused extends Error {
  readonly fault: ErrorFields;

  constructor(code: string, text: string, hint?: string) {
    super(text);
    this.fault = { severity: 'FATAL', code, message: text, hint };
  }
}

export class Front {
  readonly #options: FrontOptions;
  readonly #mockKey = randomBytes(mockKeyBytes);
  readonly #connections = new Map<number, { readonly connection: Connection; readonly secret: number }>();
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #unfinished: Record<Door, number> = { socket: 0, tcp: 0 };
  /** Passwords are looked up one after the other: whoever knows none takes no more than every second turn of the engine. */
  #lookedUp: Promise<unknown> = Promise.resolve();
  #sessions = 0;
  #isClosing = false;

  constructor(options: FrontOptions) {
    this.#options = options;
  }

  /** Listens on a socket, which it makes, or on a port. @throws the system's error when it cannot */
  async listen(
    door: Door,
    at: { readonly path: string } | { readonly host: string; readonly port: number },
  ): Promise<void> {
    // Nobody else is on this state: a socket that is there was left behind.
    if ('path' in at) await rm(at.path, { force: true });
    const server = createServer((socket) => this.#welcome(socket, door));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#servers.push(server);
  }

  notify(sessions: readonly number[], bytes: Uint8Array): void {
    for (const session of sessions) this.#connections.get(session)?.connection.notify(bytes);
  }

  /** The engine has gone: every session ends, and the next ones wait for it. */
  engineLost(error: EngineLost): void {
    for (const { connection } of this.#connections.values()) connection.engineLost(error);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const { connection } of this.#connections.values()) {
      connection.end('57P01', 'terminating connection due to administrator command');
    }
    const closed = this.#servers.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const socket of this.#sockets) socket.destroySoon();
    await Promise.all(closed);
  }

  #welcome(socket: Socket, door: Door): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const refuse = (fault: ErrorFields) => {
      if (!socket.destroyed) socket.end(errorResponse(fault));
      socket.destroySoon();
    };
    // A client that breaks off has nothing to be told.
    socket.on('error', () => socket.destroy());
    if (this.#unfinished[door] >= this.#options.maxConnections) {
      refuse(tooMany);
      return;
    }
    this.#unfinished[door] += 1;
    const timer = setTimeout(() => socket.destroy(), loginWithinMs);
    this.#login(socket, door)
      .catch((error: unknown) => {
        if (error instanceof Refused || error instanceof SessionRefused) refuse(error.fault);
        else if (error instanceof EngineLost) refuse(startingUp);
        else if (error instanceof ClientGone) socket.destroy();
        else refuse({ severity: 'FATAL', code: '08P01', message: 'invalid startup' });
      })
      .finally(() => {
        clearTimeout(timer);
        this.#unfinished[door] -= 1;
      });
  }

  async #login(socket: Socket, door: Door): Promise<void> {
    const reader = new SocketReader(socket);
    const startup = await this.#startup(socket, reader);
    if (startup === undefined) return;
    const { user, database, negotiates } = startup;
    if (negotiates !== undefined) {
      socket.write(message('v', int32(protocolVersion), int32(negotiates.length), ...negotiates));
    }
    if (this.#isClosing) throw new Refused('57P03', 'the database system is shutting down');
    if (this.#connections.size >= this.#options.maxConnections) {
      throw new SessionRefused(tooMany);
    }
    if (startup.isReplication) {
      throw new Refused('0A000', 'PGlite has no replication', 'Start the project with --engine embedded.');
    }
    // The socket's folder is open to this user alone, who may be any role: docs/architecture.md, "Who logs in as whom".
    if (door === 'tcp') await this.#checkPassword(socket, reader, user);
    if (database !== 'postgres') {
      throw new Refused(
        '3D000',
        `database "${database}" does not exist`,
        'PGlite has one database, "postgres".',
      );
    }
    await this.#open(socket, reader, startup);
  }

  /** The startup message; undefined when it was a CancelRequest. */
  async #startup(socket: Socket, reader: SocketReader): Promise<Startup | undefined> {
    for (;;) {
      const packet = readStartup(await reader.startupPacket());
      switch (packet.kind) {
        case 'encryption':
          socket.write('N');
          continue;
        case 'cancel': {
          const found = this.#connections.get(packet.session);
          if (found !== undefined && found.secret === packet.secret) found.connection.cancel();
          socket.end();
          return undefined;
        }
        case 'invalid':
          throw new Refused('08P01', packet.problem);
        case 'startup':
          return packet;
      }
    }
  }

  /** SCRAM, as the file pg_hba.conf of the other engines asks for it. */
  async #checkPassword(socket: Socket, reader: SocketReader, user: string): Promise<void> {
    const wrong = new Refused('28P01', `password authentication failed for user "${user}"`);
    // The superuser is for this program, and comes through the socket.
    const stored = user === 'supabase_admin' ? undefined : await this.#storedPassword(socket, user);
    const login = new ScramLogin(stored, user, this.#mockKey);
    socket.write(message('R', int32(10), cString('SCRAM-SHA-256'), Buffer.of(0)));
    const first = await reader.message('p');
    const nameEnd = first.body.indexOf(0);
    if (first.body.toString('utf8', 0, nameEnd) !== 'SCRAM-SHA-256') throw wrong;
    const challenge = login.first(first.body.toString('utf8', nameEnd + 5));
    if (challenge.kind !== 'continue') throw wrong;
    socket.write(message('R', int32(11), Buffer.from(challenge.text)));
    const proof = login.final((await reader.message('p')).body.toString('utf8'));
    if (proof.kind !== 'done') throw wrong;
    socket.write(message('R', int32(12), Buffer.from(proof.text)));
  }

  async #storedPassword(socket: Socket, user: string): Promise<string | undefined> {
    const found = this.#lookedUp.then(() => {
      if (socket.destroyed) throw new ClientGone();
      return this.#loadPassword(user);
    });
    this.#lookedUp = found.catch(() => {});
    return found;
  }

  async #loadPassword(user: string): Promise<string | undefined> {
    const rows = await this.#inTurn((engine) =>
      engine.ask(
        `select rolpassword from pg_catalog.pg_authid where rolname operator(pg_catalog.=) ${literal(user)} and rolcanlogin
         and (rolvaliduntil is null or rolvaliduntil operator(pg_catalog.>) pg_catalog.now())`,
      ),
    );
    return rows[0]?.[0] ?? undefined;
  }

  async #open(socket: Socket, reader: SocketReader, startup: Startup): Promise<void> {
    const session = ++this.#sessions;
    const engine = await this.#options.engine();
    const parameters = await this.#inTurn((found) =>
      found.open(session, { user: startup.user, settings: startupSettings(startup) }),
    );
    if (socket.destroyed) {
      await this.#inTurn((found) => found.close(session));
      return;
    }
    const secret = randomInt(2 ** 31);
    const connection = new Connection({
      session,
      socket,
      thread: engine,
      turns: this.#options.turns,
      onEnd: () => this.#connections.delete(session),
    });
    this.#connections.set(session, { connection, secret });
    socket.write(
      Buffer.concat([
        message('R', int32(0)),
        ...parameters.map(([name, value]) => parameterStatus(name, value)),
        message('K', int32(session), int32(secret)),
        readyForQuery('I'),
      ]),
    );
    const rest = reader.release();
    if (rest.length > 0) connection.receive(rest);
  }

  /** Something of the program's own, between the turns of the clients. */
  async #inTurn<T>(work: (engine: EngineThread) => Promise<T>): Promise<T> {
    const engine = await this.#options.engine();
    return inTurn(this.#options.turns, () => work(engine));
  }
}

/** Runs `work` when nobody else has the engine. */
export async function inTurn<T>(turns: Turns, work: () => Promise<T>): Promise<T> {
  const holder = { idleSinceMs: undefined, expire: () => {} };
  await turns.take(holder);
  try {
    return await work();
  } finally {
    turns.leave(holder);
  }
}

const tooMany: ErrorFields = {
  severity: 'FATAL',
  code: '53300',
  message: 'sorry, too many clients already',
};
const startingUp: ErrorFields = {
  severity: 'FATAL',
  code: '57P03',
  message: 'the database system is starting up',
};

class ClientGone extends Error {}

/** Reads what a client sends before it is logged in. */
class SocketReader {
  readonly #socket: Socket;
  readonly #cutter = new MessageCutter(maxLoginMessageBytes);
  #wake: (() => void) | undefined;
  readonly #onData = (chunk: Buffer) => {
    this.#cutter.push(chunk);
    this.#wake?.();
  };
  readonly #onClose = () => this.#wake?.();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', this.#onData);
    socket.on('close', this.#onClose);
  }

  /** The first message of a connection has no type. */
  async startupPacket(): Promise<Buffer> {
    for (;;) {
      const all = this.#cutter.takeRest();
      if (all.length >= 4) {
        const length = all.readInt32BE(0);
        if (length < 8 || length > maxLoginMessageBytes)
          throw new Refused('08P01', 'invalid length of startup packet');
        if (all.length >= length) {
          this.#cutter.push(all.subarray(length));
          return all.subarray(4, length);
        }
      }
      this.#cutter.push(all);
      await this.#next();
    }
  }

  async message(type: string): Promise<Message> {
    for (;;) {
      const one = this.#cutter.next();
      if (one?.type === type) return one;
      if (one !== undefined) throw new Refused('08P01', `expected a message of type "${type}"`);
      await this.#next();
    }
  }

  /** Gives what has come beyond the login, and reads no more. */
  release(): Buffer {
    this.#socket.off('data', this.#onData);
    this.#socket.off('close', this.#onClose);
    return this.#cutter.takeRest();
  }

  async #next(): Promise<void> {
    if (this.#socket.destroyed) throw new ClientGone();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#socket.destroyed) throw new ClientGone();
  }
}
