// In charge of: data for the backends of tests. An initdb and Supabase's shape cost a start 1.5 s of processor time; a copy of what the first
// one made costs a tenth.
import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Binaries, findEmbedded, prepareBinaries } from '../../src/engine/db/postgres/binaries.ts';
import { isRoot, unprivilegedUser } from '../../src/engine/db/postgres/os-user.ts';
import { stateFormat, writeStateFile } from '../../src/engine/db/postgres/state-folder.ts';
import { dataFromTemplate } from '../../src/engine/db/template/template.ts';

/** Where the run's template is; the global setup makes it. A bench has none, and makes its data as people do. */
export const templateVariable = 'MILLRACE_TEST_TEMPLATES';

let binaries: Promise<Binaries> | undefined;

/**
 * Puts data into the state folder of a project that is started as most tests do: by this user, on the embedded server, for the first time.
 * Every other start makes its own.
 */
export async function giveData(project: string, state: string = join(project, '.millrace')): Promise<void> {
  const cacheFolder = process.env[templateVariable];
  if (cacheFolder === undefined || existsSync(state)) return;
  const config = await readFile(join(project, 'supabase', 'config.toml'), 'utf8').catch(() => '');
  if (config.includes('major_version')) return;
  const runAs = isRoot() ? await unprivilegedUser() : undefined;
  binaries ??= prepareBinaries(findEmbedded(undefined), { runAs, copiesFolder: join(cacheFolder, 'copies') });
  await mkdir(state, { mode: 0o700 });
  if (runAs !== undefined) await chmod(state, 0o711);
  const make = dataFromTemplate({ cacheFolder, password: 'postgres', observe: () => {} });
  const dataFolder = join(state, 'db');
  await make({ path: state, dataFolder, runAs, copiesFolder: dirname(state), notices: [] }, await binaries);
  await appendFile(join(dataFolder, 'postgresql.auto.conf'), careless);
  // By this a start knows a folder that --data names as one of ours; it writes the rest.
  await writeStateFile(state, { format: stateFormat });
}

/**
 * Read behind millrace.conf. What a killed Postgres leaves behind is the same: only a crash of the machine would tell, and nobody looks at the
 * data after one. A server of a test has few sessions and little data: the less memory it lays out, the sooner it is there.
 */
const careless = `fsync = off
full_page_writes = off
shared_buffers = '16MB'
`;
