// In charge of: the changes of the database as the rest of the program gets them: once, in the order of the commits, on every process.
import type { Change } from './change.ts';

/** What was committed in between is lost to the listeners: they should read anew. */
export interface Gap {
  /** For people: `the replication slot was lost`. */
  readonly reason: string;
}

export interface ChangeListener {
  /**
   * Changes in the order of the commits, none twice; a large transaction comes in several. The next ones wait for the promise, so that a listener
   * that is slow slows the reading down, for which the write-ahead log is the queue.
   */
  changes(changes: readonly Change[]): void | Promise<void>;
  gap(gap: Gap): void;
}

export interface ChangeFeed {
  /**
   * Hears what is committed once this has resolved. Reading begins with the first listener and ends some time after the last.
   * @throws DatabaseUnavailable
   */
  listen(listener: ChangeListener): Promise<() => void>;
  /**
   * What came after the change with this id and was handed to listeners up to now, the oldest first, no more than `limit`; undefined: it is not kept
   * any more, or was never.
   */
  since(id: string, limit?: number): readonly Change[] | undefined;
  /** The id of the newest change that listeners got; undefined: none yet. */
  latestId(): string | undefined;
  /** How the changes come, and how that goes. */
  state(): FeedState;
}

export interface FeedState {
  readonly by: 'replication' | 'triggers';
  readonly isReading: boolean;
  /** A sentence for people. */
  readonly sentence: string;
}
