// In charge of: what is said in a topic while a channel that has joined is told the messages of before.

export interface Held {
  /** False: there is no room for it. */
  add(frame: Buffer, messageId: string | undefined): boolean;
  /** What is not among these messages, in its order. */
  without(messages: ReadonlySet<string>): readonly Buffer[];
}

/** Messages, and their bytes, that wait until those of before are read. */
const maxHeld = 1_000;
const maxHeldBytes = 8 * 1024 * 1024;

export function openHeld(): Held {
  const held: { readonly frame: Buffer; readonly messageId: string | undefined }[] = [];
  let sizeBytes = 0;
  return {
    add(frame, messageId) {
      sizeBytes += frame.length;
      if (held.length >= maxHeld || sizeBytes > maxHeldBytes) return false;
      held.push({ frame, messageId });
      return true;
    },
    without: (messages) =>
      held
        .filter(({ messageId }) => messageId === undefined || !messages.has(messageId))
        .map(({ frame }) => frame),
  };
}
