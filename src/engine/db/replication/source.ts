// In charge of: what a way of reading changes is to the feed: it runs, tells what it finds, and can be asked to come past a mark.
import type { Change } from './change.ts';

/** Whoever is told what was read. */
export interface Sink {
  /** The reading begins, or begins again after the database was away. */
  begin?(): Promise<void>;
  /** What comes next waits for the promise. */
  receive(changes: readonly Change[]): void | Promise<void>;
  /** Everything up to `id` was received; `token` is that of a mark. */
  reach(id: string, token: string | undefined): void | Promise<void>;
  /** What was committed before `id` may be missing. */
  gap(reason: string, id: string): void | Promise<void>;
  /** What comes behind this id is kept, so its source has to keep it as well; undefined: nothing is. */
  floor(): string | undefined;
  /** What is up to `id` costs its source too much to keep. */
  forget(id: string): void;
  /** Everything up to it was told; undefined: nothing yet. */
  newest(): string | undefined;
}

export interface ChangeSource {
  readonly by: 'replication' | 'triggers';
  /** Reads until `signal` is aborted, whatever goes wrong meanwhile. */
  run(sink: Sink, signal: AbortSignal): Promise<void>;
  /** Resolves when it reads: a mark before that may be lost. */
  ready(): Promise<void>;
  /** Commits a mark, which `reach` tells of when everything that was committed before it has been told. */
  mark(token: string): Promise<void>;
  /** Nobody reads any more: the database is to keep nothing for us. */
  letGo(): Promise<void>;
  /** Whether the database keeps more for us than it may, whoever it is that does not read it. */
  holdsTooMuch(): Promise<boolean>;
  /** What stands in the way at the moment; undefined: nothing. */
  trouble(): string | undefined;
}
