// In charge of: the backend as a library: what `createBackend` gives, what it leaves behind (nothing), and what it refuses.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openSql } from '../src/engine/db/sql.ts';
import { createBackend, type TestBackend } from '../src/server/library.ts';
import { checkout, makeProject } from './harness/backend.ts';

const films = {
  'supabase/migrations/20260601000000_films.sql': `create table public.films (id int primary key, title text not null);
    alter table public.films enable row level security;
    create policy anyone on public.films for select using (true);
    grant select on public.films to anon, authenticated;
    grant all on public.films to service_role;`,
  'supabase/seed.sql': "insert into public.films values (1, 'Metropolis');",
};

// A bound against hangs, on a machine that is busy with others.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let temporary: string;
let cacheFolder: string;
let project: Awaited<ReturnType<typeof makeProject>>;
let backend: TestBackend;
const systemsTemporary = process.env.TMPDIR;

beforeAll(async () => {
  project = await makeProject(films);
  temporary = await mkdtemp(join(tmpdir(), 'mr-lib-'));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(temporary, 0o755);
  // Other tests have throw-away databases too; here those of this file are counted.
  process.env.TMPDIR = temporary;
  cacheFolder = join(temporary, 'cache');
  for (const name of ['postgres-a', 'postgres-b', 'postgres-c', 'postgres-d', 'postgres-e.new-1']) {
    await mkdir(join(cacheFolder, name), { recursive: true });
    await utimes(join(cacheFolder, name), longAgo, longAgo);
  }
  // Two at once on a cache that has no template for them.
  const [first, second] = await Promise.all([
    createBackend({ project: project.folder, cacheFolder }),
    createBackend({ cacheFolder }),
  ]);
  backend = first;
  await second.close();
});

