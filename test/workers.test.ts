// In charge of: the workers within the whole program: webhooks through its own gateway, jobs by the clock, and what a kill leaves behind.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import { openOther } from './extensions/stage.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';

const files = {
  'supabase/config.toml': `project_id = "hooked"
[experimental.webhooks]
enabled = true
[egress]
allow = ["127.0.0.1"]
`,
  'supabase/migrations/20240101000000_shop.sql': `
    create extension if not exists pg_cron with schema pg_catalog;
    create extension if not exists http with schema extensions;
    create table public.orders (id int primary key, note text);
    create table public.heard (type text, "table" text, schema text, record jsonb, old_record jsonb);
    alter table public.heard enable row level security;
    create table public.beats (at timestamptz default now());
    select cron.schedule('beat', '1 second', 'insert into public.beats default values');`,
};

describe('a project with webhooks and jobs', () => {
  let project: Awaited<ReturnType<typeof makeProject>>;
  let backend: RunningBackend;
  const ask = (sql: string) =>
    withClient({ connectionString: backend.report.DB_URL }, async (client) => {
      const answer: unknown = await client.query(sql);
      // Several statements give an array of results; the last one counts.
      return ((Array.isArray(answer) ? answer.at(-1) : answer) as { rows: Record<string, unknown>[] }).rows;
    });
  beforeAll(async () => {
    project = await makeProject(files);
    backend = await startBackend(project.folder);
  });
  afterAll(async () => {
    await backend[Symbol.asyncDispose]();
    await project[Symbol.asyncDispose]();
  });

  it('tells itself of a row by `kong:8000`, under the rights of the key that the webhook carries', async () => {
    const { SERVICE_ROLE_KEY: service, ANON_KEY: anon } = backend.report;
    const hook = (
      name: string,
      key: string,
    ) => `create trigger ${name} after insert on public.orders for each row
      execute function supabase_functions.http_request('http://kong:8000/rest/v1/heard', 'POST',
        '{"Content-Type":"application/json","apikey":"${key}","Authorization":"Bearer ${key}"}', '{}', '5000')`;
    await ask(
      `${hook('by_service', service)}; ${hook('by_anon', anon)}; insert into public.orders values (1, 'new')`,
    );
    await ask('select net._await_response(request_id) from supabase_functions.hooks');
    expect(await ask('select * from public.heard')).toEqual([
      { type: 'INSERT', table: 'orders', schema: 'public', record: { id: 1, note: 'new' }, old_record: null },
    ]);
    expect(await ask('select status_code from net._http_response order by id')).toEqual(
      expect.arrayContaining([{ status_code: 201 }, { status_code: 401 }]),
    );
    expect((await ask(`select status from http_get('http://kong:8000/health')`))[0]).toEqual({ status: 200 });
  });

  it('runs the job that its migration scheduled', async () => {
    await ask(
      `do $$ begin while not exists (select from public.beats) loop perform pg_sleep(0.05); end loop; end $$`,
    );
    expect(
      await ask(
        `select distinct status, return_message from cron.job_run_details where status = 'succeeded'`,
      ),
    ).toEqual([{ status: 'succeeded', return_message: 'INSERT 0 1' }]);
  });

  it('killed in the middle, sends what still waits after the next start, and nothing twice', async () => {
    const held: (() => void)[] = [];
    let isFull!: () => void;
    const full = new Promise<void>((resolve) => {
      isFull = resolve;
    });
    let answers = false;
    await using other = await openOther((_, response) => {
      if (answers) return void response.end('ok');
      held.push(() => response.end('late'));
      if (held.length === 32) isFull();
    });
    const [{ first }] = (await ask(
      `select min(net.http_get('${other.url}/' || n, timeout_milliseconds := 60000)) as first from generate_series(1, 40) as n`,
    )) as [{ first: string }];
    await full;
    backend.process.kill('SIGKILL');
    await backend.ended;
    answers = true;
    backend = await startBackend(project.folder);
    await ask(
      `do $$ begin while (select count(*) from net._http_response where id >= ${first}) < 8 loop perform pg_sleep(0.02); end loop; end $$`,
    );
    expect(other.seen.map(({ url }) => Number(url.slice(1))).sort((one, two) => one - two)).toEqual(
      Array.from({ length: 40 }, (_, n) => n + 1),
    );
    // Those that were under way have no answer; whoever waits for one has the time of its own statement.
    expect(
      await ask(`select count(*)::int as n, min(id) as first from net._http_response where id >= ${first}`),
    ).toEqual([{ n: 8, first: String(Number(first) + 32) }]);
    expect(await ask(`select count(*)::int as n from net.http_request_queue`)).toEqual([{ n: 0 }]);
  }, 60_000);
});
