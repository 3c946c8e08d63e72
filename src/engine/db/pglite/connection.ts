// In charge of: one client that is logged in: its messages wait for its turn, run, and its answers go back.
import type { Socket } from 'node:net';
import { SessionRefused } from './session-refused.ts';
import { EngineLost, type EngineThread } from './thread.ts';
import type { Turns } from './turns.ts';
import { errorResponse, type Message, MessageCutter, readyForQuery, type TransactionStatus } from './wire.ts';

export interface ConnectionFacts {
  readonly session: number;
  readonly socket: Socket;
  readonly thread: EngineThread;
  readonly turns: Turns;
  /** Called once, when it is over. */
  readonly onEnd: () => void;
}

/** A longer message is refused. */
const maxMessageBytes = 256 * 1024 * 1024;
/** A client that sends ahead is not read any further while so much of it waits. */
const maxQueuedBytes = 4 * 1024 * 1024;

/** What ends a batch: the client waits for an answer then. */
const flushing: ReadonlySet<string> = new Set(['S', 'Q', 'H', 'F']);
/** What is answered by ReadyForQuery. */
const ends: ReadonlySet<string> = new Set(['S', 'Q']);
const copying: ReadonlySet<string> = new Set(['d', 'c', 'f']);
const known: ReadonlySet<string> = new Set(['S', 'Q', 'H', 'F', 'P', 'B', 'D', 'C', 'E', ...copying]);

export class Connection {
  readonly #facts: ConnectionFacts;
  readonly #cutter = new MessageCutter(maxMessageBytes);
  #queue: Message[] = [];
  #queuedBytes = 0;
  #state: 'idle' | 'waiting' | 'running' = 'idle';
  #wantsCopy = false;
  #isOver = false;
  /** A cancelled batch is skipped up to here, as the server does after an error. */
  #skips = false;
  #idleSinceMs: number | undefined;

