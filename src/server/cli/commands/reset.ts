// In charge of: `millrace reset`.
import { OperatorError } from '../../../base/errors.ts';
import { findStateFolder } from '../../../engine/db/postgres/state-folder.ts';
import type { Prepared } from '../../prepare.ts';
import { resetDatabase } from '../../project-database.ts';
import { findRunning } from '../../run-file.ts';
import { seedBuckets } from '../../seed-buckets.ts';
import { askYesNo, canAsk } from '../ask.ts';
import type { Invocation } from '../command.ts';
import { prepare } from '../prepare.ts';
import { withDatabase } from '../with-database.ts';
import { renderApplied } from './migrate.ts';

export async function reset(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const prepared = await prepare(invocation);
  const stateFolder = await findStateFolder({ project: prepared.project.project, data: options.data });
  if (prepared.production || (await findRunning(stateFolder))?.production) {
    throw new OperatorError(
      `reset does not empty a database in production, and "${prepared.project.id}" runs with --production.`,
      'Stop that backend first if you mean it, and leave the flag away.',
    );
  }
  if (!options.yes && !(await isSure(prepared))) {
    console.error('Nothing was changed.');
    return 1;
  }
  const report = await withDatabase(prepared, (shaped, opening) =>
    resetDatabase(shaped, prepared, opening, options.seed),
  );
  const complaints = await seedRunning(prepared, stateFolder);
  for (const sentence of complaints) console.error(`- ${sentence}`);
  console.log(options.json ? JSON.stringify(report) : renderApplied(report));
  return 0;
}

/** The buckets of config.toml, by the backend that runs; where none does, the next start makes them. */
async function seedRunning(
  { project, serverSettings }: Prepared,
  stateFolder: string,
): Promise<readonly string[]> {
  const running = await findRunning(stateFolder);
  if (running === undefined || !serverSettings.now().storageEnabled) return [];
  const { API_URL: base, SECRET_KEY: key } = running.report;
  return seedBuckets({
    project,
    send: fetch,
    base: String(base),
    key: String(key),
    files: 'all',
    progress: (line) => console.error(line),
    signal: new AbortController().signal,
  });
}

/** @throws OperatorError where nobody can answer. */
async function isSure({ project }: Prepared): Promise<boolean> {
  if (!canAsk()) {
    throw new OperatorError(
      'reset empties the database, and there is nobody to ask.',
      'Say --yes if you mean it.',
    );
  }
  const where = project.environment.DATABASE_URL
    ? 'the database of DATABASE_URL'
    : `the database of "${project.id}"`;
  return askYesNo(`Throw away everything in ${where}, then migrate and seed it?`);
}
