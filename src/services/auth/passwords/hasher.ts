// In charge of: hashing and comparing passwords off the main thread: a bounded number of workers, a bounded queue in front of them.
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Cancellation } from '../../../base/cancellation.ts';
import { errorMessage, Fault } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Clock } from '../../../base/time.ts';
import { bcryptCost, type Encoded, needsRehash, parseEncoded, UnreadableHash } from './encoded.ts';
import type { Job, JobResult } from './job.ts';

export interface HasherOptions {
  /** Workers at most; one core is left for everything else. */
  readonly parallelism?: number;
  /** Jobs that may wait; one more is refused at once. A worker's share is about a second's work. */
  readonly maxQueued?: number;
  /** How long a worker without work is kept. */
  readonly idleMs?: number;
  readonly observe: Observe;
  readonly now?: Clock;
  readonly startWorker?: () => Worker;
}

export interface Verdict {
  readonly ok: boolean;
  /** The password was right, and its hash should be replaced by a new one. */
  readonly needsRehash: boolean;
}

export interface HasherState {
  readonly workers: number;
  /** Workers that work. */
  readonly running: number;
  /** Jobs beyond those that are worked on. */
  readonly queued: number;
}

export interface Hasher {
  /**
   * bcrypt at cost 10, `$2a$`. No normalisation: the bytes of UTF-8 as they came, NUL included.
   * @throws Fault 400 validation_failed beyond 72 bytes; 429 over_request_rate_limit when too many wait.
   */
  hash(password: string, cancellation?: Cancellation): Promise<string>;
  /**
   * Compares with a stored hash of any kind that `parseEncoded` reads. Without one (no such user, no password) it does the same
   * work and says no, so that the time it takes does not tell.
   * @throws UnreadableHash for what is no bcrypt hash and has no other's prefix (upstream: 500); Fault 429 as above.
   */
  verify(password: string, encoded: string | null | undefined, cancellation?: Cancellation): Promise<Verdict>;
  /**
   * For whoever has work to do before a password can be looked at: where that would be refused anyway, nobody searches for a user first.
   * @throws Fault 429 as above
   */
  refuseWhenBusy(): void;
  state(): HasherState;
  /** Lets what the workers have come to its end, refuses what waits, ends the workers. */
  close(): Promise<void>;
}

interface Waiting {
  readonly job: Job;
  readonly cancellation: Cancellation | undefined;
  readonly resolve: (value: string | boolean) => void;
  readonly reject: (error: Error) => void;
  /** How many workers died of it. */
  deaths: number;
}

interface Thread {
  readonly worker: Worker;
  /** The one that it works on, and the one that it does next: without that it would stand idle until the main thread gets round to it. */
  readonly jobs: Waiting[];
  /** When the first of them began. */
  startedAt: number;
  idleTimer: NodeJS.Timeout | undefined;
  isEnding: boolean;
}

