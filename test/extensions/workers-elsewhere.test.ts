// In charge of: the stories of the workers on other servers: the embedded 17, an installed one before 18, somebody else's, and PGlite.
import { readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../../src/engine/db/client.ts';
import { openPglite } from '../../src/engine/db/pglite/pglite.ts';
import type { PgliteServer } from '../../src/engine/db/pglite/pglite-server.ts';
import { bootstrapDatabase } from '../../src/engine/db/shape/shape.ts';
import { cronStories } from './cron-stories.ts';
import { httpStories } from './http-stories.ts';
import { netStories } from './net-stories.ts';
import { openStoryServer, type StoryServer } from './servers.ts';
import { openStage, type Place } from './stage.ts';

/** An installed PostgreSQL that takes no files of ours; undefined on a machine without one. */
function installedBefore18(): { readonly pgBin: string; readonly major: number } | undefined {
  try {
    const major = readdirSync('/usr/lib/postgresql').find((name) => Number(name) >= 15 && Number(name) < 18);
    return major === undefined
      ? undefined
      : { pgBin: `/usr/lib/postgresql/${major}/bin`, major: Number(major) };
  } catch {
    return undefined;
  }
}

const installed = installedBefore18();
/** Every day the three engines that differ most; `ENGINES=all npm test -- test/extensions` tells the stories on every server. */
const onAll = process.env.ENGINES === 'all';

for (const [title, options, engine, major] of [
  ['the embedded PostgreSQL 17', { majorVersion: 17 }, 'embedded', 17],
  ['an installed PostgreSQL before 18', { pgBin: installed?.pgBin }, 'system', installed?.major ?? 0],
] as const) {
  describe.runIf(major > 0 && (onAll || engine === 'system'))(`on ${title}`, () => {
    let server: StoryServer;
    beforeAll(async () => {
      server = await openStoryServer(options);
    });
    afterAll(() => server?.[Symbol.asyncDispose]());
    const place: Place = { open: () => server.open(), server: { engine, major } };
    describe.runIf(onAll)('as a server of ours', () => {
      netStories(place);
      cronStories(place);
      httpStories(place);
    });
    // The same server as if it were somebody else's: one login, no files, the catalog left alone.
    describe.runIf(engine === 'system')('as an external server', () => {
      const external: Place = {
        ...place,
        server: { engine: 'external', major },
        prepare: `delete from _millrace.roles where name in ('postgres', 'supabase_admin')`,
      };
      netStories(external);
      cronStories(external);
    });
  });
}

describe('on PGlite', () => {
  let folder: string;
  let server: PgliteServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mr-pglite-'));
    await chmod(folder, 0o711);
    server = await openPglite({
      project: folder,
      data: join(folder, 'state'),
      port: 0,
      password: 'postgres',
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
  }, 240_000);
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** It has one database, so each suite leaves it as it was. */
  const place: Place = {
    open: async () => ({
      login: (role) => server.login(role),
      [Symbol.asyncDispose]: () =>
        withClient(server.login('supabase_admin'), async (client) => {
          await client.query(`drop extension if exists pg_net, pg_cron, http; drop table if exists public.ticks, public.orders;
            delete from supabase_migrations.schema_migrations`);
        }),
    }),
    server: { engine: 'pglite', major: 18 },
    hasOneSession: true,
  };
  netStories(place);
  cronStories(place);

  it('http is created, and a call says that it cannot be made here', async () => {
    await using stage = await openStage(place, 'create extension http with schema extensions');
    expect(await stage.refused(`select http_get('http://127.0.0.1:1/')`)).toEqual([
      '0A000',
      'http() cannot be called on this server',
    ]);
  });
});
