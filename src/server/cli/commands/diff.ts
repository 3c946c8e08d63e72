// In charge of: `millrace diff`: what the database has that the migrations do not, as SQL.
import type { Invocation } from '../command.ts';
import { findDifference } from '../difference.ts';
import { planMigrations, writeMigrations } from '../new-migration.ts';
import { paint } from '../paint.ts';
import { withTarget } from '../target.ts';

export async function diff(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  return withTarget(invocation, async (target) => {
    const { opening } = target;
    const useDeclared = target.isOwn && !options.has('live');
    const { texts, destructive, notices } = await findDifference(invocation, target, opening, useDeclared);
    for (const notice of notices) opening.progress(`- ${notice}`);
    const name = options.text('file');
    const project = target.prepared.project.project;
    const migrations = name === undefined ? [] : await planMigrations(project, name, texts, new Date());
    await writeMigrations(project, migrations);
    const files = migrations.map(({ path }) => path);
    if (options.json) console.log(JSON.stringify({ statements: texts, files, destructive }));
    else if (texts.length === 0) opening.progress('No difference: the migrations make this schema.');
    else if (files.length > 0) console.log(files.map((file) => `wrote ${file}`).join('\n'));
    else process.stdout.write(texts.join('\n'));
    if (destructive.length > 0) {
      opening.progress(
        [
          paint('yellow', 'These lose data. See whether you mean them:', process.stderr),
          ...destructive.map((statement) => `  ${statement}`),
        ].join('\n'),
      );
    }
    return 0;
  });
}