export function openHasher(options: HasherOptions): Hasher {
  const { observe, now = Date.now, startWorker = startHashWorker, idleMs = defaultIdleMs } = options;
  const parallelism = Math.max(1, options.parallelism ?? availableParallelism() - 1);
  const maxQueued = options.maxQueued ?? parallelism * queuedPerWorker;
  const threads = new Set<Thread>();
  const queue: Waiting[] = [];
  let usualMs = firstGuessMs;
  let isClosed = false;
  let onSettled: (() => void) | undefined;

  function submit(job: Job, cancellation: Cancellation | undefined): Promise<string | boolean> {
    if (isClosed) return Promise.reject(new Error('The hasher is closed.'));
    if (countWaiting() >= maxQueued) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      queue.push({ job, cancellation, resolve, reject, deaths: 0 });
      pump();
    });
  }

  function pump(): void {
    while (queue.length > 0) {
      const waiting = queue[0]!;
      if (waiting.cancellation?.reason !== undefined) {
        queue.shift();
        waiting.reject(waiting.cancellation.reason);
        continue;
      }
      let thread = findThread((jobs) => jobs.length === 0);
      if (thread === undefined && threads.size < parallelism) {
        try {
          thread = start();
        } catch (error) {
          queue.shift();
          waiting.reject(new Error('No thread for hashing can be started.', { cause: error }));
          continue;
        }
      }
      // Nobody is put behind an imported hash that may take seconds while another worker is free sooner.
      thread ??= findThread((jobs) => jobs.length === 1 && isShort(jobs[0]!.job));
      if (thread === undefined) return;
      queue.shift();
      give(thread, waiting);
    }
    if (isClosed && countRunning() === 0) onSettled?.();
  }

  function findThread(fits: (jobs: readonly Waiting[]) => boolean): Thread | undefined {
    for (const thread of threads) if (!thread.isEnding && fits(thread.jobs)) return thread;
    return undefined;
  }

  function start(): Thread {
    const thread: Thread = {
      worker: startWorker(),
      jobs: [],
      startedAt: 0,
      idleTimer: undefined,
      isEnding: false,
    };
    threads.add(thread);
    observe({ kind: 'auth.hashing_worker', level: 'debug', state: 'started', workers: threads.size });
    let cause: unknown;
    thread.worker.on('message', (result: JobResult) => settle(thread, result));
    thread.worker.on('error', (error) => {
      cause = error;
    });
    // Comes after 'error' too, so that this is the one place where a worker is gone.
    thread.worker.once('exit', (exitCode) => gone(thread, exitCode, cause));
    return thread;
  }

  function give(thread: Thread, waiting: Waiting): void {
    clearTimeout(thread.idleTimer);
    if (thread.jobs.length === 0) thread.startedAt = now();
    thread.jobs.push(waiting);
    // A worker keeps the program alive while it has work, and only then.
    thread.worker.ref();
    thread.worker.postMessage(waiting.job);
  }

  function settle(thread: Thread, result: JobResult): void {
    const done = thread.jobs.shift();
    if (done === undefined) return;
    const endedAt = now();
    usualMs += (endedAt - thread.startedAt - usualMs) * weightOfLast;
    thread.startedAt = endedAt;
    if (result.kind === 'done') done.resolve(result.value);
    else done.reject(new Error(`A password could not be hashed: ${result.message}`));
    pump();
    if (thread.jobs.length > 0 || thread.isEnding) return;
    thread.worker.unref();
    thread.idleTimer = setTimeout(() => end(thread), idleMs);
    thread.idleTimer.unref();
  }

  function end(thread: Thread): void {
    thread.isEnding = true;
    // Its exit is what counts; terminate() itself has nothing to say.
    thread.worker.terminate().catch(() => undefined);
  }

  function gone(thread: Thread, exitCode: number, cause: unknown): void {
    threads.delete(thread);
    clearTimeout(thread.idleTimer);
    const { isEnding } = thread;
    const [first, next] = thread.jobs.splice(0);
    observe({
      kind: 'auth.hashing_worker',
      level: isEnding ? 'debug' : 'warn',
      state: isEnding ? 'ended' : 'died',
      workers: threads.size,
      ...(!isEnding && { exitCode, message: cause === undefined ? undefined : errorMessage(cause) }),
    });
    if (next !== undefined) queue.unshift(next);
    if (first !== undefined) {
      first.deaths += 1;
      // Once is an accident; whoever takes two workers along does not get a third.
      if (first.deaths < maxDeaths) queue.unshift(first);
      else first.reject(new Error('A password could not be hashed: two workers died of it.', { cause }));
    }
    pump();
  }

  /** Source: supabase/auth internal/api/middleware.go for code and message. */
  function busy(): Fault {
    const seconds = Math.ceil((countWaiting() * usualMs) / parallelism / 1000);
    observe({ kind: 'auth.hashing_refused', level: 'debug', queued: countWaiting() });
    return new Fault({
      status: 429,
      code: 'over_request_rate_limit',
      message: 'Request rate limit reached',
      headers: { 'retry-after': String(Math.min(Math.max(seconds, 1), maxRetryAfterSeconds)) },
    });
  }

  function countRunning(): number {
    let count = 0;
    for (const thread of threads) if (thread.jobs.length > 0) count += 1;
    return count;
  }

  function countWaiting(): number {
    let count = queue.length;
    for (const thread of threads) count += Math.max(0, thread.jobs.length - 1);
    return count;
  }

  async function hash(password: string, cancellation?: Cancellation): Promise<string> {
    const bytes = firstBytes(password, maxBcryptBytes + 1);
    if (bytes.length > maxBcryptBytes) throw tooLong();
    // Sound: a job of this kind is answered by text.
    return (await submit({ kind: 'hash', password: bytes, cost: bcryptCost }, cancellation)) as string;
  }

  async function verify(
    password: string,
    stored: string | null | undefined,
    cancellation?: Cancellation,
  ): Promise<Verdict> {
    const encoded = stored ? readable(stored, observe) : undefined;
    const limit = encoded === undefined || encoded.kind === 'bcrypt' ? maxBcryptBytes : maxPasswordBytes + 1;
    const bytes = firstBytes(password, limit);
    const job: Job = { kind: 'verify', password: bytes, encoded: encoded ?? nobody };
    const isMatch = await submit(job, cancellation);
    const ok = isMatch === true && encoded !== undefined && bytes.length <= maxPasswordBytes;
    return { ok, needsRehash: ok && needsRehash(encoded) };
  }

  async function close(): Promise<void> {
    isClosed = true;
    for (const waiting of queue.splice(0)) waiting.reject(new Error('The hasher is closed.'));
    if (countRunning() > 0) {
      await new Promise<void>((resolve) => {
        onSettled = resolve;
      });
    }
    await Promise.all(
      [...threads].map((thread) => {
        thread.isEnding = true;
        return thread.worker.terminate();
      }),
    );
  }

  function refuseWhenBusy(): void {
    if (countWaiting() >= maxQueued) throw busy();
  }

  return {
    hash,
    verify,
    refuseWhenBusy,
    state: () => ({ workers: threads.size, running: countRunning(), queued: countWaiting() }),
    close,
  };
}

