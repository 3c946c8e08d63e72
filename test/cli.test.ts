// In charge of: proving with the real Supabase CLI that our history is its history. It needs no Docker for this, and no network.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyProject } from '../src/engine/db/migrations/apply.ts';
import { loadConfig } from '../src/engine/project/config.ts';
import { loadProjectFiles } from '../src/engine/project/files.ts';
import { openTestDatabase, type TestDatabase } from './harness/database.ts';

const run = promisify(execFile);

/** A project with everything that the two might cut, trim, order or hash differently. */
const files: Readonly<Record<string, string>> = {
  'supabase/config.toml': [
    'project_id = "films"',
    '[db]',
    'major_version = 17',
    '[db.seed]',
    'sql_paths = ["./seeds/[ab]*.sql", "env(EXTRA_SEED)", "./more", "./seeds/b.sql"]',
  ].join('\n'),
  'supabase/.env': 'EXTRA_SEED=./wrong.sql',
  'supabase/.env.development': "EXTRA_SEED='./extra.sql' # first found wins",
  '.env.local': 'EXTRA_SEED=./late.sql',
  'supabase/roles.sql': 'create schema from_roles;',
  'supabase/extra.sql': 'insert into films values (10);',
  'supabase/wrong.sql': 'nonsense',
  'supabase/late.sql': 'nonsense',
  'supabase/seeds/b.sql': "insert into films values (2); -- ';'\n\ninsert into films values (3)",
  'supabase/seeds/a.sql': '\ufeffinsert into films values (1);\r\n',
  'supabase/seeds/c.sql': 'nonsense',
  'supabase/more/deep/er.sql': 'insert into films values (4);',
  'supabase/more/note.txt': 'nonsense',
  'supabase/migrations/2_films.sql':
    "-- the films; all of them\n\n  create table films (id int primary key) ;;\n;\n\n/* no; /* nested; */ */ comment on table films is 'it''s; \"quoted\"';\n-- the end;\n",
  'supabase/migrations/20240101000000_functions.sql': [
    "create function a() returns text language plpgsql as $$ begin return ';'; end; $$;",
    'create function b() returns int language sql begin atomic select case when true then 1 end; select 2; end;',
    'create function c() returns text language sql as $_x$ select $$;$$::text $_x$;',
    "select E'it\\'s; one', E'a'\n  ';b', 'back\\', (select 1); ",
    'select 1 as "a;""b" from (select 2 as "$1$") x;',
    'do $do$ begin execute $q$ select 1; $q$; end $do$',
  ].join('\n'),
  'supabase/migrations/10_crlf.sql':
    'create table crlf (\r\n  id int\r\n);\r\n\r\ninsert into crlf values (1);\r\n',
  'supabase/migrations/20240102000000_own.sql': 'begin;\ninsert into films values (100);\ncommit;\n',
  'supabase/migrations/20240103000000_index.sql':
    'create index concurrently films_id on films (id);\nvacuum films;\ninsert into films values (101);',
  'supabase/migrations/20240104000000_empty.sql': '',
  'supabase/migrations/20240105000000_a_name with spaces_é😀.sql': "\ufeffselect 'é😀';\nselect 'x' /* é */",
  'supabase/migrations/20240106000000_storage.sql':
    "create policy p on storage.objects for select using (bucket_id = 'a');\ncreate extension if not exists citext;",
  'supabase/migrations/notes.md': 'no migration',
  'supabase/migrations/20240107000000_draft.sql.bak': 'no migration',
  'supabase/migrations/nested/20240108000000_deep.sql': 'nonsense',
};

