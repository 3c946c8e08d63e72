// In charge of: how much is on its way: changes that wait and those that are being decided, by number and by bytes, and who waits for room.
import type { ChangeLimits } from './limits.ts';

/** One change, for as long as somebody may still be told of it. */
export interface Load {
  readonly sizeBytes: number;
  /** For so many it is not decided yet. */
  items: number;
}

export interface Pending {
  /** They have come, and nobody looks at them yet. */
  arrive(count: number, sizeBytes: number): void;
  /** Somebody has looked at them. */
  leave(count: number, sizeBytes: number): void;
  add(load: Load): void;
  settle(load: Load): void;
  /** Changes that are being decided. */
  items(): number;
  /** No more is to be looked at. */
  isFull(): boolean;
  /** No more is to come. */
  isOver(): boolean;
  /** Resolves when there is room again, or `wake` was called. */
  room(): Promise<void>;
  wake(): void;
}

export function openPending(limits: Pick<ChangeLimits, 'maxPendingChanges' | 'maxPendingBytes'>): Pending {
  let waiting = 0;
  let waitingBytes = 0;
  let items = 0;
  let itemBytes = 0;
  let waiters: (() => void)[] = [];

  const isFull = () => items > limits.maxPendingChanges || itemBytes > limits.maxPendingBytes;

  function wake(): void {
    const woken = waiters;
    waiters = [];
    for (const resolve of woken) resolve();
  }

  return {
    arrive(count, sizeBytes) {
      waiting += count;
      waitingBytes += sizeBytes;
    },
    leave(count, sizeBytes) {
      waiting -= count;
      waitingBytes -= sizeBytes;
    },
    add(load) {
      items++;
      if (load.items++ === 0) itemBytes += load.sizeBytes;
    },
    settle(load) {
      items--;
      if (--load.items === 0) itemBytes -= load.sizeBytes;
      if (waiters.length > 0 && !isFull()) wake();
    },
    items: () => items,
    isFull,
    isOver: () =>
      waiting + items > limits.maxPendingChanges || waitingBytes + itemBytes > limits.maxPendingBytes,
    room: () => new Promise((resolve) => waiters.push(resolve)),
    wake,
  };
}
