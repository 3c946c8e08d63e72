// In charge of: the parts of config.toml beyond plain keys: remotes, declarative schemas, encrypted values, and where a wrong value stands.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wholeNumber } from '../../base/settings.ts';
import { openSettings } from '../settings/live.ts';
import { loadConfig } from './config.ts';
import { loadProjectFiles } from './files.ts';
import { tomlPositions } from './toml-lines.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-config-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
const load = async (text: string, shell: Readonly<Record<string, string>> = {}) => {
  await write({ 'supabase/config.toml': text });
  return loadConfig(folder, shell);
};

describe('[remotes.NAME]', () => {
  const text = [
    'project_id = "films"',
    '[api]',
    'max_rows = 1000',
    'schemas = ["public", "private"]',
    '[remotes.staging]',
    'project_id = "abcdefghijklmnopqrst"',
    '[remotes.staging.api]',
    'max_rows = 10',
    'schemas = ["public"]',
    '[remotes.live]',
    'project_id = "tsrqponmlkjihgfedcba"',
    '[remotes.live.db.seed]',
    'enabled = false',
  ].join('\n');

  it('is nothing as long as nobody asks for it', async () => {
    const config = await load(text);
    expect(config.id).toBe('films');
    expect(config.section('api')).toEqual({ max_rows: 1000, schemas: ['public', 'private'] });
    expect(config.notices).toEqual([]);
  });

  it.each<[string, Record<string, string>]>([
    ['by its name', { MILLRACE_REMOTE: 'staging' }],
    ['by its project ref', { MILLRACE_REMOTE: 'abcdefghijklmnopqrst' }],
    ['by the project ref that the Supabase CLI is told', { SUPABASE_PROJECT_ID: 'abcdefghijklmnopqrst' }],
  ])('is laid over the rest, %s; a list takes the place of a list', async (_, shell) => {
    const config = await load(text, shell);
    expect(config.id).toBe('abcdefghijklmnopqrst');
    expect(config.section('api')).toEqual({ max_rows: 10, schemas: ['public'] });
    expect(config.value('db.seed.enabled')).toBeUndefined();
    expect(config.notices).toEqual(['config.toml: [remotes.staging] is laid over the rest.']);
    expect(config.place('api.max_rows')).toBe(', line 8, column 12');
  });

  it('says which there are when it is asked for another', async () => {
    await expect(load(text, { MILLRACE_REMOTE: 'stagin' })).rejects.toMatchObject({
      message: 'config.toml has no section [remotes.stagin].',
      hint: 'It has [remotes.staging], [remotes.live].',
    });
  });

  it('refuses two with one project ref', async () => {
    const twins = '[remotes.a]\nproject_id = "x"\n[remotes.b]\nproject_id = "x"\n';
    await expect(load(twins)).rejects.toThrow(
      '[remotes.b] and [remotes.a] in config.toml have the same project_id, "x".',
    );
  });
});

describe('[db.migrations].schema_paths', () => {
  it('lists the declarative schema in its order, none twice', async () => {
    await write({ 'supabase/schemas/b.sql': '', 'supabase/schemas/a.sql': '', 'supabase/first.sql': '' });
    const config = await load(
      '[db.migrations]\nschema_paths = [\n  "./first.sql",\n  # the rest\n  "./schemas/*.sql",\n  "./schemas/a.sql",\n]\n',
    );
    const { declared, notices } = await loadProjectFiles(config);
    expect(declared.map(({ path }) => path)).toEqual([
      'supabase/first.sql',
      'supabase/schemas/a.sql',
      'supabase/schemas/b.sql',
    ]);
    expect(notices).toEqual([]);
  });

  it.each([
    [
      '[db.migrations]\nschema_paths = 7\n',
      'db.migrations.schema_paths',
      'line 2, column 16',
      '7',
      'a list of patterns, ["./a.sql"]',
    ],
    [
      '[db]\nseed = { enabled = "maybe" }\n',
      'db.seed.enabled',
      'line 2, column 20',
      '"maybe"',
      'true or false',
    ],
    [
      '[db.seed]\nsql_paths = ["./a.sql",\n  3]\n',
      'db.seed.sql_paths',
      'line 2, column 13',
      '3',
      'a list of patterns, ["./a.sql"]',
    ],
  ])('says where %j is wrong', async (text, key, place, value, expected) => {
    await expect(load(text).then(loadProjectFiles)).rejects.toThrow(
      `"${key}" in supabase/config.toml, ${place} is ${value}, but must be ${expected}.`,
    );
  });
});

