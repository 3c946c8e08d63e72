// In charge of: what a client says to others, as it is passed on.
import { recordOf } from './join.ts';
import type { Broadcast, ClientPayload } from './wire/frames.ts';

/** What is passed on; undefined for what nobody could be told. */
export function broadcastOf(payload: ClientPayload): Broadcast | undefined {
  if (payload.kind === 'broadcast') return { kind: 'user', ...payload.broadcast };
  if (recordOf(payload.value) === undefined) return undefined;
  return { kind: 'whole', json: JSON.stringify(payload.value) };
}

export const sizeOf = (message: Broadcast) =>
  message.kind === 'whole' ? Buffer.byteLength(message.json) : message.body.length;
