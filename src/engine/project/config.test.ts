// In charge of: proving how a project's folder is read.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig, unknownKeys } from './config.ts';
import { parseDotenv } from './dotenv.ts';
import { decideExposure } from './expose.ts';
import { loadProjectFiles } from './files.ts';
import { matchName } from './glob.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr project ')); // a path with spaces
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
const config = (text: string) => write({ 'supabase/config.toml': text });

describe('loadConfig', () => {
  it('gives the whole file, and what is not in it as undefined', async () => {
    await config(
      'project_id = "my project!"\n[api]\nport = 4000\nschemas = ["public"]\n[db.seed]\nenabled = false\n',
    );
    const project = await loadConfig(folder, {});
    expect(project.id).toBe('my_project_');
    expect(project.value('api.port')).toBe(4000);
    expect(project.value('db.seed.enabled')).toBe(false);
    expect(project.value('db.port')).toBeUndefined();
    expect(project.value('api.port.deeper')).toBeUndefined();
    expect(project.value('toString')).toBeUndefined();
    expect(project.section('db')).toEqual({ seed: { enabled: false } });
    expect(project.section('auth')).toEqual({});
  });
  it('does without a file, and names the project after its folder', async () => {
    const project = await loadConfig(folder, {});
    expect(project).toMatchObject({ file: undefined, root: {}, notices: [] });
    expect(project.id).toMatch(/^mr_project_/);
  });
  it('says where the file is not TOML', async () => {
    await config('[api]\nport = 54321x\n');
    await expect(loadConfig(folder, {})).rejects.toMatchObject({
      name: 'OperatorError',
      message:
        '"supabase/config.toml" is not valid TOML at line 2, column 13: illegal character in numeric literal.\n\n1:  [api]\n2:  port = 54321x\n                ^',
    });
  });
  it('fills in env(NAME) where it is set, and tells where it is not', async () => {
    await config(
      'a = "env(SET)"\nb = "env(EMPTY)"\nc = ["env(SET)", "x env(SET)"]\n[d.vault]\ne = "env(UNSET)"\n',
    );
    const project = await loadConfig(folder, { SET: 'it', EMPTY: '' });
    expect(project.root).toEqual({
      a: 'it',
      b: 'env(EMPTY)',
      c: ['it', 'x env(SET)'],
      d: { vault: { e: 'env(UNSET)' } },
    });
    expect(project.unset).toEqual([
      { key: 'b', variable: 'EMPTY' },
      { key: 'd.vault.e', variable: 'UNSET' },
    ]);
  });
  it('says that config.json is not read', async () => {
    await write({ 'supabase/config.json': '{}' });
    expect((await loadConfig(folder, {})).notices).toEqual([
      '"supabase/config.json" is not read: write "supabase/config.toml" instead.',
    ]);
  });
});

describe('unknownKeys', () => {
  it('names what nobody acts on', async () => {
    await config(
      '[api]\nport = 1\nport2 = 2\n[auth.email]\nenable_signup = true\n[functions.hello]\nverify_jwt = false\nother = 1\n[db.vault]\na = "b"\n',
    );
    const acted = ['api.port', 'auth.email.enable_signup', 'functions.*.verify_jwt', 'db.vault.**'];
    expect(unknownKeys(await loadConfig(folder, {}), acted)).toEqual(['api.port2', 'functions.hello.other']);
  });
});