function isShort(job: Job): boolean {
  return job.kind === 'hash' || (job.encoded.kind === 'bcrypt' && job.encoded.cost <= bcryptCost);
}

/** A broken argon2 or scrypt hash is a wrong password to upstream, any other text a failure. Source: internal/models/user.go, Authenticate. */
function readable(stored: string, observe: Observe): Encoded | undefined {
  try {
    return parseEncoded(stored);
  } catch (error) {
    if (!(error instanceof UnreadableHash)) throw error;
    observe({ kind: 'auth.unreadable_hash', level: 'warn', message: error.message });
    if (error.algorithm === 'bcrypt') throw error;
    return undefined;
  }
}

/** The password's first bytes in UTF-8, cut within a character where need be, as Go does. A lone surrogate becomes U+FFFD, as in Go's JSON. */
function firstBytes(password: string, count: number): Uint8Array {
  // Each UTF-16 unit is a byte or more; one more than needed, so that the cut splits no pair within those that count.
  return new TextEncoder().encode(password.slice(0, count + 1)).subarray(0, count);
}

/** Only the administrator's routes get here: everywhere else the strength is looked at first. Source: golang/crypto bcrypt.ErrPasswordTooLong. */
function tooLong(): Fault {
  return new Fault({
    status: 400,
    code: 'validation_failed',
    message: 'bcrypt: password length exceeds 72 bytes',
  });
}

function startHashWorker(): Worker {
  // The published program is JavaScript, the checkout TypeScript: the worker's file ends like this one.
  const file = new URL(`./hash-worker${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
  return new Worker(file, {
    name: 'hashing',
    // It needs no secret that stands there.
    env: {},
    execArgv: [],
    // JavaScript's memory; what bcrypt and argon2 take is their own.
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
  });
}

/** bcrypt looks at no more. Source: supabase/auth internal/api/password.go, MaxPasswordLength. */
const maxBcryptBytes = 72;
/** What argon2 and scrypt are given; a longer password is no match. A queue of bodies of a megabyte each would be a lot of memory. */
const maxPasswordBytes = 16 * 1024;
const queuedPerWorker = 16;
const defaultIdleMs = 30_000;
const maxDeaths = 2;
const firstGuessMs = 60;
const weightOfLast = 0.2;
const maxRetryAfterSeconds = 30;

/** What a password is compared with when there is nobody: the usual cost, and never a match. */
const nobody: Encoded = {
  kind: 'bcrypt',
  cost: bcryptCost,
  text: '$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga',
};
