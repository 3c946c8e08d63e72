// In charge of: the database of a command that is done when it has done its work: opened, or the running one's; closed again.
import { OperatorError } from '../../base/errors.ts';
import { openLog } from '../log.ts';
import type { Prepared } from '../prepare.ts';
import { type OpenOptions, openShapedForCommand, type ShapedServer } from '../project-database.ts';
import { waitForSignal } from './wait-for-signal.ts';

type ForCommand = ShapedServer<Awaited<ReturnType<typeof openShapedForCommand>>['server']>;

/** A signal gives the work its chance to undo what it holds, and the server that was opened for it is stopped. Progress goes to standard error, so that output can be piped. */
export async function withDatabase<T>(
  prepared: Prepared,
  work: (shaped: ForCommand, opening: OpenOptions) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  void waitForSignal(ending);
  const log = openLog('error', 2);
  const opening: OpenOptions = {
    observe: log.observe,
    progress: (line) => console.error(line),
    signal: ending.signal,
  };
  try {
    const shaped = await openShapedForCommand(prepared, opening);
    try {
      for (const notice of shaped.notices) opening.progress(`- ${notice}`);
      return await work(shaped, opening);
    } finally {
      await shaped.server.stop();
    }
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    throw new OperatorError(
      'Stopped before it was done.',
      'What had been applied as a whole is kept; the next run goes on from there.',
      error,
    );
  } finally {
    log.flush();
  }
}
