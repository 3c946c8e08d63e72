// In charge of: a PostgreSQL in Supabase's shape without the rest of the program: a server of its own, thrown away at the end.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import { withClient } from '../../src/engine/db/client.ts';
import { loadProgress } from '../../src/engine/db/migrations/progress.ts';
import { runScript } from '../../src/engine/db/migrations/run-script.ts';
import { MigrationSession } from '../../src/engine/db/migrations/session.ts';
import { ensureState } from '../../src/engine/db/migrations/state.ts';
import { templatesFolder } from '../../src/engine/db/template/cache-folder.ts';
import { dataFromTemplate } from '../../src/engine/db/template/template.ts';
import { type Prepared, prepareProject } from '../../src/server/prepare.ts';
import { openShapedServer, type ShapedServer } from '../../src/server/project-database.ts';

export interface Shaped extends AsyncDisposable {
  readonly prepared: Prepared;
  readonly shaped: ShapedServer;
  readonly url: string;
  login(role: 'postgres' | 'supabase_admin'): ClientConfig;
  /** Runs a script as a project's migration runs: as `postgres`, but for what hosted projects may beyond it. */
  load(text: string, as?: 'postgres' | 'supabase_admin'): Promise<void>;
  run<Row>(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]>;
}

export interface ShapedOptions {
  readonly major?: number;
  readonly pgBin?: string;
  readonly settings?: ReadonlyMap<string, string>;
}

export async function openShaped({ major, pgBin, settings }: ShapedOptions = {}): Promise<Shaped> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-shaped-'));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(folder, 0o755);
  const prepared = await prepareProject({
    folder,
    environment: {},
    commandLine: new Map([
      ['db.port', '0'],
      ...(major === undefined ? [] : [['db.major_version', String(major)] as const]),
      ...(settings ?? []),
    ]),
    production: false,
    data: join(folder, 'state'),
    pgBin,
    makeData: dataFromTemplate({
      cacheFolder: templatesFolder(),
      password: 'postgres',
      observe: () => {},
    }),
  });
  const shaped = await openShapedServer(prepared, {
    observe: () => {},
    progress: () => {},
    signal: new AbortController().signal,
  });
  const { server } = shaped;
  return {
    prepared,
    shaped,
    url: server.url,
    login: (role) => server.login(role),
    async load(text, as = 'postgres') {
      const logins = { postgres: server.login(as), admin: server.login('supabase_admin') };
      await using session = await MigrationSession.open(logins, () => {}, undefined);
      await ensureState(session);
      await runScript(session, await loadProgress(session.client), {
        file: 'script',
        text,
        record: '',
      });
    },
    run: (sql, parameters) =>
      withClient(server.login('postgres'), async (client) => {
        const { rows } = await client.query(sql, parameters === undefined ? undefined : [...parameters]);
        return rows;
      }),
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
