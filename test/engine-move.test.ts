// In charge of: a project with everything that a project can hold, moved to PGlite and back: the same structure, rows, roles, secrets and jobs on each side.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import { checkout, makeProject, runCli, startBackend } from './harness/backend-here.ts';

const beside = `
create extension pg_cron;
create extension pg_net;
create extension pgmq;
create extension if not exists supabase_vault with schema vault;
create role clerk login password 'a password of theirs' in role app_owner;
alter role clerk set search_path = shop;
select vault.create_secret('open sesame', 'door', 'of the cave');
select cron.schedule('nightly', '0 3 * * *', 'select 1');
select cron.alter_job(cron.schedule('paused', '30 seconds', 'select 2'), active := false);
select pgmq.create('post');
select pgmq.send('post', '{"to": "ada"}');
alter large object 4711 owner to app_owner;
grant select on large object 4711 to reporter;
grant usage on schema shop to authenticated;
create table public.notes (id int primary key, body text, search tsvector generated always as (to_tsvector('english', body)) stored);
alter table public.notes enable row level security;
create policy readers on public.notes for select to anon using (id = 1);
grant select on public.notes to anon;
insert into public.notes values (1, 'for all'), (2, 'for nobody');
`;
/** What an export leaves out, or says without telling whether it works. */
const heldQuery = `select
  (select json_agg(json_build_array(name, description, decrypted_secret)) from vault.decrypted_secrets) as secrets,
  (select json_agg(json_build_array(jobname, schedule, command, username, active) order by jobname) from cron.job) as jobs,
  (select json_agg(message) from pgmq.q_post) as queue,
  (select json_agg(json_build_array(rolname, rolcanlogin, rolconfig) order by rolname) from pg_roles where rolname in ('app_owner', 'clerk', 'reporter')) as roles,
  (select json_build_array(pg_get_userbyid(lomowner), lomacl::text) from pg_largeobject_metadata where oid = 4711) as large_object,
  has_schema_privilege('postgres', 'cron', 'usage') and has_table_privilege('postgres', 'cron.job', 'select') as may_schedule,
  (select count(*)::int from supabase_migrations.schema_migrations) as migrations`;
const movingMs = 600_000;

let project: Awaited<ReturnType<typeof makeProject>>;
beforeAll(async () => {
  const everyKind = await readFile(join(checkout, 'test', 'harness', 'every-kind.sql'), 'utf8');
  project = await makeProject({
    'supabase/config.toml': 'project_id = "movers"\n[api]\nauto_expose_new_tables = true\n',
    'supabase/migrations/20240101000000_every_kind.sql': everyKind,
    'supabase/migrations/20240102000000_beside.sql': beside,
  });
});
afterAll(() => project?.[Symbol.asyncDispose]());

describe('a project that moves to PGlite and back', () => {
  let before: Awaited<ReturnType<typeof look>>;

  it(
    'begins on the embedded engine',
    async () => {
      before = await look();
      expect(before.engine).toMatch(/^embedded postgresql 18\./);
      expect(before.held).toEqual({
        secrets: [['door', 'of the cave', 'open sesame']],
        jobs: [
          ['nightly', '0 3 * * *', 'select 1', 'postgres', true],
          ['paused', '30 seconds', 'select 2', 'postgres', false],
        ],
        queue: [{ to: 'ada' }],
        roles: [
          ['app_owner', false, null],
          ['clerk', true, ['search_path=shop']],
          ['reporter', true, ['statement_timeout=7s']],
        ],
        large_object: ['app_owner', '{app_owner=rw/app_owner,reporter=r/app_owner}'],
        may_schedule: true,
        migrations: 2,
      });
      expect(before.notes).toEqual([{ id: 1, body: 'for all' }]);
    },
    movingMs,
  );

  it(
    'is the same on PGlite',
    async () => {
      expect(await move('pglite')).toMatchObject({ from: 'embedded', to: 'pglite', notices: [] });
      const there = await look();
      expect(there.engine).toMatch(/^pglite postgresql 18\./);
      expect({ ...there, engine: before.engine }).toEqual(before);
    },
    movingMs,
  );

  it(
    'is the same when it is back',
    async () => {
      expect(await move('embedded')).toMatchObject({ from: 'pglite', to: 'embedded', notices: [] });
      expect(await look()).toEqual(before);
    },
    movingMs,
  );
});

async function move(to: string): Promise<unknown> {
  const moved = await runCli(['engine', 'move', to, '--json', '--project', project.folder], {
    timeoutMs: movingMs,
  });
  if (moved.code !== 0) throw new Error(moved.stderr);
  return JSON.parse(moved.stdout);
}

/** What people see of the project: its export, written beside the running backend, and what works in it. */
async function look() {
  await using backend = await startBackend(project.folder, [], { ownData: true, timeoutMs: movingMs });
  const { API_URL, DB_URL, PUBLISHABLE_KEY, ENGINE } = backend.report;
  const exported = await runCli(['export', '--project', project.folder], { timeoutMs: movingMs });
  expect(exported).toMatchObject({ code: 0 });
  const notes = await createClient(API_URL, PUBLISHABLE_KEY).from('notes').select('id, body');
  const held = await withClient({ connectionString: DB_URL }, (client) => client.query(heldQuery));
  const clerk = new URL(DB_URL);
  clerk.username = 'clerk';
  clerk.password = 'a password of theirs';
  const { rows } = await withClient({ connectionString: clerk.href }, (client) =>
    client.query('select current_user as who, count(*)::int as things from things'),
  );
  // ICU of one build writes the same locale so, that of the other so.
  const script = exported.stdout.replace("'en-u-kn'", "'en-u-kn-true'");
  return { engine: ENGINE, script, notes: notes.data, held: held.rows[0], clerk: rows[0] };
}
