// In charge of: what both versions of the protocol read alike.
import { isNumberAsWritten, parseExactly } from '../../../base/exact-json.ts';
import { unreadableBy } from '../json-bounds.ts';
import { MalformedMessage } from './frames.ts';

export function parseMessage(data: Buffer): unknown {
  const unreadable = unreadableBy(data);
  if (unreadable !== undefined) throw new MalformedMessage(unreadable);
  try {
    return parseExactly(data.toString('utf8'));
  } catch (error) {
    throw new MalformedMessage(`it is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A reference as clients send it: a text, or a number in older ones. */
export function refOf(value: unknown, name: string): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (isNumberAsWritten(value)) return value.rawJSON;
  throw new MalformedMessage(`its ${name} is neither a text nor null`);
}

export function textOf(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw new MalformedMessage(`its ${name} is no text`);
}

/** The payload of a broadcast in one JSON object: what version 1 is told of one that came in parts. */
export function wholePayload(event: string, body: string, meta: string | undefined): string {
  const about = meta === undefined ? '' : `,"meta":${meta}`;
  return `{"event":${JSON.stringify(event)},"payload":${body},"type":"broadcast"${about}}`;
}
