// In charge of: `millrace reset`.
import type { Invocation } from '../main.ts';

export async function reset(_invocation: Invocation): Promise<number> {
  throw new Error('not there yet');
}
