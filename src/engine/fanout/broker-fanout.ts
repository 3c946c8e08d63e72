// In charge of: the fan-out by a broker: what waits for it, what is lost and how that is said, and who hears what.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { openTally } from '../../base/tally.ts';
import { delay } from '../../base/time.ts';
import type { Fanout } from '../db/fanout.ts';
import type { Carrier, CarrierEvents } from './carrier.ts';
import { maxMessageBytes, minFrameBytes, openIncoming, openOutgoing } from './frames.ts';

export interface BrokerFanout extends Fanout {
  close(): Promise<void>;
}

/** Why something was not told, or may not have been. */
export class FanoutFailed extends Error {
  override readonly name = 'FanoutFailed';
  /** `away`: there is no connection; `slow`: the broker did not say that it has it; `full`: too much waits for it already. */
  readonly reason: 'away' | 'slow' | 'full' | 'too_large' | 'refused';

  constructor(reason: FanoutFailed['reason'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

export interface BrokerFanoutOptions {
  readonly connect: (events: CarrierEvents) => Promise<Carrier>;
  /** The broker as it may be shown. */
  readonly shown: string;
  /** What names at the broker begin with. */
  readonly prefix: string;
  /** 32 bytes that all processes of this database have, and nobody else. */
  readonly key: Uint8Array;
  readonly observe: Observe;
}

/** A message waits so long for a broker that is away, or for its word that it has it. */
const publishWithinMs = 5_000;
/** What waits at a time, of everybody in this process. */
const maxWaitingBytes = 32 * 1024 * 1024;
/** Messages of others come between the pieces of a large one. */
const maxFrameBytes = 256 * 1024;

/** @throws what `connect` throws */
export async function openBrokerFanout(options: BrokerFanoutOptions): Promise<BrokerFanout> {
  const { shown, prefix, observe } = options;
  const outgoing = openOutgoing(options.key);
  const incoming = openIncoming(options.key);
  const channels = new Map<string, { readonly ears: Set<Ear>; readonly stop: () => void }>();
  let waitingBytes = 0;
  let away:
    | { readonly since: Date; readonly reason: string; readonly back: PromiseWithResolvers<void> }
    | undefined;
  let complaint: string | undefined;
  const closing = new AbortController();

  const missed = openTally((count) =>
    observe({
      kind: 'fanout.missed',
      level: 'warn',
      broker: shown,
      count,
      message: 'what other processes said did not arrive here',
    }),
  );
  const refused = openTally((count) =>
    observe({
      kind: 'fanout.refused',
      level: 'warn',
      broker: shown,
      count,
      message: `at the broker there is something below "${prefix}" that no process of this database with the same master key has said, or that it has said before`,
    }),
  );

  const carrier = await options.connect({
    onAway(reason) {
      if (away !== undefined || closing.signal.aborted) return;
      away = { since: new Date(), reason, back: Promise.withResolvers() };
      observe({ kind: 'fanout.away', level: 'warn', broker: shown, message: reason });
    },
    onBack() {
      if (away === undefined || closing.signal.aborted) return;
      const { since, back } = away;
      away = undefined;
      complaint = undefined;
      observe({ kind: 'fanout.back', broker: shown, awayMs: Date.now() - since.getTime() });
      back.resolve();
      // Behind what waited: a process is heard in its order.
      setImmediate(() => {
        for (const { ears } of channels.values()) tellOfGap(ears);
      });
    },
    onComplaint(reason) {
      if (complaint === reason) return;
      complaint = reason;
      observe({ kind: 'fanout.complaint', level: 'warn', broker: shown, message: reason });
    },
  });
  const frameBytes = () => Math.min(maxFrameBytes, carrier.maxMessageBytes());
  const subjectOf = (channel: string) => `${prefix}.${channel}`;

  function tellOfGap(ears: ReadonlySet<Ear>): void {
    for (const { onGap } of [...ears]) onGap?.();
  }

  function hear(channel: string, ears: ReadonlySet<Ear>, frame: Uint8Array): void {
    const opened = incoming.open(subjectOf(channel), frame);
    if (opened.refused !== undefined) refused.add();
    if (opened.missed > 0) {
      missed.add(opened.missed);
      tellOfGap(ears);
    }
    if (opened.message === undefined) return;
    const payload = parse(opened.message);
    if (payload === undefined) refused.add();
    else deliver(channel, ears, payload);
  }

  function deliver(channel: string, ears: ReadonlySet<Ear>, payload: unknown): void {
    for (const { listener } of [...ears]) {
      try {
        listener(payload);
      } catch (error) {
        // One listener's mistake is not the others' loss.
        observe({ kind: 'fanout.listener_failed', level: 'error', channel, error });
      }
    }
  }

  /** How much longer a broker that is away is waited for. */
  const patienceMs = () =>
    away === undefined ? 0 : Math.max(0, away.since.getTime() + publishWithinMs - Date.now());
  const isAway = () =>
    new FanoutFailed('away', `the broker ${shown} is away: ${away?.reason ?? 'the program is stopping'}`);

  /** Resolves when the broker has it. What waited for the broker goes in its order. */
  async function hand(subject: string, message: Buffer): Promise<void> {
    if (away !== undefined) {
      await within(away.back.promise, patienceMs());
      if (away !== undefined) throw isAway();
    }
    if (frameBytes() < minFrameBytes)
      throw new FanoutFailed(
        'refused',
        `the broker ${shown} takes only ${carrier.maxMessageBytes()} bytes in a message; its "max_payload" has to be larger`,
      );
    const frames = outgoing.seal(subject, message, frameBytes());
    await Promise.all(frames.map((frame) => carrier.send(subject, frame)));
  }

  async function within(work: Promise<void>, ms: number): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, closing.signal]);
    await Promise.race([work, delay(ms, signal).catch(() => {})]).finally(() => over.abort());
  }

