// In charge of: a project that needs an extension of PGlite's, as its user meets it: chosen by itself, served, emptied, and where it cannot move to.
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';

const migration = `
create extension if not exists vector with schema extensions;
create table public.sentences (id bigint generated always as identity primary key, body text, embedding extensions.vector(3));
alter table public.sentences enable row level security;
create policy "readers" on public.sentences for select to anon, authenticated using (true);
grant select on public.sentences to anon, authenticated;
create function public.nearest(probe extensions.vector(3)) returns setof public.sentences
  language sql stable set search_path = '' as
  $$ select * from public.sentences order by embedding operator(extensions.<->) probe limit 1 $$;
`;
const seed = `insert into public.sentences (body, embedding) values ('east', '[1,0,0]'), ('north', '[0,1,0]');`;
const startMs = 300_000;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': 'project_id = "neighbours"\n[api]\nauto_expose_new_tables = true\n',
    'supabase/migrations/20240101000000_vectors.sql': migration,
    'supabase/seed.sql': seed,
  });
  backend = await startBackend(project.folder, [], { timeoutMs: startMs, ownData: true });
}, startMs);
afterAll(async () => {
  await backend?.stop();
  await project?.[Symbol.asyncDispose]();
});

const anyone = () => createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY);

describe('a project with pgvector', () => {
  it('is started on PGlite', () => {
    expect(backend.report.ENGINE).toMatch(/^pglite postgresql 18\./);
  });

  it('finds neighbours over the Data API', async () => {
    const { data, error } = await anyone().rpc('nearest', { probe: '[0.1,0.9,0]' }).select('body');
    expect([data, error]).toEqual([[{ body: 'north' }], null]);
  });

  it('has users who sign up and in', async () => {
    const person = { email: 'ada@example.com', password: 'correct horse battery' };
    const client = anyone();
    expect((await client.auth.signUp(person)).error).toBeNull();
    expect((await client.auth.signInWithPassword(person)).data.user?.email).toBe(person.email);
  });

  it(
    'is emptied and filled anew by reset, beside the running backend',
    async () => {
      await createClient(backend.report.API_URL, backend.report.SECRET_KEY)
        .from('sentences')
        .delete()
        .gt('id', 0);
      const reset = await runCli(['reset', '--yes', '--json', '--project', project.folder], {
        timeoutMs: startMs,
      });
      expect([reset.code, JSON.parse(reset.stdout)]).toEqual([
        0,
        expect.objectContaining({ way: 'emptied' }),
      ]);
      const { data } = await anyone().from('sentences').select('body').order('id');
      expect(data).toEqual([{ body: 'east' }, { body: 'north' }]);
    },
    startMs,
  );

  it(
    'cannot move to an engine without the extension, and keeps its data then',
    async () => {
      await backend.stop();
      const move = await runCli(['engine', 'move', 'embedded', '--project', project.folder], {
        timeoutMs: startMs,
      });
      expect(move.code).toBe(1);
      expect(move.stderr).toContain('extension "vector" is not available');
      expect(move.stderr).toContain('Nothing was changed; the data is where it was.');
      const shown = await runCli(['engine', '--json', '--project', project.folder]);
      expect(JSON.parse(shown.stdout)).toMatchObject({ engine: 'pglite', kept: [] });
    },
    startMs,
  );
});