describe('a value that dotenvx encrypted', () => {
  // Made by eciesjs, which dotenvx encrypts by.
  const key = 'abd567a937250c92011580dd828f789f226601180bf468fa1d91fde3e415fb88';
  const value =
    'encrypted:BE+Zjn3LBAEh2f4umyDapTprEgJLvluywVaVvjO8sSZBnRSATbQeIB7YpJZedZiHJGAgRAxZHPvxj+3fQAGxSsoIJ/tanNPuLf5sedQeE894lKXVr79mog6GygR2Is7j24G297N2FGp1IMOF';
  const text = `[db.vault]\ndoor = "${value}"\n`;

  it('is opened by the key of DOTENV_PRIVATE_KEY, one of several', async () => {
    const keys = { DOTENV_PRIVATE_KEY_PRODUCTION: `${'1'.repeat(64)},${key}` };
    expect((await load(text, keys)).value('db.vault.door')).toBe('open sesame');
  });

  it('is left out, said once, without a key', async () => {
    const { vault, notices } = await loadProjectFiles(await load(text));
    expect(vault).toEqual([]);
    expect(notices).toEqual([
      '[db.vault].door is encrypted by dotenvx, and there is no DOTENV_PRIVATE_KEY to open it: left out.',
    ]);
  });

  it('ends the start when the key is another', async () => {
    await expect(load(text, { DOTENV_PRIVATE_KEY: '2'.repeat(64) })).rejects.toThrow(
      '"db.vault.door" in supabase/config.toml is encrypted for another key than those of DOTENV_PRIVATE_KEY.',
    );
  });
});

describe('where a value stands', () => {
  it('is told with a wrong setting', async () => {
    const { root, place } = await load('[api]\n# how many\nmax_rows = "many"\n');
    const rows = wholeNumber({ key: 'api.max_rows', default: 1, sentence: '' });
    expect(() => openSettings([{ rows }], { file: root, placeInFile: place, environment: {} })).toThrow(
      '"api.max_rows" in config.toml, line 3, column 12 is "many", but must be a whole number from 0.',
    );
  });

  it('is found in every form of TOML', () => {
    const text = [
      'a = 1 # [not.a.table]',
      '"b.c".d = \'x = 1\'',
      'e = """',
      '[no]',
      'f = 2 \\',
      '"""',
      '[g."h i"]',
      'j = [ 1, [2, { k = "]" }], # comment ]',
      '  3 ]',
      '[[l]]',
      'm = 1',
      '[[l]]',
      'm.n = 2024-01-01',
      '[l.o]',
      'p = { q = { r = true }, s = 1.5 }',
    ].join('\n');
    const found = Object.fromEntries(
      [...tomlPositions(text)].map(([path, { line, column }]) => [path, `${line}:${column}`]),
    );
    expect(found).toEqual({
      a: '1:5',
      'b.c.d': '2:11',
      e: '3:5',
      'g.h i': '7:1',
      'g.h i.j': '8:5',
      'g.h i.j.0': '8:7',
      'g.h i.j.1': '8:10',
      'g.h i.j.1.0': '8:11',
      'g.h i.j.1.1': '8:14',
      'g.h i.j.1.1.k': '8:20',
      'g.h i.j.2': '9:3',
      'l.0': '10:1',
      'l.0.m': '11:5',
      'l.1': '12:1',
      'l.1.m.n': '13:7',
      'l.1.o': '14:1',
      'l.1.o.p': '15:5',
      'l.1.o.p.q': '15:11',
      'l.1.o.p.q.r': '15:17',
      'l.1.o.p.s': '15:29',
    });
  });
});
