// In charge of: every method of supabase-js's query builder that test/supabase-js.test.ts has no story for, over a real socket; and that none is forgotten.
import { readFileSync } from 'node:fs';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

const config = `project_id = "methods"
[api]
auto_expose_new_tables = true
schemas = ["public", "archive"]
plan_enabled = true
tx_end = "commit-allow-override"
`;
const schema = `
create table public.rooms (id int primary key, name text not null, hours int4range, seats int[], doc jsonb, closed boolean);
insert into public.rooms values
  (1, 'Reading room', '[8,18)', '{4,6}', '{"floor": 1}', false),
  (2, 'Map room', '[18,20)', '{2}', '{"floor": 2}', null),
  (3, 'Cellar', '[20,24)', '{}', '{}', true);
analyze public.rooms;
create function public.open_at(hour int) returns setof public.rooms stable language sql
  as $$ select * from public.rooms where hours @> hour $$;
create schema archive;
create table archive.papers (id int primary key);
insert into archive.papers values (7);
grant usage on schema archive to anon;
grant select on archive.papers to anon;
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
/** Types that know maxAffected: the client takes a server without a version for an old one. */
// biome-ignore lint/suspicious/noExplicitAny: the client's own default for a database without types.
let client: SupabaseClient<any, { PostgrestVersion: '14' }>;
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': config,
    'supabase/migrations/20260101000000_rooms.sql': schema,
  });
  backend = await startBackend(project.folder);
  client = createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
    auth: { persistSession: false },
  });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const ok = { success: true, error: null, count: null, status: 200, statusText: 'OK' };
const rooms = () => client.from('rooms').select('id').order('id');

describe('a filter', () => {
  it.each<[string, (from: ReturnType<typeof rooms>) => PromiseLike<unknown>, number[]]>([
    ['likeAllOf', (from) => from.likeAllOf('name', ['%room', 'M%']), [2]],
    ['likeAnyOf', (from) => from.likeAnyOf('name', ['Map%', 'Cel%']), [2, 3]],
    ['ilikeAllOf', (from) => from.ilikeAllOf('name', ['%ROOM', 'm%']), [2]],
    ['ilikeAnyOf', (from) => from.ilikeAnyOf('name', ['map%', 'cel%']), [2, 3]],
    ['regexMatch', (from) => from.regexMatch('name', '^(Map|Cel)'), [2, 3]],
    ['regexIMatch', (from) => from.regexIMatch('name', 'ROOM$'), [1, 2]],
    ['isDistinct', (from) => from.isDistinct('closed', true), [1, 2]],
    ['is true', (from) => from.is('closed', true), [3]],
    ['notIn', (from) => from.notIn('id', [1, 3]), [2]],
    ['contains, an array', (from) => from.contains('seats', [4]), [1]],
    ['contains, a document', (from) => from.contains('doc', { floor: 2 }), [2]],
    ['contains, a range', (from) => from.contains('hours', '[8,9)'), [1]],
    ['containedBy, an array', (from) => from.containedBy('seats', [2, 3]), [2, 3]],
    ['containedBy, a document', (from) => from.containedBy('doc', { floor: 1, more: true }), [1, 3]],
    ['containedBy, a range', (from) => from.containedBy('hours', '[0,20)'), [1, 2]],
    ['overlaps, an array', (from) => from.overlaps('seats', [6, 2]), [1, 2]],
    ['overlaps, a range', (from) => from.overlaps('hours', '[17,19)'), [1, 2]],
    ['rangeLt', (from) => from.rangeLt('hours', '[18,20)'), [1]],
    ['rangeLte', (from) => from.rangeLte('hours', '[18,20)'), [1, 2]],
    ['rangeGt', (from) => from.rangeGt('hours', '[18,20)'), [3]],
    ['rangeGte', (from) => from.rangeGte('hours', '[18,20)'), [2, 3]],
    ['rangeAdjacent', (from) => from.rangeAdjacent('hours', '[18,20)'), [1, 3]],
  ])('%s', async (_, narrow, ids) => {
    expect(await narrow(rooms())).toEqual({ ...ok, data: ids.map((id) => ({ id })) });
  });
});

describe('an answer', () => {
  it('stripNulls leaves out what is null', async () => {
    const rows = client.from('rooms').select('id, closed').order('id').stripNulls();
    expect(await rows).toEqual({
      ...ok,
      data: [{ id: 1, closed: false }, { id: 2 }, { id: 3, closed: true }],
    });
    expect(await client.from('rooms').select('id, closed').eq('id', 2).single().stripNulls()).toEqual({
      ...ok,
      data: { id: 2 },
    });
  });

  it('explain is the plan, as text and as JSON', async () => {
    const text = await client.from('rooms').select('id').explain();
    expect(text).toMatchObject({ status: 200, data: expect.stringMatching(/^Aggregate {2}\(cost=/) });
    const json = await client
      .from('rooms')
      .select('id')
      .explain({ format: 'json', analyze: true, settings: true });
    expect(json).toMatchObject({
      status: 200,
      data: [{ Plan: { 'Node Type': 'Aggregate', 'Actual Rows': 1 } }],
    });
  });

  it('rollback answers, and keeps nothing', async () => {
    const row = { id: 9, name: 'Attic' };
    expect(await client.from('rooms').insert(row).select('id').rollback()).toMatchObject({
      status: 201,
      data: [{ id: 9 }],
    });
    expect(await rooms().eq('id', 9)).toEqual({ ...ok, data: [] });
  });

  it('maxAffected refuses more, and undoes', async () => {
    const close = (most: number) =>
      client.from('rooms').update({ closed: true }).lt('id', 3).maxAffected(most).select('id');
    expect(await close(1)).toMatchObject({
      status: 400,
      error: { code: 'PGRST124', details: 'The query affects 2 rows' },
    });
    expect(await close(2).rollback()).toMatchObject({ status: 200 });
    expect(await client.from('rooms').select('id').is('closed', true)).toEqual({ ...ok, data: [{ id: 3 }] });
  });

  it('geojson says which function it would need', async () => {
    // The embedded PostgreSQL has no PostGIS.
    expect(await client.from('rooms').select('id').geojson()).toMatchObject({
      status: 404,
      error: { code: '42883', message: 'function st_asgeojson(record) does not exist' },
    });
  });

  it('throwOnError throws what is wrong', async () => {
    await expect(client.from('room').select().throwOnError()).rejects.toMatchObject({
      code: 'PGRST205',
      hint: "Perhaps you meant the table 'public.rooms'",
    });
  });

  it('returns and overrideTypes are about types alone', async () => {
    const rows = { ...ok, data: [{ id: 2 }] };
    expect(await rooms().eq('id', 2).returns<{ id: number }[]>()).toEqual(rows);
    expect(await rooms().eq('id', 2).overrideTypes<{ id: number }[]>()).toEqual(rows);
  });

  it.each(['planned', 'estimated'] as const)('count: %s', async (count) => {
    expect(await client.from('rooms').select('id', { count, head: true })).toEqual({
      ...ok,
      data: null,
      count: 3,
    });
  });
});

describe('a request', () => {
  it('setHeader reaches the transaction, and retry is heeded', async () => {
    const rows = rooms().setHeader('Prefer', 'handling=strict, timezone=Nowhere/Land').retry(false);
    expect(await rows).toMatchObject({ status: 400, error: { code: 'PGRST122' } });
  });

  it('schema speaks to another one', async () => {
    expect(await client.schema('archive').from('papers').select()).toEqual({ ...ok, data: [{ id: 7 }] });
  });

  it('rpc is filtered, ordered and embedded like a table', async () => {
    const open = client
      .rpc('open_at', { hour: 19 }, { get: true })
      .select('name')
      .order('id')
      .limit(1)
      .maybeSingle();
    expect(await open).toEqual({ ...ok, data: { name: 'Map room' } });
  });

  it('getOpenApiSpec gives the description of its schema', async () => {
    const { data, status } = await client.schema('archive').getOpenApiSpec();
    expect(status).toBe(200);
    expect(data).toMatchObject({ swagger: '2.0', definitions: { papers: { required: ['id'] } } });
  });
});

describe('the methods of the builder', () => {
  /** How the client does it, and what every promise has. */
  const inner = [
    'constructor',
    'fetch',
    'then',
    'cloneRequestState',
    'processResponse',
    'wrapFetch',
    'baseFetch',
    'decorateFetch',
  ];

  it('are all called here or in the other file', () => {
    const tested = ['./supabase-js.test.ts', './supabase-js-methods.test.ts']
      .map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'))
      .join('');
    const names = [client.schema('public'), client.from('rooms'), rooms()].flatMap((builder) =>
      methodsOf(builder),
    );
    expect(names).toContain('notIn');
    expect([...new Set(names)].filter((name) => !inner.includes(name) && !isCalled(tested, name))).toEqual(
      [],
    );
  });

  function methodsOf(builder: object): readonly string[] {
    const names: string[] = [];
    for (let at: object = builder; at !== Object.prototype; at = Object.getPrototypeOf(at))
      for (const name of Object.getOwnPropertyNames(at))
        if (typeof (builder as Readonly<Record<string, unknown>>)[name] === 'function') names.push(name);
    return names;
  }

  const isCalled = (text: string, name: string) => new RegExp(`\\.${name}[(<]`).test(text);
});
