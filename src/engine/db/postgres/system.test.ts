// In charge of: the same supervisor on a PostgreSQL that the machine has installed.
import { readdirSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findEmbedded } from './binaries.ts';
import type { PostgresServer } from './server.ts';
import { openPostgres as openUnwatched, type PostgresOptions } from './supervisor.ts';
import { askValue, makeFolder, removeFolder } from './test-support.ts';

const options = (project: string): PostgresOptions => ({
  project,
  port: 0,
  password: 'postgres',
  observe: () => {},
});

/** A test that fails before it stops its server leaves none behind either. */
async function openPostgres(given: PostgresOptions): Promise<PostgresServer> {
  const server = await openUnwatched(given);
  onTestFinished(() => server.stop());
  return server;
}

function installedMajors(): readonly number[] {
  try {
    return readdirSync('/usr/lib/postgresql')
      .map(Number)
      .filter((major) => major >= 15);
  } catch {
    return [];
  }
}

const majors = installedMajors();
if (majors.length === 0)
  process.stderr.write('Skipped: no PostgreSQL 15 or later is installed in /usr/lib/postgresql.\n');

describe.skipIf(majors.length === 0)('an installed PostgreSQL', () => {
  it.each(majors)('%i runs as the embedded one does', async (major) => {
    const project = await makeFolder();
    const given = { ...options(project), pgBin: `/usr/lib/postgresql/${major}/bin` };
    const first = await openPostgres(given);
    expect(first).toMatchObject({ engine: 'system', major });
    const login = first.login('supabase_admin');
    expect(
      await askValue(
        login,
        `select datlocprovider::text || ' ' || pg_encoding_to_char(encoding) from pg_database where datname = 'postgres'`,
      ),
    ).toBe('i UTF8');
    expect(
      await askValue(
        login,
        `select current_setting('wal_level') || ' ' || current_setting('data_checksums')`,
      ),
    ).toBe('logical on');
    await askValue(login, 'create table kept as select 42 as answer');
    await first.stop();
    // Found without being named, and of the data's version.
    const second = await openPostgres({ ...options(project), engine: 'system' });
    expect(second.major).toBe(major);
    expect(await askValue(second.login('supabase_admin'), 'select answer from kept')).toBe(42);
    await second.stop();
    await expect(openPostgres({ ...options(project), majorVersion: 18 })).rejects.toMatchObject({
      message: expect.stringContaining(
        `was made by PostgreSQL ${major}, and this start would run PostgreSQL 18.`,
      ),
      hint: expect.stringContaining('--pg-bin'),
    });
    await removeFolder(project);
  });
});

describe('data that another build of PostgreSQL sorted', () => {
  it('is opened with a notice that says what to run', async () => {
    const project = await makeFolder();
    const bin = findEmbedded(17).bin;
    const first = await openPostgres({ ...options(project), pgBin: bin, majorVersion: 15 });
    expect(first.engine).toBe('system');
    expect(first.notices).toEqual([
      `[db].major_version is 15; the installed PostgreSQL is ${first.version}, and that is what runs.`,
    ]);
    await askValue(
      first.login('supabase_admin'),
      `update pg_database set datcollversion = '1.2.3' where datname = 'postgres'`,
    );
    await first.stop();
    const second = await openPostgres({ ...options(project), majorVersion: 17 });
    expect(second.notices).toEqual([
      'The database "postgres" was sorted by another build of PostgreSQL. Run: reindex database "postgres"; alter database "postgres" refresh collation version;',
    ]);
    await askValue(second.login('supabase_admin'), 'reindex database "postgres"');
    await askValue(second.login('supabase_admin'), 'alter database "postgres" refresh collation version');
    await second.stop();
    const third = await openPostgres({ ...options(project), majorVersion: 17 });
    expect(third.notices).toEqual([]);
    await third.stop();
    await removeFolder(project);
  });
});
