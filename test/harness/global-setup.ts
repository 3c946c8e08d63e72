// In charge of: what a test run shares: the place of its temporary files, and one Postgres, in which each test file gets a database of its own,
// made from a shaped template.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { withClient } from '../../src/engine/db/client.ts';
import { loginRoles } from '../../src/engine/db/postgres/server.ts';
import { openPostgres } from '../../src/engine/db/postgres/supervisor.ts';
import { bootstrapDatabase } from '../../src/engine/db/shape/shape.ts';
import { dataFromTemplate } from '../../src/engine/db/template/template.ts';
import { templateVariable } from './made-data.ts';
import { openTestFolder } from './test-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `pg`'s login of each role, for database `postgres`, as JSON. */
    logins: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await openTestFolder();
  const templates = join(folder, 'templates');
  process.env[templateVariable] = templates;
  const server = await openPostgres({
    project: folder,
    data: join(folder, 'state'),
    systemFolder: join(folder, 'system'),
    port: 0,
    password: 'postgres',
    ...whichPostgres(process.env.MILLRACE_TEST_POSTGRES),
    makeData: dataFromTemplate({ cacheFolder: templates, password: 'postgres', observe: () => {} }),
    // A crash of the machine loses nothing that a test needs.
    throwAway: true,
    parameters: { max_connections: 200 },
    observe: () => {},
  });
  try {
    await withClient(server.login('supabase_admin'), (client) =>
      bootstrapDatabase(client, {
        external: false,
        passwordOf: (role) => (role === 'postgres' ? 'postgres' : undefined),
        autoExposeNewTables: true,
        observe: () => {},
      }),
    );
  } catch (error) {
    await server.stop();
    throw error;
  }
  project.provide(
    'logins',
    JSON.stringify(Object.fromEntries(loginRoles.map((role) => [role, server.login(role)]))),
  );
  return async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

/** `MILLRACE_TEST_POSTGRES=17` is an embedded one, a path the folder of an installed one's programs; else it is the newest embedded one. */
function whichPostgres(wanted: string | undefined) {
  if (wanted === undefined) return {};
  return /^\d+$/.test(wanted)
    ? { majorVersion: Number(wanted) }
    : { engine: 'system' as const, pgBin: wanted };
}
