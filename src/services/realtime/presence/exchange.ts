// In charge of: keeping the presences of all processes the same: our steps go out gathered, those of others come in, and what was missed is asked for.
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Peers } from '../peers.ts';
import { type Message, parseMessage, partMessages, stepMessages } from './messages.ts';
import type { Diff, Entry, Replicas, Step } from './replicas.ts';

export interface Exchange {
  tell(step: Step): void;
  close(): Promise<void>;
}

/** Steps of this long go out together: a room that fills is one message, not a hundred. Upstream gathers for 1,500. */
const gatherMs = 25;
/** More than this waiting to be written down are dropped: the others then ask for the whole part. */
const maxWaitingSteps = 10_000;
/** Steps that came before the part that they follow are kept for it, up to so many a process. */
const maxEarlySteps = 10_000;

interface Sync {
  early: Step[];
  clock: number;
  pieces: Map<number, readonly Entry[]>;
}

export function openExchange(
  { peers, replicas, observe }: { peers: Peers; replicas: Replicas; observe: Observe },
  changed: (diff: Diff) => void,
): Exchange {
  const syncs = new Map<string, Sync>();
  let waiting: Step[] = [];
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> = Promise.resolve();
  let isPartWanted = false;
  let closed = false;

  /** One after the other, so that they arrive in their order. What fails is found out by the next heartbeat. */
  function send(make: () => readonly Message[]): void {
    sending = sending.then(async () => {
      try {
        for (const message of make()) await peers.send(message);
      } catch (error) {
        observe({ kind: 'realtime.presence_not_sent', level: 'warn', message: errorMessage(error) });
      }
    });
  }

  function sendSteps(): void {
    timer = undefined;
    if (waiting.length === 0) return;
    send(() => {
      const steps = waiting;
      waiting = [];
      return stepMessages(steps);
    });
  }

  /** However many ask at the same time, it goes out once, to all. */
  function sendPart(): void {
    if (isPartWanted) return;
    isPartWanted = true;
    send(() => {
      isPartWanted = false;
      const { clock, entries } = replicas.own();
      return partMessages(clock, entries);
    });
  }

  function want(from: string): void {
    syncs.set(from, { early: syncs.get(from)?.early ?? [], clock: -1, pieces: new Map() });
    send(() => [{ kind: 'want', of: from }]);
  }

  function take(from: string, steps: readonly Step[]): void {
    const { diff, isBehind } = replicas.mergeSteps(from, steps);
    changed(diff);
    if (!isBehind) return;
    const sync = syncs.get(from);
    if (sync === undefined) {
      want(from);
      take(from, steps);
      return;
    }
    sync.early = [...sync.early, ...steps].slice(-maxEarlySteps);
  }

  function takePiece(from: string, { clock, piece, pieces, entries }: Message & { kind: 'part' }): void {
    const sync = syncs.get(from);
    // Somebody else asked, and this process knows as much.
    if (sync === undefined || clock < sync.clock) return;
    if (clock > sync.clock) {
      sync.clock = clock;
      sync.pieces.clear();
    }
    sync.pieces.set(piece, entries);
    if (sync.pieces.size < pieces) return;
    syncs.delete(from);
    changed(replicas.mergePart(from, { clock, entries: [...sync.pieces.values()].flat() }));
    if (sync.early.length > 0) take(from, sync.early);
  }

  peers.listen({
    onMessage(from, body) {
      const message = parseMessage(body);
      if (closed || message === undefined) return;
      if (message.kind === 'steps') take(from, message.steps);
      else if (message.kind === 'part') takePiece(from, message);
      else if (message.of === peers.self) sendPart();
    },
    onHeartbeat(from, { clock }) {
      // What was asked for and has not come since the heartbeat before is asked for again.
      if (!closed && clock > (replicas.known(from) ?? 0)) want(from);
    },
    onGone(from) {
      syncs.delete(from);
      changed(replicas.forget(from));
    },
  });

  return {
    tell(step) {
      if (waiting.length >= maxWaitingSteps) waiting = [];
      waiting.push(step);
      timer ??= setTimeout(sendSteps, gatherMs);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await sending;
    },
  };
}
