// In charge of: who listens in this process, and that each hears every change once and in order, whoever read it.
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Change } from './change.ts';
import type { ChangeListener } from './feed.ts';
import type { History } from './history.ts';

export interface Audience {
  /**
   * Tells all listeners what they have not heard yet. The promise is theirs: what comes next waits for it.
   */
  receive(changes: readonly Change[]): void | Promise<void>;
  /** Everything up to `id` has been received; whoever waits for `token` listens from now on. */
  reach(id: string, token: string | undefined): void;
  /** What was committed before `id` may be missing. */
  gap(reason: string, id: string): void;
  /** Listens once `token` is reached. `onReached` is called then. */
  add(listener: ChangeListener, token: string, onReached: () => void): void;
  remove(listener: ChangeListener): void;
  /** Whether anybody listens or is about to. */
  isWanted(): boolean;
  /** Everything up to it was told. */
  newest(): string | undefined;
}

interface Waiting {
  readonly token: string;
  readonly onReached: () => void;
}

export function openAudience(history: History, observe: Observe): Audience {
  const listeners = new Set<ChangeListener>();
  const waiting = new Map<ChangeListener, Waiting>();
  let newest: string | undefined;

  /** One listener's mistake is not the others' loss. */
  function failed(error: unknown): void {
    observe({ kind: 'changes.listener_failed', level: 'error', message: errorMessage(error), error });
  }

  function advance(id: string): void {
    if (newest === undefined || id > newest) newest = id;
  }

  return {
    receive(changes) {
      const fresh = newest === undefined ? changes : afterId(changes, newest);
      if (fresh.length === 0) return;
      if (history.floor() === undefined) history.startAt(beginningOf(fresh[0]!.id));
      history.add(fresh);
      advance(fresh.at(-1)!.id);
      const promises: Promise<void>[] = [];
      for (const listener of listeners) {
        try {
          const promise = listener.changes(fresh);
          if (promise instanceof Promise) promises.push(promise.catch(failed));
        } catch (error) {
          failed(error);
        }
      }
      return promises.length === 0 ? undefined : Promise.all(promises).then(() => {});
    },
    reach(id, token) {
      if (history.floor() === undefined) history.startAt(id);
      advance(id);
      for (const [listener, { token: awaited, onReached }] of waiting) {
        if (awaited !== token) continue;
        waiting.delete(listener);
        listeners.add(listener);
        onReached();
      }
    },
    gap(reason, id) {
      // Not `advance`: a database that was put back to an earlier state counts from there again.
      newest = id;
      history.startAt(id);
      observe({ kind: 'changes.gap', level: 'warn', reason });
      for (const listener of listeners) {
        try {
          listener.gap({ reason });
        } catch (error) {
          failed(error);
        }
      }
    },
    add(listener, token, onReached) {
      waiting.set(listener, { token, onReached });
    },
    remove(listener) {
      waiting.delete(listener);
      listeners.delete(listener);
    },
    isWanted: () => listeners.size + waiting.size > 0,
    newest: () => newest,
  };
}

function afterId(changes: readonly Change[], id: string): readonly Change[] {
  if (changes.length === 0 || changes[0]!.id > id) return changes;
  return changes.filter((change) => change.id > id);
}

/** The transaction of this change as a whole is behind it. */
function beginningOf(id: string): string {
  return id.slice(0, id.indexOf('-'));
}
