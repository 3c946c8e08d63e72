// In charge of: a PostgreSQL of another version for one test file, with a database in shape for each story.
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withClient } from '../../src/engine/db/client.ts';
import { ident } from '../../src/engine/db/ident.ts';
import { openPglite } from '../../src/engine/db/pglite/pglite.ts';
import { openPostgres, type PostgresOptions } from '../../src/engine/db/postgres/supervisor.ts';
import { bootstrapDatabase } from '../../src/engine/db/shape/shape.ts';
import type { Shaped } from './tell.ts';

export interface StoryServer extends AsyncDisposable {
  /** A fresh copy of the shaped database; dropped by `await using`. */
  readonly open: () => Promise<Shaped>;
}

export async function openStoryServer(
  options: Pick<PostgresOptions, 'majorVersion' | 'pgBin'>,
): Promise<StoryServer> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-stories-'));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(folder, 0o711);
  const server = await openPostgres({
    ...options,
    project: folder,
    data: join(folder, 'state'),
    systemFolder: join(folder, 'system'),
    port: 0,
    password: 'postgres',
    parameters: { synchronous_commit: false },
    observe: () => {},
  });
  await withClient(server.login('supabase_admin'), (client) =>
    bootstrapDatabase(client, {
      external: false,
      passwordOf: () => undefined,
      autoExposeNewTables: true,
      observe: () => {},
    }),
  );
  const onTemplate = (sql: string) =>
    withClient(server.login('supabase_admin', 'template1'), (client) => client.query(sql));
  return {
    async open() {
      const name = `story_${randomUUID().slice(0, 8)}`;
      await onTemplate(`create database ${ident(name)} template postgres owner postgres`);
      return {
        login: (role) => server.login(role, name),
        [Symbol.asyncDispose]: async () => {
          await onTemplate(`drop database ${ident(name)} with (force)`);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** PGlite has one database, so all stories are told on one. */
export async function openPgliteForStories(): Promise<Shaped> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-stories-'));
  await chmod(folder, 0o711);
  const server = await openPglite({
    project: folder,
    data: join(folder, 'state'),
    systemFolder: join(folder, 'system'),
    port: 0,
    password: 'postgres',
    memory: true,
    observe: () => {},
  });
  await withClient(server.login('supabase_admin'), (client) =>
    bootstrapDatabase(client, {
      external: false,
      passwordOf: () => undefined,
      autoExposeNewTables: true,
      observe: () => {},
    }),
  );
  return {
    login: (role) => server.login(role),
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
