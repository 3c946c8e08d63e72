// In charge of: W3C Trace Context: the trace that a request belongs to, for the log line and for the calls that we make on its behalf.
// We record no spans of our own, so we pass on what came, as a proxy does. Nothing is drawn at random for a request that brings none:
// its name in the log is the request id; a trace begins with the first outgoing call. There is no header of Level 1 to answer with.
// Source: W3C Trace Context Level 1, sections 3.2, 3.3, 3.4, 4.3.
import { randomBytes } from 'node:crypto';

export interface Trace {
  /** 32 hexadecimal digits; stands in the log line as `traceId`. */
  readonly traceId: string;
  /** Headers of the calls that belong to it. */
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

/** The trace of a request; undefined when it has none or one that is not well-formed, which then counts as none. Both as they came. */
export function traceOf(traceparent: string | undefined, tracestate: string | undefined): Trace | undefined {
  if (traceparent === undefined) return undefined;
  const found = shape.exec(traceparent);
  if (!found) return undefined;
  const [, version, traceId, parentId, flags, more] = found;
  if (version === 'ff' || traceId === noTrace || parentId === noParent) return undefined;
  // A later version may have more behind the flags; ours may not.
  if (version === '00' && more !== '') return undefined;
  return {
    traceId: traceId!,
    // What is not understood of a later version is not passed on: of its flags only the one that is known here.
    traceparent:
      version === '00' ? traceparent : `00-${traceId}-${parentId}-0${Number.parseInt(flags!, 16) & sampled}`,
    tracestate: tracestate === undefined ? undefined : boundedState(tracestate),
  };
}

/** A new trace, not recorded by anybody: for the first outgoing call of a request that brought none. */
export function startTrace(random: (bytes: number) => Buffer = randomBytes): Trace {
  const bytes = random(24);
  // All zeros would be no trace; once in 2^128.
  const traceId = bytes.toString('hex', 0, 16);
  return { traceId, traceparent: `00-${traceId}-${bytes.toString('hex', 16, 24)}-00`, tracestate: undefined };
}

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})((?:-.*)?)$/;
const sampled = 1;
const noTrace = '0'.repeat(32);
const noParent = '0'.repeat(16);

/**
 * The state without what makes it longer than 512 characters: whole entries, those beyond 128 characters first, then from the end.
 * Undefined when it is not well-formed, when a key stands in it twice, or when nothing is left.
 */
function boundedState(tracestate: string): string | undefined {
  if (tracestate.length > maxReadLength) return undefined;
  const members: string[] = [];
  const keys = new Set<string>();
  for (const part of tracestate.split(',')) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, '');
    if (member === '') continue;
    const key = memberShape.exec(member)?.[1];
    if (key === undefined || keys.has(key) || members.length === maxMembers) return undefined;
    keys.add(key);
    members.push(member);
  }
  let kept = members;
  if (lengthOf(kept) > maxStateLength) kept = kept.filter(({ length }) => length <= maxMemberLength);
  while (lengthOf(kept) > maxStateLength) kept = kept.slice(0, -1);
  return kept.length === 0 ? undefined : kept.join(',');
}

function lengthOf(members: readonly string[]): number {
  return members.reduce((sum, { length }) => sum + length + 1, -1);
}

// Level 1 also knows keys of two parts, `tenant@system`; Level 2 has the one rule that takes both.
const memberShape =
  /^([a-z0-9][a-z0-9_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const maxMembers = 32;
const maxStateLength = 512;
const maxMemberLength = 128;
const maxReadLength = 8 * 1024;
