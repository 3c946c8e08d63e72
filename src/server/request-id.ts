// In charge of: the name under which a request stands in the log and in its answer.
import { randomUUID } from 'node:crypto';

const harmless = /^[\w.:/+=-]{1,128}$/;

/** The caller's id when it is harmless, else a new one. */
export function requestIdOf(given: string | undefined): string {
  return given !== undefined && harmless.test(given) ? given : randomUUID();
}