describe('.env files', () => {
  const all = Object.fromEntries(
    ['supabase/', ''].flatMap((place) =>
      [
        '.env.development.local',
        '.env.local',
        '.env.development',
        '.env',
        '.env.test.local',
        '.env.test',
      ].map((name) => [place + name, `NAME=${place}${name}\n`]),
    ),
  );
  const order = [
    'supabase/.env.development.local',
    'supabase/.env.local',
    'supabase/.env.development',
    'supabase/.env',
    '.env.development.local',
    '.env.local',
    '.env.development',
    '.env',
  ];

  it('count in the CLI’s order', async () => {
    await write(all);
    for (const winner of order) {
      expect((await loadConfig(folder, {})).environment.NAME).toBe(winner);
      await rm(join(folder, winner));
    }
    expect((await loadConfig(folder, {})).environment.NAME).toBeUndefined();
  });
  it('give way to the shell, even to an empty value', async () => {
    await write(all);
    expect((await loadConfig(folder, { NAME: '' })).environment.NAME).toBe('');
    expect((await loadConfig(folder, { SUPABASE_ENV: 'test' })).environment.NAME).toBe(
      'supabase/.env.test.local',
    );
    await rm(join(folder, 'supabase/.env.test.local'));
    // `.env.local` is for development: a test does not see it.
    expect((await loadConfig(folder, { SUPABASE_ENV: 'test' })).environment.NAME).toBe('supabase/.env.test');
  });
  it('hold quotes, comments, exports, line ends and references', () => {
    const text = [
      '# comment',
      'A=plain value # comment',
      'export B = "two\\nlines # not a comment"',
      "C='raw $A \\n'",
      'D: colon',
      `E=$\{A}-$B-\\$A`,
      'F="spans',
      'lines" ignored',
      'G=a#b',
      'H=',
      'I.J=dots',
    ].join('\r\n');
    expect(parseDotenv(text, '.env')).toEqual({
      A: 'plain value',
      B: 'two\nlines # not a comment',
      C: 'raw $A \\n',
      D: 'colon',
      E: 'plain value-two\nlines # not a comment-$A',
      F: 'spans\nlines',
      G: 'a#b',
      H: '',
      'I.J': 'dots',
    });
  });
  it('are refused with their line and without their values', () => {
    expect(() => parseDotenv('A=1\nSECRET hunter2\n', 'supabase/.env')).toThrow(
      '"supabase/.env" line 2 is not of the form NAME=value.',
    );
    expect(() => parseDotenv('A="open\n', '.env')).toThrow('".env" line 1: the quote of "A" is not closed.');
  });
});

describe('loadProjectFiles', () => {
  const load = async () => loadProjectFiles(await loadConfig(folder, {}));

  it('finds migrations by name, in the order of their versions as text', async () => {
    await write({
      'supabase/migrations/10_c.sql': '',
      'supabase/migrations/2_d.sql': '',
      'supabase/migrations/20240101000000_a_b.sql': '',
      'supabase/migrations/1_e.SQL': '',
      'supabase/migrations/readme.md': '',
      'supabase/migrations/3_dir.sql/x.sql': '',
      'supabase/migrations/0_.sql': '',
    });
    const { migrations, notices } = await load();
    expect(migrations.map(({ version, name }) => [version, name])).toEqual([
      ['0', ''],
      ['10', 'c'],
      ['2', 'd'],
      ['20240101000000', 'a_b'],
    ]);
    expect(notices).toEqual([
      '"supabase/migrations/1_e.SQL" is passed over: a migration is called <timestamp>_<name>.sql.',
      '"supabase/migrations/readme.md" is passed over: a migration is called <timestamp>_<name>.sql.',
    ]);
  });
  it('passes over the init file of an early CLI, and no other', async () => {
    await write({
      'supabase/migrations/20211001000000_init.sql': '',
      'supabase/migrations/20211002000000_init.sql': '',
    });
    expect((await load()).migrations.map(({ version }) => version)).toEqual(['20211002000000']);
    await rm(join(folder, 'supabase/migrations/20211001000000_init.sql'));
    await write({ 'supabase/migrations/20211001000000_first.sql': '' });
    expect((await load()).migrations).toHaveLength(2);
  });
  it('finds nothing in a folder without anything', async () => {
    expect(await load()).toEqual({
      migrations: [],
      roles: undefined,
      seeds: [],
      declared: [],
      vault: [],
      notices: [],
    });
  });
  it('finds seeds by pattern, none twice, and says what matches nothing', async () => {
    await config(
      '[db.seed]\nsql_paths = ["./seeds/*.sql", "./seeds/b.sql", "./none.sql", "more", "../outside.sql", "[a"]\n',
    );
    await write({
      'supabase/seeds/b.sql': '',
      'supabase/seeds/a.sql': '',
      'supabase/more/x/y.sql': '',
      'supabase/more/z.txt': '',
      'outside.sql': '',
    });
    const { seeds, notices } = await load();
    expect(seeds.map(({ path }) => path)).toEqual([
      'supabase/seeds/a.sql',
      'supabase/seeds/b.sql',
      'supabase/more/x/y.sql',
      'outside.sql',
    ]);
    expect(notices).toEqual([
      '[db.seed].sql_paths: no file matches "./none.sql".',
      '[db.seed].sql_paths: "[a" is not a valid pattern.',
    ]);
  });
  it('takes seed.sql unless told otherwise, and nothing when it is switched off', async () => {
    await write({
      'supabase/seed.sql': 'select 1',
      'supabase/roles.sql': '',
      'supabase/migrations/1_a.sql': '',
    });
    const found = await load();
    expect(found.seeds.map(({ path }) => path)).toEqual(['supabase/seed.sql']);
    expect(found.roles?.path).toBe('supabase/roles.sql');
    expect((await found.seeds[0]!.read()).toString()).toBe('select 1');
    await config('[db.migrations]\nenabled = false\n[db.seed]\nenabled = false\n');
    expect(await load()).toMatchObject({ migrations: [], seeds: [] });
  });
  it('gives the secrets of the vault that have a value', async () => {
    await config('[db.vault]\na = "env(A)"\nb = "env(B)"\nc = "plain"\nd = "encrypted:x"\n');
    const files = await loadProjectFiles(await loadConfig(folder, { A: 'from env' }));
    expect(files.vault).toEqual([
      { name: 'a', value: 'from env' },
      { name: 'c', value: 'plain' },
    ]);
    expect(files.notices).toEqual([
      '[db.vault].d is encrypted by dotenvx, and there is no DOTENV_PRIVATE_KEY to open it: left out.',
    ]);
  });
});

