// In charge of: a throw-away server beside the project's: migrations run there once more, so that the database that they make can be looked at.
import type { ClientConfig } from 'pg';
import { withClient } from '../../engine/db/client.ts';
import { ident } from '../../engine/db/ident.ts';
import type { MigrationLogins } from '../../engine/db/migrations/session.ts';
import { templatesFolder } from '../../engine/db/template/cache-folder.ts';
import { dataFromTemplate } from '../../engine/db/template/template.ts';
import { developmentDatabasePassword } from '../../engine/identity/development-secrets.ts';
import type { ProjectFiles } from '../../engine/project/files.ts';
import { prepareProject } from '../prepare.ts';
import { applyFiles, type OpenOptions, openShapedServer } from '../project-database.ts';
import { openThrowAwayFolder } from '../throw-away.ts';
import type { Invocation } from './command.ts';
import { findProjectFolder } from './project-folder.ts';

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
  const place = await openThrowAwayFolder();
  try {
    const { options, environment, currentFolder } = invocation;
    const prepared = await prepareProject({
      folder: await findProjectFolder(options, currentFolder),
      environment,
      commandLine: new Map([...options.settings, ['db.port', '0']]),
      production: false,
      data: place.stateFolder,
      pgBin: options.pgBin,
      chosen: { migrations: true, seed: false },
      // Whatever the project runs on.
      database: { url: undefined },
      makeData: dataFromTemplate({
        cacheFolder: templatesFolder(),
        password: developmentDatabasePassword,
        observe: opening.observe,
        signal: opening.signal,
      }),
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
        await place.remove();
      },
    };
  } catch (error) {
    await place.remove();
    throw error;
  }
}

/** A copy fails while somebody is connected to what is copied; nobody is, in a server of our own. */
async function copyShape(admin: ClientConfig, database: string): Promise<void> {
  await withClient(admin, (client) =>
    client.query(`create database ${ident(database)} template ${ident(migrated)} owner postgres`),
  );
}
