// In charge of: `millrace stop`.
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { delay } from '../../../base/time.ts';
import { findHolder } from '../../../engine/db/postgres/lock.ts';
import { findStateFolder } from '../../../engine/db/postgres/state-folder.ts';
import { findRunning, lives, type ProcessName } from '../../run-file.ts';
import type { Invocation } from '../command.ts';
import { findProjectFolder } from '../project-folder.ts';

/** A stop drains requests and shuts Postgres down; longer than this and something is wrong. */
const stopTimeoutMs = 60_000;
const pollMs = 50;

export async function stop({ options, currentFolder }: Invocation): Promise<number> {
  const project = await findProjectFolder(options, currentFolder);
  const stateFolder = await findStateFolder({ project, data: options.data });
  // One that is still starting, or a command at work on the data, has no run file yet but holds the lock.
  const running: ProcessName | undefined =
    (await findRunning(stateFolder)) ?? (await findHolder(stateFolder));
  if (!running) {
    console.log(`No backend is running for "${project}".`);
    return 0;
  }
  try {
    process.kill(running.pid, 'SIGTERM');
  } catch (error) {
    if (errorCode(error) !== 'EPERM') throw error;
    throw new OperatorError(
      `The backend of "${project}" (process ${running.pid}) belongs to another user.`,
      'Stop it as that user, or as root.',
      error,
    );
  }
  const until = performance.now() + stopTimeoutMs;
  while (lives(running)) {
    if (performance.now() > until) {
      throw new OperatorError(
        `The backend (process ${running.pid}) is still running after ${stopTimeoutMs / 1000} seconds.`,
        'Its log says what it waits for. `kill -9` loses nothing that was acknowledged.',
      );
    }
    await delay(pollMs);
  }
  console.log(`Stopped (process ${running.pid}).`);
  return 0;
}
