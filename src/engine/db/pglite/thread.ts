// In charge of: the engine's thread as the rest sees it: started, asked one thing at a time, told to stop a statement, ended when it does not.
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { EngineOptions } from './engine.ts';
import type { Switches } from './memory.ts';
import { SessionRefused } from './session-refused.ts';
import {
  boardPlace,
  boardPlaces,
  clockNow,
  type FromEngine,
  type SessionLogin,
  stopReason,
  type ToEngine,
} from './talk.ts';
import type { WasmMemory } from './web-assembly.ts';
import type { TransactionStatus } from './wire.ts';

export interface ThreadFacts {
  readonly version: string;
  readonly versionNumber: number;
}

/** What happens besides answers. */
export interface ThreadEvents {
  readonly onNotified: (sessions: readonly number[], bytes: Uint8Array) => void;
  /** The engine has gone, and whatever was asked of it fails. Heard once. */
  readonly onEnded: (reason: string) => void;
}

export interface RunListener {
  /** `taken` is to be called when the client has them. */
  readonly onOutput: (bytes: Uint8Array, taken: () => void) => void;
  readonly onWants: () => void;
}

export interface RunResult {
  readonly status: TransactionStatus | undefined;
  /** The client did not take its answers and counts as gone. */
  readonly gaveUp: boolean;
}

/** The engine has gone over what was asked. */
export class EngineLost extends Error {
  override readonly name = 'EngineLost';
  /** Whether it was ended because this statement did not stop when its time was over. */
  readonly wasStuck: boolean;

  constructor(message: string, wasStuck: boolean) {
    super(message);
    this.wasStuck = wasStuck;
  }
}

const lookEveryMs = 50;
/** A statement that was told to stop and runs on for so long is ended with its engine: code that never looks whether it should. */
const stopWithinMs = 3_000;
const closeWithinMs = 20_000;

interface Pending {
  readonly resolve: (answer: FromEngine) => void;
  readonly reject: (error: unknown) => void;
  readonly listener: RunListener | undefined;
}

export class EngineThread {
  readonly facts: ThreadFacts;
  /** How often the host was asked to put a file on the disk. */
  syncs = 0;
  readonly #worker: Worker;
  readonly #board: Int32Array;
  readonly #memory: WasmMemory;
  readonly #switches: Switches;
  readonly #events: ThreadEvents;
  #pending: Pending | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stoppedAtMs: number | undefined;
  #isStuck = false;
  #isOver = false;

