// In charge of: `millrace migrate`.
import type { ApplyReport } from '../../../engine/db/migrations/apply.ts';
import { openLog } from '../../log.ts';
import { prepare } from '../../prepare.ts';
import { applyFiles, openShapedServer } from '../../project-database.ts';
import type { Invocation } from '../main.ts';

export async function migrate(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const prepared = await prepare(invocation);
  const log = openLog('warn', 2);
  const progress = (line: string) => console.error(line);
  const ending = new AbortController();
  process.once('SIGINT', () => ending.abort(new Error('stopped by SIGINT')));
  const opening = { observe: log.observe, progress, signal: ending.signal };
  const shaped = await openShapedServer(prepared, opening);
  try {
    const report = await applyFiles(shaped, opening, { drift: 'refuse' });
    console.log(options.json ? JSON.stringify(report) : renderMigrated(report));
    return 0;
  } finally {
    await shaped.server.stop();
    log.flush();
  }
}

export function renderMigrated({ migrations, seeds, warnings }: ApplyReport): string {
  const done =
    migrations.length === 0 && seeds.length === 0
      ? ['Nothing is pending: the database has every migration.']
      : [];
  return [
    ...migrations.map(({ path, elapsedMs }) => `applied ${path} (${elapsedMs} ms)`),
    ...seeds.map(({ path, act }) => `${act} ${path}`),
    ...done,
    ...warnings.map((sentence) => `warning: ${sentence}`),
  ].join('\n');
}
