// In charge of: `millrace migrate`: applies what is pending; its words list, make, repair and fetch migrations.
import { OperatorError } from '../../../base/errors.ts';
import type { ApplyReport } from '../../../engine/db/migrations/apply.ts';
import { applyFiles } from '../../project-database.ts';
import type { Invocation } from '../command.ts';
import { prepare } from '../prepare.ts';
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

export async function migrate(invocation: Invocation): Promise<number> {
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
