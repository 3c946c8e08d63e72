// In charge of: `millrace migrate`: applies what is pending; its words list, make, repair and fetch migrations.
import { OperatorError } from '../../../base/errors.ts';
import type { ApplyReport } from '../../../engine/db/migrations/apply.ts';
import { prepare } from '../../prepare.ts';
import { applyFiles } from '../../project-database.ts';
import type { Command, Invocation } from '../command.ts';
import { withDatabase } from '../with-database.ts';
import { fetchMigrations } from './migrate-fetch.ts';
import { listMigrations } from './migrate-list.ts';
import { newMigration } from './migrate-new.ts';
import { repairMigrations } from './migrate-repair.ts';

const actions: Readonly<
  Record<string, (invocation: Invocation, words: readonly string[]) => Promise<number>>
> = {
  list: listMigrations,
  new: newMigration,
  repair: repairMigrations,
  fetch: fetchMigrations,
};

/** As many versions as a history may have. */
const mostWords = 10_000;

export const migrateCommand: Command = {
  sentence: 'Apply the migrations that the database does not have yet; list, make, repair, fetch migrations.',
  usage: '[list | new NAME | repair [VERSION …] --status applied|reverted | fetch]',
  examples: [
    'millrace migrate',
    'millrace migrate --include-all --include-seed',
    'DATABASE_URL=postgres://… millrace migrate',
    'millrace migrate list',
    'millrace migrate new add_films',
    'pbpaste | millrace migrate new add_films',
    'millrace migrate repair --status applied 20260701120000',
    'millrace migrate repair --status reverted 20260701120000',
    'millrace migrate fetch                (writes the files that only the history has)',
  ],
  words: mostWords,
  actions: Object.keys(actions),
  flags: ['include-all', 'include-roles', 'include-seed', 'status', 'db-url'],
  run: migrate,
};

async function migrate(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const [action, ...words] = options.rest;
  if (action !== undefined) {
    const run = Object.hasOwn(actions, action) ? actions[action] : undefined;
    if (run !== undefined) return run(invocation, words);
    throw new OperatorError(
      `"migrate" takes no "${options.rest.join(' ')}".`,
      'Another project than the one here is given with --project DIR.',
    );
  }
  const prepared = await prepare(invocation);
  const report = await withDatabase(prepared, (shaped, opening) =>
    applyFiles(shaped, opening, {
      drift: 'refuse',
      includeAll: options.has('include-all'),
      includeRoles: options.has('include-roles'),
      includeSeed: options.has('include-seed'),
    }),
  );
  console.log(options.json ? JSON.stringify(report) : renderApplied(report));
  return 0;
}

/** What was done, a line each. */
export function renderApplied({ migrations, seeds, warnings }: ApplyReport): string {
  const nothing = migrations.length === 0 && seeds.length === 0;
  return [
    ...migrations.map(({ path, elapsedMs }) => `applied ${path} (${elapsedMs} ms)`),
    ...seeds.map(({ path, act }) => `${act} ${path}`),
    ...(nothing ? ['Nothing is pending: the database has every migration.'] : []),
    ...warnings.map((sentence) => `warning: ${sentence}`),
  ].join('\n');
}
