// In charge of: what of the stream of events is printed. One JSON line each.
import pino from 'pino';
import type { Observation, Observe } from '../base/observe.ts';

export interface Log {
  readonly observe: Observe;
  /** Writes out what is buffered; at the end of the program. */
  flush(): void;
}

/** Lines are gathered up to this many bytes before a write, so that a busy server does not pay a system call for each. */
const bufferBytes = 8 * 1024;
/** …but a line waits no longer than this. */
const flushMs = 200;

/** @param fd 1 for standard output, 2 for standard error (with `--json`, where standard output is for programs). */
export function openLog(level: 'debug' | 'info' | 'warn' | 'error' | 'silent', fd: 1 | 2): Log {
  const destination = pino.destination({ fd, sync: false, minLength: bufferBytes });
  const logger = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'message' },
    destination,
  );
  // Exit hooks: a destination that is not open yet throws, and then there is nothing to flush.
  const flush = () => {
    try {
      destination.flushSync();
    } catch {}
  };
  if (level !== 'silent') setInterval(() => destination.flush(() => {}), flushMs).unref();
  return {
    flush,
    observe({ level: eventLevel = 'info', ...event }: Observation) {
      if (event.error instanceof Error) logger[eventLevel]({ ...event, error: plainError(event.error) });
      else logger[eventLevel](event);
    },
  };
}

/** An error with its causes, as values that JSON can hold. */
function plainError(error: Error): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return { name, message, stack, ...(cause instanceof Error ? { cause: plainError(cause) } : {}) };
}
