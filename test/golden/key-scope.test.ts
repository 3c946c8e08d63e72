// In charge of: a key that is for some names only, over the whole line of the Data API: it reaches no other table or function, whichever
// way a request names it. Each refusal stands beside its allowed twin.
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cancellation } from '../../src/base/cancellation.ts';
import { openCatalog } from '../../src/engine/catalog/source.ts';
import type { Database } from '../../src/engine/db/database.ts';
import type { Caller, TablePrefix } from '../../src/engine/identity/caller.ts';
import type { Ctx, Running } from '../../src/engine/service/contract.ts';
import { rest } from '../../src/services/rest/service.ts';
import type { RestSettings } from '../../src/services/rest/settings.ts';
import { openTestDatabase, type TestDatabase } from '../harness/database.ts';

const schema = `
create schema billing;
create table public.shop_owners (id int primary key, name text);
create table public.secrets (id int primary key, word text);
create table public.shop_items (
  id int primary key, name text, owner_id int references public.shop_owners, secret_id int references public.secrets,
  parent_id int references public.shop_items
);
create table public.shop_tags (id int primary key, label text);
create table public.shop_item_tags (
  item_id int references public.shop_items, tag_id int references public.shop_tags, primary key (item_id, tag_id)
);
create table public.shop_flags (id int primary key, label text);
create table public.item_flags (
  item_id int references public.shop_items, flag_id int references public.shop_flags, primary key (item_id, flag_id)
);
create table billing.invoices (id int primary key, shop_id int);
create table billing.shop_totals (id int primary key);
create function public.shop_label(public.shop_items) returns text stable language sql as $$ select 'label ' || $1.name $$;
create function public.leak_label(public.shop_items) returns text stable language sql as $$ select word from public.secrets $$;
create function public.shop_owner_of(public.shop_items) returns setof public.shop_owners rows 1 stable language sql
  as $$ select * from public.shop_owners where id = $1.owner_id $$;
create function public.shop_secret_of(public.shop_items) returns setof public.secrets rows 1 stable language sql
  as $$ select * from public.secrets $$;
create function public.leak_owner_of(public.shop_items) returns setof public.shop_owners rows 1 stable language sql
  as $$ select * from public.shop_owners $$;
create function public.shop_search() returns setof public.shop_items stable language sql as $$ select * from public.shop_items $$;
create function public.shop_stats() returns table (total int, label text) stable language sql as $$ select 1, 'one' $$;
create function public.shop_count() returns int stable language sql as $$ select 1 $$;
create function public.leak_any(anyelement) returns text stable language sql as $$ select word from public.secrets $$;
create domain public."text/x-lines" as text;
create function public.leak_line(state public."text/x-lines", next public.shop_items) returns public."text/x-lines"
  stable language sql as $$ select (state || word)::public."text/x-lines" from public.secrets $$;
create aggregate public.leak_lines(public.shop_items) (initcond = '', stype = public."text/x-lines", sfunc = public.leak_line);
create function public.leak(n int default 1) returns text stable language sql as $$ select word from public.secrets $$;
insert into public.shop_owners values (1, 'Ada');
insert into public.secrets values (1, 'xyzzy');
insert into public.shop_items values (1, 'lamp', 1, 1, null);
insert into public.shop_tags values (1, 'bright');
insert into public.shop_item_tags values (1, 1);
insert into public.shop_flags values (1, 'new');
insert into public.item_flags values (1, 1);
grant usage on schema public, billing to anon;
grant all on all tables in schema public, billing to anon;
grant execute on all functions in schema public to anon;`;

let test: TestDatabase;
let database: Database;
let running: Running;
beforeAll(async () => {
  test = await openTestDatabase();
  await test.run(schema);
  database = await test.open();
  const { db } = database;
  const defaults = Object.fromEntries(
    Object.entries(rest.settings).map(([name, setting]) => [name, setting.default]),
  ) as unknown as RestSettings;
  const values: RestSettings = {
    ...defaults,
    schemas: ['public', 'billing'],
    aggregates: true,
    plans: true,
    txEnd: 'commit',
  };
  const catalog = await openCatalog({
    db,
    reader: 'authenticator',
    scope: () => rest.catalogScope(values),
    observe: () => {},
  });
  // Sound: the Data API uses nothing else of what services get.
  const ctx = { db, catalog, observe: () => {} } as unknown as Ctx;
  running = await rest.open(ctx, { now: () => values, onChange: () => () => {} });
});
afterAll(async () => {
  await database?.close();
  await test?.[Symbol.asyncDispose]();
});

