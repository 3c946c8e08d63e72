// In charge of: what the thread of the engine and the thread of its connections say to each other.
import type { EngineOptions } from './engine.ts';
import type { Switches } from './memory.ts';
import type { WasmMemory } from './web-assembly.ts';
import type { ErrorFields, TransactionStatus } from './wire.ts';

/** What the engine's thread is started with. */
export interface WorkerStart extends EngineOptions {
  readonly board: SharedArrayBuffer;
}

/** To the engine. One at a time is under way; `more` belongs to the one that is. */
export type ToEngine =
  | { readonly kind: 'open'; readonly session: number; readonly login: SessionLogin }
  | { readonly kind: 'run'; readonly session: number; readonly bytes: Uint8Array }
  | { readonly kind: 'more'; readonly bytes: Uint8Array }
  | { readonly kind: 'close'; readonly session: number }
  /** As the superuser, for the program itself. */
  | { readonly kind: 'ask'; readonly sql: string }
  | { readonly kind: 'stop' };

export interface SessionLogin {
  readonly user: string;
  /** What the client's startup message sets: `application_name`, `client_encoding`, its options. */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

export type FromEngine =
  | {
      readonly kind: 'ready';
      readonly version: string;
      readonly versionNumber: number;
      readonly memory: WasmMemory;
      readonly switches: Switches;
    }
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'opened';
      readonly parameters: readonly (readonly [name: string, value: string])[];
    }
  | { readonly kind: 'refused'; readonly fault: ErrorFields }
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  /** The statement that runs is a COPY that waits for its data. */
  | { readonly kind: 'wants' }
  | { readonly kind: 'notified'; readonly sessions: readonly number[]; readonly bytes: Uint8Array }
  /** `status` undefined: no Sync has ended what was sent, so that the engine waits for more of the same session. */
  | { readonly kind: 'done'; readonly status: TransactionStatus | undefined; readonly syncs: number }
  | {
      readonly kind: 'answer';
      readonly rows: readonly (readonly (string | null)[])[];
      readonly error?: string | undefined;
    }
  | { readonly kind: 'closed' }
  | { readonly kind: 'ended'; readonly reason: string };

/** Numbers that both threads read and write, by their place in the board. */
export const boardPlace = {
  /** Counts what was posted to the engine; it sleeps on this while it waits for the data of a COPY. */
  posted: 0,
  /** When the statement that runs began, in milliseconds of Date.now() modulo 2^31; -1: none runs. */
  startedAt: 1,
  /** Bytes of answers that the client has not taken yet. */
  unread: 2,
  /** Why the running statement is stopped: `stopReason`. */
  stopped: 3,
  /** The client has gone: its answers are dropped, its COPY ends. */
  gone: 4,
} as const;
export const boardPlaces = 8;

export const stopReason = { none: 0, asked: 1, statementTimeout: 2 } as const;

export function clockNow(): number {
  return Date.now() % 2 ** 31;
}
