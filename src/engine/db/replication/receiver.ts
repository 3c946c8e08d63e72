// In charge of: what comes by one stream, handed on in batches: order, back pressure, and what the server may let go of.
import { errorMessage } from '../../../base/errors.ts';
import type { Change } from './change.ts';
import { openDecoder, type StreamMessage } from './pgoutput.ts';
import { changeId, placeDigits } from './position.ts';
import type { Sink } from './source.ts';
import type { ReplicationStream } from './stream.ts';

export interface Receiver {
  message(bytes: Buffer): void;
  alive(place: bigint): void;
  start(stream: ReplicationStream): void;
  /** Rejects when what came cannot be read. */
  readonly failed: Promise<never>;
  /** Hands on nothing more; resolves when whoever was told last is done with it. */
  close(): Promise<void>;
}

type Item =
  | { readonly kind: 'changes'; readonly changes: Change[] }
  | { readonly kind: 'mark'; readonly id: string; readonly token: string }
  | { readonly kind: 'commit'; readonly lastId: string; readonly end: bigint }
  | { readonly kind: 'alive'; readonly place: bigint };

/** A transaction whose changes are kept for whoever comes back: read again from before it after a restart. */
interface Kept {
  readonly lastId: string;
  readonly end: bigint;
}

export function openReceiver(sink: Sink, onProgress: () => void): Receiver {
  const decode = openDecoder();
  let items: Item[] = [];
  let stream: ReplicationStream | undefined;
  let draining: Promise<void> | undefined;
  let closed = false;
  let fail!: (error: unknown) => void;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});

  /** The transaction that is coming in. */
  let digits = '';
  let committedAt = '';
  let index = 0;
  let isOpen = false;
  let hasChanges = false;

  const kept: Kept[] = [];
  let position = 0n;
  let confirmed = 0n;
  const timer = setInterval(settle, settleEveryMs);

  const nextId = (): string => {
    index += 1;
    return changeId(digits, index);
  };

  function take(message: StreamMessage): void {
    switch (message.kind) {
      case 'begin':
        digits = placeDigits(message.place);
        committedAt = message.committedAt;
        index = 0;
        isOpen = true;
        hasChanges = false;
        return;
      case 'change':
        add({
          id: nextId(),
          kind: message.change,
          table: message.table,
          row: message.row,
          old: message.old,
          committedAt,
        });
        return;
      case 'truncate':
        for (const table of message.tables)
          add({ id: nextId(), kind: 'TRUNCATE', table, row: undefined, old: undefined, committedAt });
        return;
      case 'message':
        // Without a transaction it stands between others' commits, and is not ours.
        if (isOpen && message.prefix === 'millrace')
          items.push({ kind: 'mark', id: nextId(), token: message.content });
        return;
      case 'commit':
        isOpen = false;
        if (hasChanges) items.push({ kind: 'commit', lastId: changeId(digits, index), end: message.end });
        else items.push({ kind: 'alive', place: message.end });
        return;
      case 'other':
        return;
    }
  }

  function add(change: Change): void {
    hasChanges = true;
    const last = items.at(-1);
    if (last?.kind === 'changes' && last.changes.length < maxBatch) last.changes.push(change);
    else items.push({ kind: 'changes', changes: [change] });
  }

  function wake(): void {
    if (draining || closed || items.length === 0) return;
    // Behind the messages that came in the same piece: they make one batch.
    draining = Promise.resolve()
      .then(drain)
      .catch(fail)
      .finally(() => {
        draining = undefined;
        if (items.length > 0) wake();
        else stream?.resume();
      });
  }

  async function drain(): Promise<void> {
    for (let at = 0; at < items.length; at += 1) {
      if (closed) break;
      const item = items[at]!;
      const promise = hand(item);
      if (!promise) continue;
      // What has come meanwhile is behind `at`, and what is yet to come waits in the socket.
      stream?.pause();
      await promise;
    }
    items = [];
    settle();
  }

  function hand(item: Item): void | Promise<void> {
    switch (item.kind) {
      case 'changes':
        onProgress();
        return sink.receive(item.changes);
      case 'mark':
        return sink.reach(item.id, item.token);
      case 'commit':
        kept.push({ lastId: item.lastId, end: item.end });
        advance(item.end);
        return;
      case 'alive':
        onProgress();
        advance(item.place);
        return;
      default:
        return item satisfies never;
    }
  }

  function advance(place: bigint): void {
    if (place <= position) return;
    position = place;
    stream?.received(place);
  }

  /** Lets the server go on to where nothing is kept here any more. */
  function settle(): void {
    const floor = sink.floor() ?? '';
    while (kept.length > 0) {
      const oldest = kept[0]!;
      if (oldest.lastId > floor) {
        if (position - oldest.end <= maxHistoryLogBytes) break;
        sink.forget(oldest.lastId);
      }
      confirmed = oldest.end;
      kept.shift();
    }
    if (kept.length === 0 && !isOpen && items.length === 0) confirmed = position;
    stream?.confirm(confirmed);
  }

  return {
    failed,
    message(bytes) {
      if (closed) return;
      try {
        take(decode(bytes));
        wake();
      } catch (error) {
        fail(error instanceof RangeError ? new Error(errorMessage(error), { cause: error }) : error);
      }
    },
    alive(place) {
      if (closed || isOpen) return;
      const last = items.at(-1);
      if (last?.kind === 'alive') items.pop();
      items.push({ kind: 'alive', place });
      wake();
    },
    start(started) {
      stream = started;
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await draining;
    },
  };
}

/** Changes that a listener gets at once. */
const maxBatch = 1_000;
const settleEveryMs = 1_000;
/** For the sake of those who may come back no more of the log than this is kept. */
const maxHistoryLogBytes = 64n * 1024n * 1024n;
