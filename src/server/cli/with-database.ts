// In charge of: the database of a command that is done when it has done its work: opened, or the running one's; closed again.
import { openLog } from '../log.ts';
import type { Prepared } from '../prepare.ts';
import { type OpenOptions, openShapedForCommand, type ShapedServer } from '../project-database.ts';

type ForCommand = ShapedServer<Awaited<ReturnType<typeof openShapedForCommand>>['server']>;

/** Ctrl-C gives the work its chance to undo what it holds. Progress goes to standard error, so that output can be piped. */
export async function withDatabase<T>(
  prepared: Prepared,
  work: (shaped: ForCommand, opening: OpenOptions) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const onSignal = () => ending.abort(new Error('stopped by Ctrl-C'));
  process.once('SIGINT', onSignal);
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
  } finally {
    process.off('SIGINT', onSignal);
    log.flush();
  }
}
