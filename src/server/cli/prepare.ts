// In charge of: the project that a command line means, read and ready to be opened.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperatorError } from '../../base/errors.ts';
import { engineOf, type Prepared, prepareProject } from '../prepare.ts';
import type { Invocation } from './command.ts';
import type { Options } from './options.ts';
import { findProjectFolder } from './project-folder.ts';

/** Reads the project that the command line means. @throws OperatorError for whatever is wrong in it. */
export async function prepare({ options, environment, currentFolder }: Invocation): Promise<Prepared> {
  const folder = await findProjectFolder(options, currentFolder);
  const memory = options.has('memory');
  const remote = options.text('remote');
  return prepareProject({
    folder,
    environment: remote === undefined ? environment : { ...environment, MILLRACE_REMOTE: remote },
    commandLine: options.settings,
    production: options.production,
    data: memory ? memoryFolder(folder, options) : options.data,
    pgBin: options.pgBin,
    engine: engineOf(options.text('engine')),
    memory,
  });
}

/** Where a database is that is thrown away: in memory where the system keeps files there, and the same for every command of a project. */
function memoryFolder(folder: string, { data, production }: Options): string {
  if (data !== undefined || production) {
    throw new OperatorError(
      `--memory throws everything away at the end, and ${production ? '--production' : '--data'} keeps it.`,
      'Leave one of the two away.',
    );
  }
  const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 10);
  return join(place, `millrace-memory-${process.getuid?.() ?? 0}-${name}`);
}
