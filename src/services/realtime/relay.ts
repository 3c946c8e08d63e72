// In charge of: passing on what is said here to the other processes, in its order: what is said while one message is on its way goes with the next.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { openTally } from '../../base/tally.ts';
import { delay } from '../../base/time.ts';
import type { Fanout } from '../../engine/db/fanout.ts';

export interface Relay {
  /** Never waits: what finds no room is lost for the other processes, and that is said. */
  pass(item: object, sizeBytes: number): void;
  /** Resolves when what was passed on before is written down, or is lost; what takes longer than two seconds is. */
  close(): Promise<void>;
}

/** A row and a NOTIFY each. One item alone may be larger. */
const maxMessageBytes = 256 * 1024;
/** What waits while the database is slow or away. */
const maxWaitingBytes = 16 * 1024 * 1024;
const maxWaitingItems = 10_000;
const closeWithinMs = 2_000;

export function openRelay(
  { fanout, observe }: { readonly fanout: Fanout; readonly observe: Observe },
  channel: string,
  by: string,
): Relay {
  let waiting: { readonly item: object; readonly sizeBytes: number }[] = [];
  let waitingBytes = 0;
  let reason = '';
  const lost = openTally((count) =>
    observe({ kind: 'realtime.not_passed_on', level: 'warn', lost: count, message: reason }),
  );
  let sending: Promise<void> | undefined;

  /** Takes what goes into one message. */
  function take(): readonly object[] {
    let bytes = 0;
    let count = 0;
    while (count < waiting.length && (count === 0 || bytes + waiting[count]!.sizeBytes <= maxMessageBytes)) {
      bytes += waiting[count]!.sizeBytes;
      count += 1;
    }
    const taken = waiting.slice(0, count).map(({ item }) => item);
    waiting = waiting.slice(count);
    waitingBytes -= bytes;
    return taken;
  }

  function lose(count: number, why: string): void {
    reason = why;
    lost.add(count);
  }

  async function send(): Promise<void> {
    while (waiting.length > 0) {
      const items = take();
      try {
        // As text within the JSON: names that clients choose may have what Postgres's JSON has not, a zero character or half of a pair.
        await fanout.publish(channel, { by, items: JSON.stringify(items) });
      } catch (error) {
        lose(items.length, errorMessage(error));
      }
    }
    sending = undefined;
  }

  return {
    pass(item, sizeBytes) {
      if (waiting.length >= maxWaitingItems || waitingBytes + sizeBytes > maxWaitingBytes) {
        lose(1, 'too much waited to be passed on');
        return;
      }
      waiting.push({ item, sizeBytes });
      waitingBytes += sizeBytes;
      sending ??= send();
    },
    async close() {
      const over = new AbortController();
      await Promise.race([sending, delay(closeWithinMs, over.signal).catch(() => {})]);
      over.abort();
      if (waiting.length > 0) lose(waiting.length, 'the program stopped before it was passed on');
      waiting = [];
      waitingBytes = 0;
      lost.close();
    },
  };
}
