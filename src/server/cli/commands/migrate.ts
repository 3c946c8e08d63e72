// In charge of: `millrace migrate`.
import type { ApplyReport } from '../../../engine/db/migrations/apply.ts';
import { prepare } from '../../prepare.ts';
import { applyFiles } from '../../project-database.ts';
import type { Invocation } from '../main.ts';
import { withDatabase } from '../with-database.ts';

export async function migrate(invocation: Invocation): Promise<number> {
  const prepared = await prepare(invocation);
  const report = await withDatabase(prepared, (shaped, opening) =>
    applyFiles(shaped, opening, { drift: 'refuse' }),
  );
  console.log(invocation.options.json ? JSON.stringify(report) : renderApplied(report));
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
