// In charge of: one listener: what it wants, and that it hears of it in the order of the commits although answers come in any.
import type { Caller } from '../../../engine/identity/caller.ts';
import type { ChangeEvent } from './changes.ts';
import type { Lane } from './lane.ts';
import type { Wish } from './params.ts';

export interface Listener {
  deliver(event: ChangeEvent): void;
  gap(reason: string): void;
  /** `error`: changes are not told because of it. */
  notice?(sentence: string, status: 'ok' | 'error'): void;
  /** Whether its client has read most of what it was told; others are told what they missed meanwhile. */
  hasRoom?(): boolean;
}

type Held =
  | { readonly seq: number; readonly event: ChangeEvent }
  | { readonly seq: number; readonly gap: string };

export class Subscriber {
  readonly wishes: readonly Wish[];
  readonly listener: Listener;
  caller: Caller;
  isClosed = false;
  /** It was told all that it may hear up to this change, or is not to hear of it. */
  after: string | undefined;
  /** What it missed is told first: it does not hear yet of what happens. */
  isBehind = false;
  /** Where something for it may be waited for. */
  readonly #lanes = new Set<Lane>();
  #last: Lane | undefined;
  #held: Held[] = [];
  readonly #noticed = new Set<string>();

  constructor(wishes: readonly Wish[], caller: Caller, listener: Listener) {
    this.wishes = wishes;
    this.caller = caller;
    this.listener = listener;
  }

  hasRoom(): boolean {
    return this.listener.hasRoom?.() ?? true;
  }

  /** Something on this lane may be for it. */
  follow(lane: Lane): void {
    if (this.#last === lane) return;
    this.#last = lane;
    if (this.#lanes.size >= maxIdleLanes) this.#forgetIdle();
    this.#lanes.add(lane);
  }

  tell(held: Held): void {
    if (this.isClosed) return;
    let at = this.#held.length;
    while (at > 0 && this.#held[at - 1]!.seq > held.seq) at--;
    this.#held.splice(at, 0, held);
  }

  /** Says what nothing earlier is waited for. */
  flush(): void {
    if (this.#held.length === 0) return;
    let slowest: Lane | undefined;
    for (const lane of this.#lanes) {
      if (slowest === undefined || lane.lowest < slowest.lowest) slowest = lane;
    }
    const limit = slowest?.lowest ?? Number.POSITIVE_INFINITY;
    let count = 0;
    while (count < this.#held.length && this.#held[count]!.seq < limit) count++;
    const ready = this.#held.splice(0, count);
    if (this.#held.length > 0) slowest?.blocked.add(this);
    for (const held of ready) {
      if (this.isClosed) return;
      if ('gap' in held) this.listener.gap(held.gap);
      else this.listener.deliver(held.event);
    }
  }

  #forgetIdle(): void {
    for (const lane of this.#lanes) {
      if (lane.lowest === Number.POSITIVE_INFINITY) this.#lanes.delete(lane);
    }
  }

  /** Once each. */
  notice(sentence: string, status: 'ok' | 'error' = 'ok'): void {
    if (this.isClosed || this.#noticed.has(sentence) || this.#noticed.size >= maxNotices) return;
    this.#noticed.add(sentence);
    this.listener.notice?.(sentence, status);
  }
}

/** Of one subscription. */
const maxNotices = 50;
/** Before those are forgotten on which nothing is waited for. */
const maxIdleLanes = 16;
