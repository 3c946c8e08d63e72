// In charge of: a throw-away server beside the project's: migrations run there once more, so that the database that they make can be looked at.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import { withClient } from '../../engine/db/client.ts';
import { ident } from '../../engine/db/ident.ts';
import type { MigrationLogins } from '../../engine/db/migrations/session.ts';
import type { ProjectFiles } from '../../engine/project/files.ts';
import { prepare } from '../prepare.ts';
import { applyFiles, type OpenOptions, openShapedServer } from '../project-database.ts';
import type { Invocation } from './command.ts';

export interface Shadow extends AsyncDisposable {
  readonly files: ProjectFiles;
  /** Logins to a database of it. `migrated` has the project's migrations; a database of another name is a fresh one. */
  logins(database: string): MigrationLogins;
  /** Makes a database in Supabase's shape, without anything of the project. */
  create(database: string): Promise<void>;
  /** Applies the project's migrations; seeds are left out. */
  migrate(): Promise<void>;
}

/** The database that migrations are applied to. */
export const migrated = 'postgres';

/**
 * Starts it. A server of its own, because roles belong to a whole server: an old migration that sets a password must not set it again
 * where people work. It is the embedded PostgreSQL, or the one of --pg-bin, whatever the project runs on.
 */
export async function openShadow(invocation: Invocation, opening: OpenOptions): Promise<Shadow> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-shadow-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    // Root's Postgres runs as another user, who has to get through.
    await chmod(folder, 0o755);
    const { options, environment } = invocation;
    const prepared = await prepare({
      ...invocation,
      options: {
        ...options,
        data: join(folder, 'data'),
        production: false,
        settings: new Map([...options.settings, ['db.port', '0']]),
      },
      // Empty, so that no .env file gives one either.
      environment: { ...environment, DATABASE_URL: '', DIRECT_URL: '' },
    });
    const shaped = await openShapedServer(prepared, opening);
    const { server, files } = shaped;
    const logins = (database: string): MigrationLogins => ({
      postgres: server.login('postgres', database),
      admin: server.login('supabase_admin', database),
    });
    return {
      files,
      logins,
      create: (database) => copyShape(server.login('supabase_admin', 'template1'), database),
      async migrate() {
        const project = { ...shaped, files: { ...files, seeds: [], vault: [] } };
        await applyFiles(project, opening, { drift: 'refuse' });
      },
      async [Symbol.asyncDispose]() {
        await server.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A copy fails while somebody is connected to what is copied; nobody is, in a server of our own. */
async function copyShape(admin: ClientConfig, database: string): Promise<void> {
  await withClient(admin, (client) =>
    client.query(`create database ${ident(database)} template ${ident(migrated)} owner postgres`),
  );
}
