// In charge of: text on its way to whoever reads it, no faster than that.
import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Writes text and waits while the other side is not ready for more. */
export async function write(out: Writable, text: string | Buffer): Promise<void> {
  if (!out.write(text)) await once(out, 'drain');
}
