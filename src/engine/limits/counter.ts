// In charge of: the arithmetic of one subject's points in one window: what is here, what the shared counter has left.
import type { PromiseWithResolvers } from './desk.ts';
import type { Rule } from './rules.ts';

/** The points of one address, caller, key or route in the present window, as this process holds them. */
export interface Counter {
  readonly rule: Rule;
  /** As the requests have it. */
  readonly key: string;
  /** As the shared counter calls it. */
  readonly subject: string;
  readonly startMs: number;
  readonly endMs: number;
  /** Points that may be spent here without asking anybody. */
  credit: number;
  /** Points that were given out here and that the shared counter has not heard of. */
  unpaid: number;
  /** All points given out here. */
  granted: number;
  /** What the shared counter had left when it was last asked. */
  remaining: number;
  /** When the credit has sunk to this, the next chunk is asked for. */
  lowWater: number;
  /** Nothing more will come in this window. */
  exhausted: boolean;
  /** Requests that wait for a point. */
  waiting: number;
  /** `queued` to be asked for, or the question is under way. */
  asked: 'no' | 'queued' | 'under way';
  /** Settled when the question has its answer, or has failed. */
  answered: PromiseWithResolvers | undefined;
}

export function openCounter(rule: Rule, key: string, subject: string): Counter {
  const credit = rule.alone ? rule.limit : rule.free;
  return {
    rule,
    key,
    subject,
    startMs: rule.startMs,
    endMs: rule.endMs,
    credit,
    unpaid: rule.alone ? 0 : credit,
    granted: credit,
    remaining: rule.limit - credit,
    lowWater: rule.alone ? -1 : (credit - 1) >> 1,
    exhausted: rule.alone,
    waiting: 0,
    asked: 'no',
    answered: undefined,
  };
}

/** How many points to ask for: for all who wait, or a chunk that shrinks with what is left, down to one. */
export function pointsWanted({ rule, remaining, waiting }: Counter): number {
  if (rule.chunk === 0) return waiting;
  return Math.max(waiting, Math.min(rule.chunk, Math.max(1, Math.floor(remaining / shrink))));
}

/** Below this many chunks what is left is divided finer and finer, so that no process sits on points that others lack. */
const shrink = 16;

/**
 * Takes in an answer: with `wanted` points and the unpaid ones on it the shared counter stands at `used`. What of that is
 * above the limit was not to be had, and comes off the new points first and then off those that are still unspent.
 */
export function settle(counter: Counter, wanted: number, paid: number, used: number): void {
  const over = Math.max(0, used - counter.rule.limit);
  const points = Math.max(-counter.credit, wanted - over);
  counter.unpaid -= paid;
  counter.credit += points;
  counter.granted += points;
  counter.remaining = Math.max(0, counter.rule.limit - used);
  counter.exhausted = used >= counter.rule.limit;
  counter.lowWater = counter.credit >> 1;
}

/** While the shared counter cannot be asked: gives out points up to the whole limit, to be paid for later. False: the limit is reached. */
export function lend(counter: Counter): boolean {
  const { rule, granted } = counter;
  const points = Math.min(Math.max(1, rule.chunk), rule.limit - granted);
  if (points <= 0 || counter.exhausted) return false;
  counter.credit += points;
  counter.granted += points;
  counter.unpaid += points;
  return true;
}

/** What the header says is left. */
export function pointsLeft({ credit, remaining }: Counter): number {
  return credit + remaining;
}