  private constructor(
    worker: Worker,
    board: Int32Array,
    ready: FromEngine & { kind: 'ready' },
    events: ThreadEvents,
  ) {
    this.#worker = worker;
    this.#board = board;
    this.#memory = ready.memory;
    this.#switches = ready.switches;
    this.#events = events;
    this.facts = { version: ready.version, versionNumber: ready.versionNumber };
    worker.on('message', (said: FromEngine) => this.#hear(said));
    worker.on('error', (error) => this.#end(error instanceof Error ? error.message : String(error)));
    worker.on('exit', (code) => this.#end(`its thread ended with code ${code}`));
  }

  /** @throws Error with the reason when the engine does not start. */
  static async open(
    options: EngineOptions,
    events: ThreadEvents,
    signal?: AbortSignal,
  ): Promise<EngineThread> {
    const shared = new SharedArrayBuffer(4 * boardPlaces);
    const board = new Int32Array(shared);
    board[boardPlace.startedAt] = -1;
    // Built, the file ends otherwise.
    const file = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(file, {
      workerData: { ...options, board: shared },
      stdout: true,
      stderr: true,
    });
    // What PGlite prints is said by errors as well.
    worker.stdout.resume();
    worker.stderr.resume();
    try {
      const [said] = (await once(worker, 'message', signal === undefined ? {} : { signal })) as [FromEngine];
      if (said.kind === 'ready') return new EngineThread(worker, board, said, events);
      throw new Error(said.kind === 'failed' ? said.message : `it said "${said.kind}" first`);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** @throws SessionRefused, EngineLost */
  async open(session: number, login: SessionLogin): Promise<readonly (readonly [string, string])[]> {
    const answer = await this.#ask({ kind: 'open', session, login });
    return answer.kind === 'opened' ? answer.parameters : [];
  }

  /** @throws SessionRefused, EngineLost */
  async run(session: number, bytes: Uint8Array, listener: RunListener): Promise<RunResult> {
    Atomics.store(this.#board, boardPlace.gone, 0);
    Atomics.store(this.#board, boardPlace.unread, 0);
    // Here and not by the worker, which would forget what it is told before it begins.
    Atomics.store(this.#board, boardPlace.stopped, stopReason.none);
    const answer = await this.#ask({ kind: 'run', session, bytes }, listener);
    const gaveUp = Atomics.load(this.#board, boardPlace.gone) !== 0;
    return { status: answer.kind === 'done' ? answer.status : undefined, gaveUp };
  }

  /** More data for the COPY that runs. */
  more(bytes: Uint8Array): void {
    this.#post({ kind: 'more', bytes });
  }

  /** @throws EngineLost */
  async close(session: number): Promise<void> {
    await this.#ask({ kind: 'close', session });
  }

  /** As the superuser. @throws EngineLost, Error with what the engine says */
  async ask(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    const answer = await this.#ask({ kind: 'ask', sql });
    if (answer.kind !== 'answer') return [];
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.rows;
  }

  /** Tells the statement that runs to stop, as a CancelRequest does. */
  stopStatement(reason: number = stopReason.asked): void {
    if (this.#pending?.listener === undefined) return;
    if (Atomics.compareExchange(this.#board, boardPlace.stopped, stopReason.none, reason) !== stopReason.none)
      return;
    this.#stoppedAtMs = performance.now();
    this.#raise();
    this.#wake();
  }

  #raise(): void {
    const words = new Int32Array(this.#memory.buffer);
    Atomics.store(words, this.#switches.queryCancelPending >> 2, 1);
    Atomics.store(words, this.#switches.interruptPending >> 2, 1);
    Atomics.store(words, this.#switches.latch >> 2, 1);
  }

  /** Whoever waits for what runs has gone: its answers are dropped and its statement stops. */
  abandonStatement(): void {
    if (this.#pending?.listener === undefined) return;
    Atomics.store(this.#board, boardPlace.gone, 1);
    this.stopStatement();
  }

  /** Closes the database cleanly, within a bound. */
  async stop(): Promise<void> {
    if (!this.#isOver) {
      const closed = this.#ask({ kind: 'stop' }).catch(() => {});
      const bound = AbortSignal.timeout(closeWithinMs);
      await Promise.race([closed, once(bound, 'abort')]);
    }
    this.#isOver = true;
    clearInterval(this.#timer);
    await this.#worker.terminate();
  }

  /** Ends the thread at once, as a kill does: what was committed stays. */
  async kill(reason: string): Promise<void> {
    await this.#worker.terminate();
    this.#end(reason);
  }

  #ask(told: ToEngine, listener?: RunListener): Promise<FromEngine> {
    if (this.#isOver) return Promise.reject(new EngineLost('the engine has ended', false));
    if (this.#pending !== undefined)
      return Promise.reject(new Error('the engine is asked two things at once'));
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject, listener };
      this.#stoppedAtMs = undefined;
      this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref();
      this.#post(told);
    });
  }

  #post(told: ToEngine): void {
    this.#worker.postMessage(told);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#board, boardPlace.posted, 1);
    Atomics.notify(this.#board, boardPlace.posted);
    Atomics.notify(this.#board, boardPlace.unread);
  }

  /** The engine has no clock of its own while it works, so `statement_timeout` is kept from here. */
  #look(): void {
    if (this.#pending === undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    if (this.#stoppedAtMs !== undefined) {
      // Said again: between two statements, or before the first has begun, the engine takes it for one that came too late.
      if (performance.now() - this.#stoppedAtMs < stopWithinMs) {
        this.#raise();
        return;
      }
      this.#isStuck = true;
      void this.kill('a statement did not stop when it was told to');
      return;
    }
    const startedAt = Atomics.load(this.#board, boardPlace.startedAt);
    if (startedAt < 0) return;
    const allowedMs = Atomics.load(new Int32Array(this.#memory.buffer), this.#switches.statementTimeout >> 2);
    // The clock goes around once in 25 days.
    const runsForMs = (clockNow() - startedAt + 2 ** 31) % 2 ** 31;
    if (allowedMs > 0 && runsForMs > allowedMs) this.stopStatement(stopReason.statementTimeout);
  }

  #hear(said: FromEngine): void {
    switch (said.kind) {
      case 'output':
        this.#pending?.listener?.onOutput(said.bytes, () => {
          Atomics.sub(this.#board, boardPlace.unread, said.bytes.length);
          Atomics.notify(this.#board, boardPlace.unread);
        });
        return;
      case 'wants':
        this.#pending?.listener?.onWants();
        return;
      case 'notified':
        this.#events.onNotified(said.sessions, said.bytes);
        return;
      case 'ended':
        void this.kill(said.reason);
        return;
      case 'refused':
        this.#settle()?.reject(new SessionRefused(said.fault));
        return;
      default:
        if (said.kind === 'done') this.syncs = said.syncs;
        this.#settle()?.resolve(said);
    }
  }

  #settle(): Pending | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#settle()?.reject(new EngineLost(reason, this.#isStuck));
    this.#events.onEnded(reason);
  }
}