afterAll(async () => {
  await backend.close();
  if (systemsTemporary === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = systemsTemporary;
  await project[Symbol.asyncDispose]();
  await rm(temporary, { recursive: true });
});

const longAgo = new Date('2026-01-01');

describe('a backend in this process', () => {
  it('answers through its function, without the port', async () => {
    const answer = await backend.fetch('/rest/v1/films?select=title', {
      headers: { apikey: backend.keys.publishable },
    });
    expect({ status: answer.status, body: await answer.json() }).toEqual({
      status: 200,
      body: [{ title: 'Metropolis' }],
    });
  });

  it('answers on a real port as well', async () => {
    const answer = await fetch(`${backend.url}/rest/v1/films?select=title`, {
      headers: { apikey: backend.keys.anon },
    });
    expect(await answer.json()).toEqual([{ title: 'Metropolis' }]);
  });

  it('is the fetch of an unmodified client: sign-up, a write as service_role, a read under row-level security', async () => {
    const options = { global: { fetch: backend.fetch } };
    const visitor = createClient('http://localhost', backend.keys.anon, options);
    const admin = createClient('http://localhost', backend.keys.secret, options);
    const { data, error } = await visitor.auth.signUp({
      email: 'ada@example.com',
      password: 'correct horse',
    });
    expect({ error, email: data.user?.email }).toEqual({ error: null, email: 'ada@example.com' });
    expect((await admin.from('films').insert({ id: 2, title: 'Nosferatu' })).error).toBeNull();
    expect((await visitor.from('films').insert({ id: 3, title: 'M' })).error).toMatchObject({
      code: '42501',
    });
    expect((await visitor.from('films').select('title').order('id')).data).toEqual([
      { title: 'Metropolis' },
      { title: 'Nosferatu' },
    ]);
    expect((await admin.from('films').delete().eq('id', 2)).error).toBeNull();
  });

  it('runs SQL as postgres, which is no superuser', async () => {
    const id = 1;
    expect(await backend.sql`select title from public.films where id = ${id}`).toEqual([
      { title: 'Metropolis' },
    ]);
    expect(await backend.sql('select title from public.films where id = $1', [1])).toEqual([
      { title: 'Metropolis' },
    ]);
    expect(
      await backend.sql("select 1; select current_user, current_setting('is_superuser') as superuser"),
    ).toEqual([{ current_user: 'postgres', superuser: 'off' }]);
    await expect(backend.sql`select pg_read_file('/etc/passwd')`).rejects.toMatchObject({ code: '42501' });
  });

  it('does not wait for the disk, as nobody will miss its data', async () => {
    expect(await backend.sql`select current_setting('fsync') as fsync`).toEqual([{ fsync: 'off' }]);
  });
});

describe('several backends at once', () => {
  it('have data of their own, and leave nothing behind', async () => {
    const before = await ourFolders();
    const made = await Promise.all([
      createBackend({ cacheFolder }),
      createBackend({ cacheFolder, project: project.folder, seed: false }),
      createBackend({ cacheFolder, project: project.folder, migrations: false }),
    ]);
    const [empty, unseeded, unmigrated] = made;
    const count = "select to_regclass('public.films') is not null as there";
    expect(await empty.sql(count)).toEqual([{ there: false }]);
    expect(await unmigrated.sql(count)).toEqual([{ there: false }]);
    expect(await unseeded.sql`select count(*)::int as films from public.films`).toEqual([{ films: 0 }]);
    expect(new Set(made.map(({ url }) => url)).size).toBe(3);
    expect((await ourFolders()).length).toBe(before.length + 3);
    await Promise.all(made.map((each) => each.close()));
    await Promise.all(made.map((each) => each.close()));
    expect(await ourFolders()).toEqual(before);
    await expect(fetch(made[0].url)).rejects.toThrow();
  });

  it('is closed by `await using`, also when the test fails', async () => {
    const before = await ourFolders();
    const failing = async () => {
      await using own = await createBackend({ cacheFolder });
      throw new Error(`failed on ${own.url}`);
    };
    await expect(failing()).rejects.toThrow('failed on http://127.0.0.1:');
    expect(await ourFolders()).toEqual(before);
  });
});

describe('the options', () => {
  it('take settings by their key, above config.toml, and nothing of the environment of this process', async () => {
    process.env.DATABASE_URL = 'postgres://nobody@127.0.0.1:1/nothing';
    try {
      await using own = await createBackend({
        cacheFolder,
        project: project.folder,
        settings: { 'api.max_rows': 1, 'db.password': 'a password of mine' },
      });
      await own.sql`insert into public.films values (2, 'Nosferatu')`;
      const answer = await own.fetch('/rest/v1/films?select=id', { headers: { apikey: own.keys.anon } });
      expect(await answer.json()).toEqual([{ id: 1 }]);
      expect(own.databaseUrl).toContain('a%20password%20of%20mine');
    } finally {
      delete process.env.DATABASE_URL;
    }
  });

  it('are refused by name where they mean nothing, and nothing is left behind', async () => {
    const before = await ourFolders();
    await expect(createBackend({ cacheFolder, settings: { 'api.max_row': 5 } })).rejects.toThrow(
      '"api.max_row" is not a setting.',
    );
    await expect(createBackend({ cacheFolder, settings: { 'api.max_rows': 'many' } })).rejects.toThrow(
      'The flag for "api.max_rows" is "many", but must be',
    );
    await expect(createBackend({ cacheFolder, project: join(checkout, 'docs') })).rejects.toThrow(
      `The project folder "${join(checkout, 'docs')}" holds no folder "supabase".`,
    );
    expect(await ourFolders()).toEqual(before);
  });

  it('keep the data in a folder that is named', async () => {
    const data = await mkdtemp(join(tmpdir(), 'mr-kept-'));
    try {
      {
        await using first = await createBackend({ cacheFolder, data, project: project.folder });
        expect(await first.sql`select current_setting('fsync') as fsync`).toEqual([{ fsync: 'on' }]);
        await first.sql`update public.films set title = 'Metropolis (1927)'`;
      }
      await using again = await createBackend({ cacheFolder, data, project: project.folder });
      expect(await again.sql`select title from public.films`).toEqual([{ title: 'Metropolis (1927)' }]);
    } finally {
      await rm(data, { recursive: true });
    }
  });
});

describe('the template', () => {
  it('is made once, also where two wanted it at the same moment; of older ones three stay, and nothing half made', async () => {
    const names = await readdir(cacheFolder);
    const made = names.filter((name) => name.startsWith('postgres-embedded-'));
    expect(made).toEqual([expect.stringMatching(/^postgres-embedded-18\.\d+-[0-9a-f]{16}$/)]);
    expect(names.length).toBe(4);
    expect(names.filter((name) => name.includes('.new-'))).toEqual([]);
  });
});

describe('a process that was killed', () => {
  it('has its database stopped and removed by the next start', async () => {
    const before = await ourFolders();
    const script = `import { createBackend } from '${pathToFileURL(join(checkout, 'src', 'server', 'library.ts')).href}';
      const backend = await createBackend({ cacheFolder: ${JSON.stringify(cacheFolder)} });
      console.log(backend.databaseUrl);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [databaseUrl] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    child.kill('SIGKILL');
    await once(child, 'close');
    expect((await ourFolders()).length).toBe(before.length + 1);
    await using next = await createBackend({ cacheFolder });
    expect((await ourFolders()).length).toBe(before.length + 1);
    const { sql, close } = openSql(() => ({ connectionString: databaseUrl }));
    await expect(sql`select 1`).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await close();
    expect(await next.sql`select 1 as one`).toEqual([{ one: 1 }]);
  });
});

/** The folders of throw-away databases of this process and others. */
async function ourFolders(): Promise<readonly string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('millrace-throwaway-')).sort();
}
