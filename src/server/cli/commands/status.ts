// In charge of: `millrace status`.
import { OperatorError } from '../../../base/errors.ts';
import { findStateFolder } from '../../../engine/db/postgres/state-folder.ts';
import { findRunning } from '../../run-file.ts';
import type { Invocation } from '../command.ts';
import { findProjectFolder } from '../project-folder.ts';
import { renderReport } from '../report.ts';

export async function status({ options, currentFolder }: Invocation): Promise<number> {
  const project = await findProjectFolder(options, currentFolder);
  const running = await findRunning(await findStateFolder({ project, data: options.data }));
  if (!running)
    throw new OperatorError(`No backend is running for "${project}".`, 'Start it with `millrace start`.');
  console.log(options.json ? JSON.stringify(running.report) : renderReport(running.report));
  return 0;
}