  constructor(facts: ConnectionFacts) {
    this.#facts = facts;
    const { socket } = facts;
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', () => socket.destroy());
    // What the engine has to say to that is said where it is looked after.
    socket.on('close', () => void this.#close().catch(() => {}));
  }

  get session(): number {
    return this.#facts.session;
  }

  /** See Holder. */
  get idleSinceMs(): number | undefined {
    return this.#idleSinceMs;
  }

  expire(): void {
    this.end(
      '25P03',
      'terminating connection due to idle-in-transaction timeout',
      'others wait for the engine, which has one session',
    );
  }

  receive(chunk: Buffer): void {
    this.#cutter.push(chunk);
    try {
      for (let one = this.#cutter.next(); one !== undefined; one = this.#cutter.next()) {
        if (one.type === 'X') {
          this.#facts.socket.end();
          return;
        }
        if (!known.has(one.type)) throw new RangeError(`a message of type "${one.type}"`);
        this.#queue.push(one);
        this.#queuedBytes += one.bytes.length;
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.end('08P01', `invalid message: ${error.message}`);
      return;
    }
    if (this.#queuedBytes > maxQueuedBytes && this.#queue.some(({ type }) => flushing.has(type))) {
      this.#facts.socket.pause();
    }
    this.#pump();
  }

  /** What a LISTEN of its brings. */
  notify(bytes: Uint8Array): void {
    if (!this.#isOver) this.#facts.socket.write(bytes);
  }

  /** A CancelRequest: what runs is stopped, what waits is not begun. */
  cancel(): void {
    if (this.#state === 'running') this.#facts.thread.stopStatement();
    if (this.#state !== 'waiting') return;
    this.#facts.turns.leave(this);
    this.#state = 'idle';
    this.#facts.socket.write(
      errorResponse({ severity: 'ERROR', code: '57014', message: 'canceling statement due to user request' }),
    );
    this.#skips = true;
    this.#pump();
  }

  /** Ends it with a FATAL error. */
  end(code: string, text: string, detail?: string): void {
    if (this.#isOver) return;
    this.#facts.socket.end(errorResponse({ severity: 'FATAL', code, message: text, detail }));
    this.#facts.socket.destroySoon();
  }

  /** The engine has gone, and everything of the session with it. */
  engineLost(error: EngineLost): void {
    if (this.#state === 'running' && error.wasStuck) {
      this.#facts.socket.write(
        errorResponse({
          severity: 'ERROR',
          code: '57014',
          message: 'canceling statement due to statement timeout',
          detail: 'It did not stop when it was told to, so the engine was started again.',
        }),
      );
    }
    this.end('57P02', 'terminating connection because the engine was started again');
  }

  #pump(): void {
    if (this.#isOver) return;
    if (this.#skips) this.#skip();
    if (this.#state === 'running') {
      if (this.#wantsCopy) this.#sendCopyData();
      return;
    }
    if (this.#state === 'waiting' || !this.#queue.some(({ type }) => flushing.has(type))) return;
    const { turns } = this.#facts;
    if (turns.has(this)) {
      void this.#run();
      return;
    }
    this.#state = 'waiting';
    void turns.take(this).then(() => {
      if (this.#isOver) turns.leave(this);
      else if (this.#state === 'waiting') void this.#run();
    });
  }

  async #run(): Promise<void> {
    const { thread, socket, turns, session } = this.#facts;
    const batch = this.#takeBatch();
    this.#state = 'running';
    this.#idleSinceMs = undefined;
    this.#wantsCopy = false;
    try {
      const { status, gaveUp } = await thread.run(session, batch, {
        onOutput: (bytes, taken) => {
          if (this.#isOver || socket.destroyed) taken();
          else socket.write(bytes, taken);
        },
        onWants: () => {
          this.#wantsCopy = true;
          this.#sendCopyData();
        },
      });
      if (gaveUp) socket.destroy();
      this.#afterRun(status);
    } catch (error) {
      this.#state = 'idle';
      if (error instanceof SessionRefused) {
        socket.end(errorResponse(error.fault));
        turns.leave(this);
      } else if (!(error instanceof EngineLost)) throw error;
      else this.engineLost(error);
    }
  }

  #afterRun(status: TransactionStatus | undefined): void {
    const { socket, turns } = this.#facts;
    this.#state = 'idle';
    socket.resume();
    if (this.#isOver) {
      void this.#finish();
      return;
    }
    // Outside of a transaction everybody waits their turn, this one as well.
    if (status === 'I') turns.leave(this);
    else this.#idleSinceMs = performance.now();
    this.#pump();
  }

  /**
   * All messages up to the last that ends a batch. What a DISCARD or RESET goes back to is put right when its batch is over, so one that is sent
   * ahead of others ends the batch.
   */
  #takeBatch(): Buffer {
    const end = this.#queue.findLastIndex(({ type }) => flushing.has(type));
    const resets = this.#queue.findIndex((one, at) => at < end && isReset(one));
    const reset =
      resets === -1 ? -1 : this.#queue.findIndex(({ type }, at) => at >= resets && ends.has(type));
    const last = reset === -1 ? end : Math.min(reset, end);
    const taken = this.#queue.splice(0, last + 1).map(({ bytes }) => bytes);
    const bytes = taken.length === 1 ? taken[0]! : Buffer.concat(taken);
    this.#queuedBytes -= bytes.length;
    return bytes;
  }

  #sendCopyData(): void {
    const other = this.#queue.findIndex(({ type }) => !copying.has(type));
    const count = other === -1 ? this.#queue.length : other;
    if (count === 0) {
      // While it waits for data, a server takes no notice of Flush and Sync.
      const type = this.#queue[0]?.type;
      if (type === 'S' || type === 'H') {
        this.#queuedBytes -= this.#queue.shift()!.bytes.length;
        this.#sendCopyData();
      }
      return;
    }
    const bytes = Buffer.concat(this.#queue.splice(0, count).map((one) => one.bytes));
    this.#queuedBytes -= bytes.length;
    this.#wantsCopy = false;
    this.#facts.socket.resume();
    this.#facts.thread.more(bytes);
  }

  /** Drops what belongs to a cancelled batch, up to its end, and says that the session is ready again. */
  #skip(): void {
    const end = this.#queue.findIndex(({ type }) => type === 'S' || type === 'Q');
    const dropped = this.#queue.splice(0, end === -1 ? this.#queue.length : end + 1);
    for (const { bytes } of dropped) this.#queuedBytes -= bytes.length;
    if (end === -1) return;
    this.#skips = false;
    this.#facts.socket.write(readyForQuery('I'));
  }

  async #close(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#facts.onEnd();
    if (this.#state === 'running') this.#facts.thread.abandonStatement();
    else if (this.#state === 'waiting') {
      this.#facts.turns.leave(this);
      await this.#finish();
    } else await this.#finish();
  }

  /** Takes the session out of the engine, in its turn. */
  async #finish(): Promise<void> {
    const { thread, turns, session } = this.#facts;
    if (!turns.has(this)) await turns.take(this);
    try {
      await thread.close(session);
    } catch (error) {
      if (!(error instanceof EngineLost)) throw error;
    } finally {
      turns.leave(this);
    }
  }
}

/** The text says DISCARD or RESET; also where that is only a name, and a batch ends early for nothing. */
function isReset({ type, body }: Message): boolean {
  return (type === 'Q' || type === 'P') && /\b(?:discard|reset)\b/i.test(body.toString('latin1'));
}
