// In charge of: `npm run real-project -- CHECKOUT`: somebody's project on Millrace, from migrations to each request that its code makes.
// `--json`: the report as JSON. `--report FILE`: its section in a Markdown file. `--expect FILE`: refusals that have a reason.
// `--engine NAME`, `--commit ID`, `--service` (each chain as service_role, too), `--only PART`, `--user-data JSON` (of the user who signs up) or
// `--user EMAIL:PASSWORD` (one of the seeds'), `--before-tests FILE` (SQL that the project runs ahead of its pgTAP files).
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { commitOf, findProjects, nameOf } from './checkout.ts';
import { loadExpected } from './expect.ts';
import { runProject } from './project.ts';
import { renderText, writeSection } from './report.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    report: { type: 'string' },
    expect: { type: 'string' },
    engine: { type: 'string' },
    commit: { type: 'string' },
    'user-data': { type: 'string' },
    user: { type: 'string' },
    'before-tests': { type: 'string' },
    service: { type: 'boolean' },
    only: { type: 'string' },
  },
});
const root = resolve(positionals[0] ?? '.');
const folders = await findProjects(root);
if (folders.length === 0) {
  console.error(`real-project: no supabase/ folder in "${root}" or below it.`);
  process.exit(2);
}
let failed = false;
for (const folder of folders) {
  const report = await runProject({
    root,
    folder,
    name: folders.length === 1 ? nameOf(root) : `${nameOf(root)}/${folder}`,
    commit: values.commit ?? (await commitOf(root)),
    engine: values.engine,
    service: values.service ?? false,
    signIn:
      values.user === undefined
        ? { kind: 'new', data: JSON.parse(values['user-data'] ?? '{}') as Record<string, unknown> }
        : {
            kind: 'seeded',
            email: values.user.split(':', 1)[0]!,
            password: values.user.replace(/^[^:]*:/, ''),
          },
    beforeTests: values['before-tests'],
    expected: await loadExpected(values.expect),
    only: values.only,
    say: (line) => console.error(line),
  });
  console.log(values.json ? JSON.stringify(report) : renderText(report));
  if (values.report !== undefined) await writeSection(values.report, report);
  failed ||= report.problems.length > 0;
}
process.exit(failed ? 1 : 0);