  return {
    async publish(channel, payload) {
      const subject = subjectOf(channel);
      const refuse = (reason: FanoutFailed['reason'], sentence: string): never => {
        outgoing.skip(subject);
        throw new FanoutFailed(reason, sentence);
      };
      if (closing.signal.aborted || (away !== undefined && patienceMs() === 0))
        refuse('away', isAway().message);
      const message = Buffer.from(JSON.stringify(payload));
      if (message.length > maxMessageBytes)
        refuse(
          'too_large',
          `a message of ${message.length} bytes is not told to other processes: the most is ${maxMessageBytes}`,
        );
      if (waitingBytes + message.length > maxWaitingBytes)
        refuse(
          'full',
          `${waitingBytes} bytes wait for the broker ${shown} already, and more than ${maxWaitingBytes} never do`,
        );
      waitingBytes += message.length;
      let outcome: 'sent' | Error | undefined;
      const handed = hand(subject, message).then(
        () => {
          outcome = 'sent';
        },
        (error: unknown) => {
          outcome = error instanceof Error ? error : new Error(errorMessage(error));
        },
      );
      // It takes its room until the connection has let go of it, also when nobody waits for it any more.
      void handed.finally(() => {
        waitingBytes -= message.length;
      });
      await within(handed, publishWithinMs);
      if (outcome === 'sent') return;
      if (outcome instanceof FanoutFailed) refuse(outcome.reason, outcome.message);
      if (outcome !== undefined)
        throw new FanoutFailed('refused', `the broker ${shown}: ${outcome.message}`, outcome);
      throw new FanoutFailed(
        'slow',
        `the broker ${shown} did not say within ${publishWithinMs / 1000} seconds that it has the message`,
      );
    },
    subscribe(channel, listener, onGap) {
      const ear: Ear = { listener, onGap };
      const known = channels.get(channel);
      if (known === undefined) {
        const ears = new Set([ear]);
        const stop = carrier.listen(subjectOf(channel), (frame) => hear(channel, ears, frame));
        channels.set(channel, { ears, stop });
      } else known.ears.add(ear);
      return () => {
        const at = channels.get(channel);
        if (!at?.ears.delete(ear) || at.ears.size > 0) return;
        channels.delete(channel);
        at.stop();
      };
    },
    trouble() {
      if (away !== undefined)
        return `the broker ${shown} is away since ${away.since.toISOString()}: ${away.reason}`;
      return complaint === undefined ? undefined : `the broker ${shown} complains: ${complaint}`;
    },
    async close() {
      closing.abort();
      missed.close();
      refused.close();
      await carrier.close();
    },
  };
}

interface Ear {
  readonly listener: (payload: unknown) => void;
  readonly onGap: (() => void) | undefined;
}

/** Another version of this program may have said it. */
function parse(message: Buffer): unknown {
  try {
    return JSON.parse(message.toString());
  } catch {
    return undefined;
  }
}
