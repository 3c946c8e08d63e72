// In charge of: what a command that works with a database needs: a log, a line for what takes long, an end by a signal.
import { OperatorError } from '../../base/errors.ts';
import { openLog } from '../log.ts';
import type { OpenOptions } from '../project-database.ts';
import { abortOnSignal } from './wait-for-signal.ts';

/** A signal gives the work its chance to undo what it holds. Progress goes to standard error, so that output can be piped. */
export async function withOpening<T>(work: (opening: OpenOptions) => Promise<T>): Promise<T> {
  const ending = new AbortController();
  using _listening = abortOnSignal(ending);
  const log = openLog('error', 2);
  try {
    return await work({
      observe: log.observe,
      progress: (line) => console.error(line),
      signal: ending.signal,
    });
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    throw new OperatorError(
      'Stopped before it was done.',
      'What had been applied as a whole is kept; the next run goes on from there.',
      error,
    );
  } finally {
    log.close();
  }
}
