// In charge of: what processes tell each other about presences, and cutting it into messages of a bounded size.
import type { Entry, Step } from './replicas.ts';

export type Message =
  | { readonly kind: 'steps'; readonly steps: readonly Step[] }
  /** Asks one process for the whole of its part. */
  | { readonly kind: 'want'; readonly of: string }
  /** One piece of the part as it was at `clock`. */
  | {
      readonly kind: 'part';
      readonly clock: number;
      readonly piece: number;
      readonly pieces: number;
      readonly entries: readonly Entry[];
    };

/** A row and a NOTIFY each. One entry alone may be larger. */
const maxMessageBytes = 256 * 1024;
/** What stands around the values of an entry or a step, roughly. */
const frameBytes = 100;

export function stepMessages(steps: readonly Step[]): readonly Message[] {
  return cut(steps, ({ joined }) => (joined === undefined ? 0 : sizeOf(joined))).map((piece) => ({
    kind: 'steps',
    steps: piece,
  }));
}

export function partMessages(clock: number, entries: readonly Entry[]): readonly Message[] {
  // A part without entries is one message, too: it says that nobody is left.
  const pieces = entries.length === 0 ? [[]] : cut(entries, sizeOf);
  return pieces.map((piece, at) => ({
    kind: 'part',
    clock,
    piece: at,
    pieces: pieces.length,
    entries: piece,
  }));
}

function sizeOf({ topic, key, meta }: Entry): number {
  return topic.length + key.length + JSON.stringify(meta).length;
}

function cut<T>(items: readonly T[], size: (item: T) => number): readonly T[][] {
  const pieces: T[][] = [];
  let room = 0;
  for (const item of items) {
    const needs = size(item) + frameBytes;
    const last = pieces.at(-1);
    if (last === undefined || needs > room) {
      pieces.push([item]);
      room = maxMessageBytes - needs;
    } else {
      last.push(item);
      room -= needs;
    }
  }
  return pieces;
}

/** Undefined for what another version of this program may say. */
export function parseMessage(body: unknown): Message | undefined {
  if (!isObject(body)) return undefined;
  const { kind, steps, of, clock, piece, pieces, entries } = body;
  if (kind === 'want' && typeof of === 'string') return { kind, of };
  if (kind === 'steps' && Array.isArray(steps) && steps.every(isStep)) return { kind, steps };
  if (
    kind === 'part' &&
    isCount(clock) &&
    isCount(piece) &&
    isCount(pieces) &&
    Array.isArray(entries) &&
    entries.every(isEntry)
  )
    return { kind, clock, piece, pieces, entries };
  return undefined;
}

function isStep(value: unknown): value is Step {
  if (!isObject(value)) return false;
  const { at, joined, left } = value;
  return isCount(at) && (joined === undefined || isEntry(joined)) && (left === undefined || isCount(left));
}

function isEntry(value: unknown): value is Entry {
  if (!isObject(value)) return false;
  const { tag, topic, key, meta } = value;
  return isCount(tag) && typeof topic === 'string' && typeof key === 'string' && isObject(meta);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
