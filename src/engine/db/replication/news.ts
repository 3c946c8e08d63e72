// In charge of: what tells a process that another reads for that there is more: NOTIFY, the clock, and by the broker, where there is one, the batches themselves.
import { delay } from '../../../base/time.ts';
import type { Fanout } from '../fanout.ts';
import type { Listener } from '../listener.ts';
import { batchesChannel, parseBatch, type StoredBatch } from './batches.ts';

export interface News {
  /** From now on batches come by the broker; what was before stands in the table. */
  start(): void;
  stop(): void;
  /** Whether the table is to be read. Asking takes the wish away. */
  takeWish(): boolean;
  /** The table has what did not come. */
  wish(): void;
  /** The next batch that came by the broker. */
  next(): StoredBatch | undefined;
  /** Until there is something; the table is wished for when nothing came for a while. */
  wait(signal: AbortSignal): Promise<void>;
}

export interface NewsOptions {
  /** Undefined behind a transaction pooler: the table is read from time to time. */
  readonly listener: Listener | undefined;
  readonly broker: Fanout | undefined;
  /** The last batch that was told. */
  readonly newest: () => string | undefined;
}

const brokerChannel = 'changes';
const pollMs = 250;
const pollBesideListenMs = 1_000;
/** NOTIFY says of each batch that it stands in the table. One that the broker has not brought by then is read there. */
const brokerAheadMs = 100;
/** Beyond it what came is let go of: the table has it. */
const maxWaitingBytes = 32 * 1024 * 1024;

export function openNews({ listener, broker, newest }: NewsOptions): News {
  let isWished = true;
  let wake = () => {};
  let arrived: StoredBatch[] = [];
  let arrivedBytes = 0;
  let unsubscribe: (() => void) | undefined;
  let isListening = false;
  let noticed: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  function wish(): void {
    isWished = true;
    wake();
  }

  function notice(id: string): void {
    if (unsubscribe === undefined) return;
    // A process of an earlier version says no number.
    if (broker === undefined || broker.trouble() !== undefined || id === '') wish();
    else {
      noticed = id;
      timer ??= setTimeout(() => look(id), brokerAheadMs);
    }
  }

  function look(id: string): void {
    timer = undefined;
    const later = noticed;
    if ((newest() ?? '') < id) wish();
    else if (later !== undefined && later > id) timer = setTimeout(() => look(later), brokerAheadMs);
  }

  function hear(payload: unknown): void {
    const { lastId, afterId, kind, text } = payload as CarriedBatch;
    if (arrivedBytes + text.length > maxWaitingBytes) {
      arrived = [];
      arrivedBytes = 0;
      wish();
      return;
    }
    arrived.push({ ...parseBatch(kind, lastId, text), afterId: afterId ?? undefined });
    arrivedBytes += text.length;
    wake();
  }

  return {
    start() {
      isWished = true;
      if (listener && !isListening) {
        isListening = true;
        listener.listen(batchesChannel, notice, wish);
      }
      unsubscribe ??= broker?.subscribe(brokerChannel, hear, wish) ?? (() => {});
    },
    stop() {
      unsubscribe?.();
      unsubscribe = undefined;
      clearTimeout(timer);
      timer = undefined;
      arrived = [];
      arrivedBytes = 0;
    },
    takeWish() {
      const was = isWished;
      isWished = false;
      return was;
    },
    wish,
    next() {
      const batch = arrived.shift();
      if (arrived.length === 0) arrivedBytes = 0;
      return batch;
    },
    async wait(signal) {
      if (isWished || arrived.length > 0) return;
      const come = new AbortController();
      wake = () => come.abort();
      const ms = listener === undefined ? pollMs : pollBesideListenMs;
      await delay(ms, AbortSignal.any([come.signal, signal])).catch(() => {});
      wake = () => {};
      if (!come.signal.aborted) isWished = true;
    },
  };
}

/** As a batch stands in the table. */
interface CarriedBatch {
  readonly lastId: string;
  readonly afterId: string | null;
  readonly kind: string;
  readonly text: string;
}

/** Hands a batch that stands in the table to the others by the broker. What does not arrive is read there. */
export async function carryBatch(
  broker: Fanout,
  { lastId, kind }: Pick<StoredBatch, 'lastId' | 'kind'>,
  afterId: string | undefined,
  text: string,
): Promise<void> {
  await broker.publish(brokerChannel, {
    lastId,
    afterId: afterId ?? null,
    kind,
    text,
  } satisfies CarriedBatch);
}
