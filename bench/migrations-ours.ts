// In charge of: one run of our migration runner in a process of its own, for bench/migrations.ts. Prints its milliseconds.
import { applyProject } from '../src/engine/db/migrations/apply.ts';
import type { MigrationLogins } from '../src/engine/db/migrations/session.ts';
import { loadConfig } from '../src/engine/project/config.ts';
import { loadProjectFiles } from '../src/engine/project/files.ts';

const [logins = '', project = ''] = process.argv.slice(2);
const started = performance.now();
const files = await loadProjectFiles(await loadConfig(project, { PATH: '' }));
await applyProject({
  // Sound: bench/migrations.ts writes it.
  logins: JSON.parse(logins) as MigrationLogins,
  project: { ...files, roles: undefined, seeds: [], vault: [] },
  observe: () => {},
});
process.stdout.write(String(performance.now() - started));
