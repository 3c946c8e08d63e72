// In charge of: the database of a command that is done when it has done its work: opened, or the running one's; closed again.
import type { Prepared } from '../prepare.ts';
import { type OpenOptions, openShapedForCommand, type ShapedServer } from '../project-database.ts';
import { withOpening } from './opening.ts';

type ForCommand = ShapedServer<Awaited<ReturnType<typeof openShapedForCommand>>['server']>;

/** The server that was opened for the work is stopped, also when a signal ends it. */
export async function withDatabase<T>(
  prepared: Prepared,
  work: (shaped: ForCommand, opening: OpenOptions) => Promise<T>,
): Promise<T> {
  return withOpening(async (opening) => {
    const shaped = await openShapedForCommand(prepared, opening);
    try {
      for (const notice of shaped.notices) opening.progress(`- ${notice}`);
      return await work(shaped, opening);
    } finally {
      await shaped.server.stop();
    }
  });
}