const everything: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'key' };
const narrowedTo = (...tables: readonly TablePrefix[]): Caller => ({
  ...everything,
  key: { id: '0123456789ab', name: 'shop', services: ['rest'], tables },
});
const shop = narrowedTo({ schema: undefined, prefix: 'shop_' });

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly caller?: Caller;
}

async function ask(url: string, { method = 'GET', headers = {}, body, caller = shop }: Asked = {}) {
  const [path = '', query = ''] = url.split('?');
  const answered = await running.answer({
    method,
    path,
    query,
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    caller,
    refused: undefined,
    address: '',
    countedAs: '',
    isProxied: false,
    requestId: 'test',
    cancellation: new Cancellation(),
    timings: undefined,
    hasBody: body !== undefined,
    readBody: async () => Buffer.from(JSON.stringify(body ?? '')),
    openBody: () => Readable.from([]),
    stillWorking: () => {},
  });
  const text = String(answered.body ?? '');
  return {
    status: answered.status,
    body: (text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text) as Record<string, unknown>,
  };
}

const representation = { prefer: 'return=representation' };

describe('a key for names that begin with "shop_"', () => {
  it.each<[string, string, Asked?]>([
    ['a table', '/shop_items?select=id,name'],
    ['all columns', '/shop_items'],
    ['an embedded table', '/shop_items?select=id,shop_owners(name)'],
    ['a table embedded in an embedded one', '/shop_owners?select=shop_items(shop_tags(label))'],
    ['a spread', '/shop_items?select=id,...shop_owners(owner:name)'],
    ['a table over a junction', '/shop_items?select=shop_tags(label)'],
    [
      'a filter on an embed',
      '/shop_items?select=id,shop_owners()&shop_owners.name=eq.Ada&shop_owners=not.is.null',
    ],
    ['an order by an embed', '/shop_items?select=id,shop_owners(name)&order=shop_owners(name)'],
    ['a computed field', '/shop_items?select=id,shop_label'],
    ['a filter on a computed field', '/shop_items?select=id&shop_label=eq.label%20lamp'],
    ['a computed relationship', '/shop_items?select=shop_owner_of(name)'],
    ['a function', '/rpc/shop_search?select=id,shop_owners(name)'],
    ['the columns that a function makes', '/rpc/shop_stats'],
    ['an aggregate', '/shop_items?select=count(),owner_id'],
    ['what a function does inside', '/shop_items?select=shop_label&limit=1'],
    [
      'a write',
      '/shop_tags?select=id',
      { method: 'POST', body: { id: 7, label: 'x' }, headers: representation },
    ],
    ['a change', '/shop_tags?id=eq.7', { method: 'PATCH', body: { label: 'y' } }],
    ['a deletion', '/shop_tags?id=eq.7', { method: 'DELETE' }],
    ['its methods', '/shop_items', { method: 'OPTIONS' }],
    ['its methods, of a function', '/rpc/shop_search', { method: 'OPTIONS' }],
    ['a name in another schema', '/shop_totals', { headers: { 'accept-profile': 'billing' } }],
  ])('is for %s', async (_, url, asked) => {
    const { status, body } = await ask(url, asked);
    expect({ status, body }).toMatchObject({ status: expect.toSatisfy((code) => code < 300) });
  });

  it.each<[string, string, string, Asked?]>([
    ['a table', 'table "public.secrets"', '/secrets'],
    ['a table, without its rows', 'table "public.secrets"', '/secrets', { method: 'HEAD' }],
    ['an embedded table', 'table "public.secrets"', '/shop_items?select=id,secrets(word)'],
    [
      'an embedded table by another name',
      'table "public.secrets"',
      '/shop_items?select=id,shop_x:secrets(word)',
    ],
    ['a table embedded by its key', 'table "public.secrets"', '/shop_items?select=id,secret_id(word)'],
    [
      'a table embedded in an embedded one',
      'table "public.secrets"',
      '/shop_owners?select=shop_items(secrets(word))',
    ],
    ['a spread', 'table "public.secrets"', '/shop_items?select=id,...secrets(word)'],
    [
      'an embed that only filters',
      'table "public.secrets"',
      '/shop_items?select=id,secrets()&secrets.word=eq.xyzzy',
    ],
    ['an embed that is only joined', 'table "public.secrets"', '/shop_items?select=id,secrets!inner()'],
    ['a null test of an embed', 'table "public.secrets"', '/shop_items?select=id,secrets()&secrets=is.null'],
    ['a count of embedded rows', 'table "public.item_flags"', '/shop_items?select=item_flags(count())'],
    [
      'a junction between two tables of its own',
      'table "public.item_flags"',
      '/shop_items?select=shop_flags(label)',
    ],
    ['a computed field', 'computed field "leak_label"', '/shop_items?select=id,leak_label'],
    [
      'a computed field by another name',
      'computed field "leak_label"',
      '/shop_items?select=shop_y:leak_label',
    ],
    [
      'a filter on a computed field',
      'computed field "leak_label"',
      '/shop_items?select=id&leak_label=like.x*',
    ],
    [
      'one within a condition',
      'computed field "leak_label"',
      '/shop_items?select=id&or=(id.eq.1,and(id.gt.0,leak_label.like.x*))',
    ],
    ['an order by a computed field', 'computed field "leak_label"', '/shop_items?select=id&order=leak_label'],
    [
      'an order by a computed field of an embed',
      'computed field "leak_label"',
      '/shop_tags?select=id,shop_item_tags(shop_items(id))&shop_item_tags.order=shop_items(leak_label)',
    ],
    [
      'a function of any row in the place of a field',
      'computed field "to_jsonb"',
      '/shop_items?select=to_jsonb',
    ],
    ['one in an embed', 'computed field "leak_label"', '/shop_owners?select=shop_items(leak_label)'],
    ['one of a function’s rows', 'computed field "leak_label"', '/rpc/shop_search?select=leak_label'],
    [
      'a function of any row among a function’s columns',
      'computed field "leak_any"',
      '/rpc/shop_stats?select=total:leak_any',
    ],
    ['what may be one', 'computed field "total"', '/rpc/shop_stats?select=total'],
    ['a filter by one', 'computed field "leak_any"', '/rpc/shop_stats?leak_any=like.x*'],
    [
      'a function that renders the rows',
      'function "public.leak_lines"',
      '/shop_items',
      { headers: { accept: 'text/x-lines' } },
    ],
    [
      'one that decides what is deleted',
      'computed field "leak_label"',
      '/shop_items?leak_label=eq.x',
      { method: 'DELETE' },
    ],
    [
      'one that decides what is changed',
      'computed field "leak_label"',
      '/shop_items?leak_label=eq.x',
      { method: 'PATCH', body: { name: 'x' } },
    ],
    [
      'one in what a write gives back',
      'computed field "leak_label"',
      '/shop_tags?select=id,shop_item_tags(shop_items(leak_label))',
      { method: 'POST', body: { id: 9 }, headers: representation },
    ],
    [
      'a computed relationship by its function',
      'function "public.leak_owner_of"',
      '/shop_items?select=leak_owner_of(name)',
    ],
    [
      'a computed relationship by its rows',
      'table "public.secrets"',
      '/shop_items?select=shop_secret_of(word)',
    ],
    ['a function', 'function "public.leak"', '/rpc/leak'],
    ['a function by POST', 'function "public.leak"', '/rpc/leak', { method: 'POST', body: { n: 1 } }],
    ['an embed of a function’s rows', 'table "public.secrets"', '/rpc/shop_search?select=id,secrets(word)'],
    ['a write', 'table "public.secrets"', '/secrets', { method: 'POST', body: { id: 2, word: 'x' } }],
    [
      'an upsert of one row',
      'table "public.secrets"',
      '/secrets?id=eq.2',
      { method: 'PUT', body: { id: 2, word: 'x' } },
    ],
    ['a change', 'table "public.secrets"', '/secrets?id=eq.1', { method: 'PATCH', body: { word: 'x' } }],
    ['a deletion', 'table "public.secrets"', '/secrets', { method: 'DELETE' }],
    [
      'what a write gives back',
      'table "public.secrets"',
      '/shop_items?select=id,secrets(word)&id=eq.1',
      { method: 'PATCH', body: { name: 'lamp' }, headers: representation },
    ],
    ['its methods', 'table "public.secrets"', '/secrets', { method: 'OPTIONS' }],
    ['its methods, of a function', 'function "public.leak"', '/rpc/leak', { method: 'OPTIONS' }],
    [
      'a plan',
      'table "public.secrets"',
      '/secrets',
      { headers: { accept: 'application/vnd.pgrst.plan+json' } },
    ],
    [
      'a name in another schema',
      'table "billing.invoices"',
      '/invoices',
      { headers: { 'accept-profile': 'billing' } },
    ],
    ['a name that only holds the beginning', 'table "public.item_flags"', '/item_flags'],
  ])('is not for %s', async (_, what, url, asked) => {
    // The request is one that another key may make, so that nothing else is what refuses it.
    const { status, body } = await ask(url, asked);
    expect({ status, code: body.code, message: body.message }).toEqual({
      status: 403,
      code: 'key_not_for_table',
      message: `The API key is not for the ${what}`,
    });
    expect((await ask(url, { ...asked, caller: everything })).body.code).not.toBe('key_not_for_table');
  });
});

