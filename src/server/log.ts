// In charge of: what of the stream of events is printed. One JSON line each.
import pino from 'pino';
import type { Observation, Observe } from '../base/observe.ts';

export interface Log {
  readonly observe: Observe;
  /** Writes out what is buffered. */
  flush(): void;
  /** The same, and listens to the end of the process no longer. */
  close(): void;
}

/** Lines are gathered up to this many characters before a write, so that a busy server does not pay a system call for each. */
const bufferCharacters = 64 * 1024;
/** …but a line waits no longer than this. */
const flushMs = 200;

/**
 * @param target 1 for standard output, 2 for standard error (with `--json`, where standard output is for programs), or whoever takes the
 * lines.
 */
export function openLog(
  level: 'debug' | 'info' | 'warn' | 'error' | 'silent',
  target: 1 | 2 | ((text: string) => void),
): Log {
  const destination =
    typeof target === 'number'
      ? pino.destination({ fd: target, sync: false })
      : { write: target, flushSync() {} };
  let gathered: string[] = [];
  let characters = 0;
  const drain = () => {
    if (gathered.length === 0) return;
    destination.write(gathered.join(''));
    gathered = [];
    characters = 0;
  };
  const write = (line: string) => {
    gathered.push(line);
    characters += line.length;
    if (characters >= bufferCharacters) drain();
  };
  const timestamp = openTimestamp();
  const logger = pino({ level, base: null, timestamp, messageKey: 'message' }, { write });
  const printsRequests = logger.isLevelEnabled('info');
  // Exit hooks: a destination that is not open yet throws, and then there is nothing to flush.
  const flush = () => {
    try {
      drain();
      destination.flushSync();
    } catch {}
  };
  const timer = level === 'silent' ? undefined : setInterval(drain, flushMs).unref();
  // The last lines before a bug ends the program are those that say why.
  process.once('exit', flush);
  return {
    flush,
    close() {
      flush();
      clearInterval(timer);
      process.off('exit', flush);
    },
    observe(observation: Observation) {
      if (observation.kind === 'http.request' && observation.level === undefined) {
        // There is one for each request, and its values are plain: pino's way to the same line cost a sixth of our part of a request.
        if (printsRequests) write(`{"level":30${timestamp()},${JSON.stringify(observation).slice(1)}\n`);
        return;
      }
      const { level: eventLevel = 'info', ...event } = observation;
      if (event.error instanceof Error) logger[eventLevel]({ ...event, error: plainError(event.error) });
      else logger[eventLevel](event);
    },
  };
}

/** The time as pino writes it into a line. The second is rendered once, not for each line: that was a third of a line's cost. */
function openTimestamp(): () => string {
  let second = -1;
  let prefix = '';
  return () => {
    const nowMs = Date.now();
    const current = Math.floor(nowMs / 1000);
    if (current !== second) {
      second = current;
      prefix = `,"time":"${new Date(nowMs).toISOString().slice(0, -'000Z'.length)}`;
    }
    return `${prefix}${String(nowMs % 1000).padStart(3, '0')}Z"`;
  };
}

/** An error with its causes, as values that JSON can hold. */
function plainError(error: Error): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return { name, message, stack, ...(cause instanceof Error ? { cause: plainError(cause) } : {}) };
}