describe('the Supabase CLI', () => {
  let project: string;
  let home: string;
  let ours: TestDatabase;
  let theirs: TestDatabase;

  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), 'mr-cli-'));
    home = await mkdtemp(join(tmpdir(), 'mr-home-'));
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(project, path)), { recursive: true });
      await writeFile(join(project, path), text);
    }
    ours = await openTestDatabase();
    theirs = await openTestDatabase();
  });
  afterAll(async () => {
    await Promise.all([ours, theirs].map((db) => db?.[Symbol.asyncDispose]()));
    await Promise.all([project, home].map((path) => rm(path, { recursive: true, force: true })));
  });

  /** Runs the CLI on a database; its answer, of both streams. */
  async function supabase(db: TestDatabase, ...words: readonly string[]): Promise<string> {
    const [row] = await db.run("select current_setting('port') as port");
    const url = `postgresql://postgres:postgres@127.0.0.1:${row!.port}/${db.name}`;
    const { stdout, stderr } = await run(
      process.execPath,
      [
        'node_modules/supabase/dist/supabase.js',
        ...words,
        `--remote=${url}`,
        '--workdir',
        project,
        '--yes',
        '--agent',
        'no',
      ],
      {
        env: { PATH: process.env.PATH, HOME: home, DO_NOT_TRACK: '1', NO_COLOR: '1', PGSSLMODE: 'disable' },
        timeout: 50_000,
      },
    );
    return stdout + stderr;
  }

  function apply(db: TestDatabase) {
    return loadConfig(project, { PATH: '' })
      .then(loadProjectFiles)
      .then((files) =>
        applyProject({
          logins: { postgres: db.login('postgres'), admin: db.login('supabase_admin') },
          project: files,
          observe: () => {},
        }),
      );
  }

  it('finds nothing to do after us, and we find nothing to do after it', async () => {
    await apply(ours);
    expect(await supabase(ours, 'db', 'push', '--include-seed', '--dry-run')).toContain('is up to date');

    const pushed = await supabase(theirs, 'db', 'push', '--include-seed', '--include-roles');
    expect(pushed).toContain('Finished supabase db push');
    expect(await apply(theirs)).toMatchObject({ migrations: [], seeds: [], warnings: [] });
  });

  it('records the same migrations and seeds, byte for byte', async () => {
    const migrations =
      'select version, name, statements from supabase_migrations.schema_migrations order by version collate "C"';
    const recorded = await theirs.run(migrations);
    expect(recorded).toHaveLength(8);
    expect(await ours.run(migrations)).toEqual(recorded);

    const seeds = 'select path, hash from supabase_migrations.seed_files order by path collate "C"';
    expect((await theirs.run(seeds)).map(({ path }) => path)).toEqual([
      'supabase/extra.sql',
      'supabase/more/deep/er.sql',
      'supabase/seeds/a.sql',
      'supabase/seeds/b.sql',
    ]);
    expect(await ours.run(seeds)).toEqual(await theirs.run(seeds));
    const rows = 'select array_agg(id order by id) as ids from films';
    expect(await ours.run(rows)).toEqual(await theirs.run(rows));
  });

  it('lists every migration as applied', async () => {
    const answer = await supabase(ours, 'migration', 'list', '--output-format', 'json');
    const line = answer.split('\n').find((text) => text.startsWith('{'));
    const versions = (await ours.run('select version from supabase_migrations.schema_migrations')).map(
      (row) => row.version,
    );
    const listed = JSON.stringify(JSON.parse(line ?? '{}'));
    // Once as a file and once as applied: a version that stands in one column alone is there a single time.
    const bothColumns = (version: unknown) => listed.split(`"${version}"`).length > 2;
    expect(versions.length).toBeGreaterThan(0);
    expect(versions.filter((version) => !bothColumns(version))).toEqual([]);
  });

  for (const report of [
    'table-stats',
    'index-stats',
    'role-stats',
    'locks',
    'blocking',
    'long-running-queries',
    'replication-slots',
    'vacuum-stats',
    'bloat',
  ]) {
    it(`inspects: ${report}`, async () => {
      expect(await supabase(ours, 'inspect', 'db', report)).not.toBe('');
    });
  }
});