describe('the scope', () => {
  it('is asked of each request, also of one whose statement is known already', async () => {
    const url = '/secrets?select=word&id=eq.1';
    expect(await ask(url, { caller: everything })).toMatchObject({ status: 200 });
    expect(await ask(url)).toMatchObject({ status: 403 });
    expect(await ask(url, { caller: everything })).toMatchObject({ status: 200 });
  });

  it('holds for each request of a batch, and refuses all of it', async () => {
    const batch = (path: string) => ({
      method: 'POST',
      body: [
        { method: 'POST', path: '/shop_tags', body: { id: 50, label: 'z' } },
        { method: 'GET', path },
      ],
    });
    expect(await ask('/', batch('/secrets'))).toMatchObject({
      status: 403,
      body: { code: 'key_not_for_table', index: 1 },
    });
    expect(await test.run('select count(*)::int from public.shop_tags where id = 50')).toEqual([
      { count: 0 },
    ]);
    expect(await ask('/', batch('/shop_tags?select=id'))).toMatchObject({ status: 200 });
  });

  it('may be of one schema, and all of it', async () => {
    const one = narrowedTo({ schema: 'public', prefix: 'shop_' });
    const all = narrowedTo({ schema: 'billing', prefix: '' });
    const billing = { headers: { 'accept-profile': 'billing' } };
    expect((await ask('/shop_items', { caller: one })).status).toBe(200);
    expect((await ask('/shop_totals', { ...billing, caller: one })).status).toBe(403);
    expect((await ask('/invoices', { ...billing, caller: all })).status).toBe(200);
    expect((await ask('/shop_items', { caller: all })).status).toBe(403);
    // Which schema a computed field's function is in is the search path's to say.
    expect((await ask('/shop_items?select=shop_label', { caller: one })).status).toBe(403);
  });

  it('of several beginnings is all of them, and of none nothing', async () => {
    const two = narrowedTo({ schema: undefined, prefix: 'shop_' }, { schema: 'public', prefix: 'secrets' });
    expect((await ask('/shop_items?select=id,secrets(word)', { caller: two })).status).toBe(200);
    expect((await ask('/shop_items', { caller: narrowedTo() })).status).toBe(403);
  });

  it('heeds the case of letters', async () => {
    const upper = narrowedTo({ schema: undefined, prefix: 'SHOP_' });
    expect((await ask('/shop_items', { caller: upper })).status).toBe(403);
  });

  it('says nothing of other names in what planning suggests', async () => {
    const { body } = await ask('/secret');
    expect(body).toMatchObject({ code: 'PGRST205', hint: null });
    expect(JSON.stringify(body)).not.toContain('secrets');
    // To a key that is for everything it does.
    expect((await ask('/secret', { caller: everything })).body.hint).toContain('secrets');
    expect(JSON.stringify((await ask('/shop_items?select=secretz(id)')).body)).not.toContain('secrets');
    expect(JSON.stringify((await ask('/rpc/leek')).body)).not.toContain('leak');
    const batch = { method: 'POST', body: [{ method: 'GET', path: '/secret' }] };
    expect(JSON.stringify((await ask('/', batch)).body)).not.toContain('secrets');
  });
});

describe('the description at the root', () => {
  it('shows a key the names that it is for', async () => {
    const { status, body } = await ask('/', { headers: { accept: 'application/openapi+json' } });
    expect(status).toBe(200);
    expect(Object.keys(body.paths as object).sort()).toEqual([
      '/',
      '/rpc/shop_count',
      '/rpc/shop_search',
      '/rpc/shop_stats',
      '/shop_flags',
      '/shop_item_tags',
      '/shop_items',
      '/shop_owners',
      '/shop_tags',
    ]);
    expect(JSON.stringify(body)).not.toMatch(/secrets|item_flags|leak/);
  });

  it('shows everything to other keys', async () => {
    const { body } = await ask('/', { headers: { accept: 'application/openapi+json' }, caller: everything });
    expect(Object.keys(body.paths as object)).toEqual(expect.arrayContaining(['/secrets', '/rpc/leak']));
  });
});