describe('matchName', () => {
  const table: readonly (readonly [pattern: string, name: string, matches: boolean | undefined])[] = [
    ['*.sql', 'a.sql', true],
    ['*.sql', '.sql', true],
    ['*.sql', 'a.sqlx', false],
    ['?.sql', 'é.sql', true],
    ['[a-c]1', 'b1', true],
    ['[^a-c]1', 'b1', false],
    ['[]a]', 'a', undefined],
    ['[a', 'a', undefined],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['a.b', 'aXb', false],
    ['[c-a]', 'b', false],
  ];
  for (const [pattern, name, matches] of table) {
    it(`${pattern} ${name}`, () => expect(matchName(pattern, name)).toBe(matches));
  }
});

describe('decideExposure', () => {
  const tables = [
    { name: 'public.films', rowSecurity: true },
    { name: 'public.notes', rowSecurity: false },
  ];
  const decide = (facts: Partial<Parameters<typeof decideExposure>[0]>) =>
    decideExposure({ setting: undefined, firstVersion: undefined, production: false, tables, ...facts });

  it('is what is set', () => {
    expect(decide({ setting: true, production: true })).toEqual({ exposes: true, warning: undefined });
    expect(decide({ setting: false, firstVersion: '20200101000000' })).toEqual({
      exposes: false,
      warning: undefined,
    });
  });
  it('is open with a warning for a project that is older than the change', () => {
    const { exposes, warning } = decide({ firstVersion: '20260529235959' });
    expect(exposes).toBe(true);
    expect(warning).toContain('public.films, public.notes');
    expect(warning).toContain(
      'Without row-level security, so that anybody with a key can read and write: public.notes.',
    );
    expect(decide({ firstVersion: '1' }).exposes).toBe(true);
  });
  it('is closed for a newer project, and for one without migrations', () => {
    expect(decide({ firstVersion: '20260530000000' })).toEqual({ exposes: false, warning: undefined });
    expect(decide({})).toEqual({ exposes: false, warning: undefined });
  });
  it('must be set in production', () => {
    expect(() => decide({ production: true, firstVersion: '20260101000000' })).toThrow(
      /must be set.*public\.films, public\.notes.*Without row-level security.*public\.notes/,
    );
  });
});
