// In charge of: a batch in the hands of somebody who wants more than a request on its own would give: another caller, another's headers, a part of
// it kept or undone, what an earlier request left behind, a server that breaks.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataApi, openDataApi } from './harness.ts';

let api: DataApi;
let guarded: DataApi;
const project = `
  create table public.numbers (n numeric primary key);
  create table public.parents (id int primary key);
  create table public.children (id int primary key, parent_id int references public.parents deferrable initially deferred);
  create table public.seen (path text, method text, caller text);
  grant all on all tables in schema public to anon;
  create function public.loud() returns int language plpgsql as $$ begin
    perform set_config('response.headers', '[{"X-Loud": "yes"}]', true);
    perform set_config('response.status', '299', true);
    return 1;
  end $$;
  create function public.setting(name text) returns text stable language sql as $$ select current_setting(name, true) $$;
  create function public.patient() returns text stable language sql set statement_timeout = '77s' as $$ select current_setting('statement_timeout') $$;
  create function public.exact() returns text stable language sql set default_transaction_isolation = 'serializable' as $$ select 'x' $$;
  create function public.become(role text) returns text language plpgsql as $$ begin
    perform set_config('role', role, true);
    perform set_config('request.jwt.claims', '{"role": "service_role", "sub": "somebody"}', true);
    return current_user;
  end $$;
  create function public.who() returns json stable language sql as $$
    select json_build_object('user', current_user, 'claims', current_setting('request.jwt.claims', true)::json ->> 'sub') $$;
  create function public.write_down() returns int language sql as $$ insert into public.seen (path) values ('sneaked') returning 1 $$;
  create view public.sneaky as select public.write_down() as written from generate_series(1, 1);
  grant select on public.sneaky to anon;
  create domain public."application/vnd.broken+json" as text;
  create function public.broken() returns public."application/vnd.broken+json" stable language sql as $$ select '{"a":' $$;
  create function public.big() returns json stable language sql as $$ select '{"n": 9007199254740993.10}'::json $$;
  create function public.long() returns text stable language sql as $$ select repeat('x', 8000000) $$;
  create function public.guard() returns void language plpgsql as $$ begin
    if current_setting('transaction_read_only') = 'off' then
      insert into public.seen values (current_setting('request.path'), current_setting('request.method'), current_user);
    end if;
    if current_setting('request.path') = '/readers' then
      raise sqlstate 'PT403' using message = 'not these';
    end if;
  end $$;
`;
beforeAll(async () => {
  api = await openDataApi(() => {}, { txEnd: 'commit-allow-override' });
  await api.test.run(project);
  await api.reload();
  guarded = await openDataApi(() => {}, { txEnd: 'commit', preRequest: 'public.guard' });
  await guarded.test.run(project);
  await guarded.reload();
});
afterAll(async () => {
  await api?.[Symbol.asyncDispose]();
  await guarded?.[Symbol.asyncDispose]();
});

interface Part {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

async function send(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
  to: DataApi = api,
) {
  const response = await to.request('/', { method: 'POST', headers, body });
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

async function batch(items: unknown, headers: Record<string, string> = {}, to: DataApi = api) {
  const { status, text } = await send(JSON.stringify(items), headers, to);
  return { status, body: JSON.parse(text) };
}

async function parts(items: unknown, headers: Record<string, string> = {}, to: DataApi = api) {
  const { status, body } = await batch(items, headers, to);
  expect({ status, body }).toMatchObject({ status: 200 });
  return body as readonly Part[];
}

const get = (path: string, headers?: Record<string, string>) => ({ method: 'GET', path, headers });
const call = (name: string, body: unknown = {}) => ({ method: 'POST', path: `/rpc/${name}`, body });
const setting = (name: string) => get(`/rpc/setting?name=${name}`);
const bodies = (found: readonly Part[]) => found.map(({ body }) => body);

describe('what one request sets', () => {
  it('for its response is not in the next one', async () => {
    const [first, second] = await parts([call('loud'), get('/books?select=id')]);
    expect(first).toMatchObject({ status: 299, headers: { 'x-loud': 'yes' } });
    expect(second!.status).toBe(200);
    expect(second!.headers).not.toHaveProperty('x-loud');
  });

  it('as its count of inserted rows does not make an update of the next an insert', async () => {
    const upsert = (...ids: number[]) => ({
      method: 'POST',
      path: '/authors',
      headers: { Prefer: 'resolution=merge-duplicates' },
      body: ids.map((id) => ({ id, name: 'A' })),
    });
    expect((await parts([upsert(71, 72), upsert(71), upsert(71, 73)])).map(({ status }) => status)).toEqual([
      201, 200, 201,
    ]);
  });

  it.each(['America/New_York', '-4'])('as its time zone (%s) is its own', async (zone) => {
    const [alone, own, next] = bodies(
      await parts([
        setting('timezone'),
        { ...setting('timezone'), headers: { Prefer: `timezone=${zone}` } },
        setting('timezone'),
      ]),
    );
    expect(own).not.toBe(alone);
    expect(next).toBe(alone);
  });

  it('by a function that is called is not there for the next', async () => {
    const [before, own, after] = bodies(
      await parts([setting('statement_timeout'), call('patient'), setting('statement_timeout')]),
    );
    expect(own).toBe('77s');
    expect(after).toBe(before);
  });

  it('as role and claims is for no one but it', async () => {
    const [, next] = bodies(await parts([call('become', { role: 'authenticated' }), get('/rpc/who')]));
    expect(next).toEqual({ user: 'anon', claims: null });
  });
});

describe('a request of a batch', () => {
  it.each([
    'authorization',
    'apikey',
    'X-Forwarded-For',
    'Forwarded',
    'Cookie',
    'Host',
    'Content-Length',
    '__proto__',
  ])('may not say %s for itself', async (name) => {
    const { status, text } = await send(
      `[{"method": "GET", "path": "/books", "headers": {${JSON.stringify(name)}: "127.0.0.1"}}]`,
    );
    expect({ status, ...JSON.parse(text) }).toMatchObject({
      status: 400,
      code: 'PGRST102',
      message: expect.stringContaining(`may not have the header "${name.toLowerCase()}"`),
    });
  });

  it('may repeat what the batch says', async () => {
    await parts([get('/books', { 'X-Client-Info': 'sdk' })], { 'x-client-info': 'sdk' });
    const [headers] = bodies(await parts([setting('request.headers')], { 'x-client-info': 'sdk' }));
    expect(JSON.parse(String(headers))).toMatchObject({ 'x-client-info': 'sdk' });
  });

  it('may not end by itself', async () => {
    for (const tx of ['commit', 'rollback']) {
      const item = { ...call('loud'), headers: { Prefer: `count=exact, tx=${tx}` } };
      expect(await batch([item])).toMatchObject({ status: 400, body: { code: 'PGRST102' } });
    }
  });

  it('may not ask for more isolation than the batch has', async () => {
    expect(await batch([get('/books'), call('exact')])).toMatchObject({
      status: 400,
      body: { code: 'PGRST102', index: 1, message: expect.stringContaining('serializable') },
    });
  });

  it('may not write when it reads, however it counts', async () => {
    for (const count of ['exact', 'planned', 'estimated']) {
      const refused = await batch([get('/sneaky', { Prefer: `count=${count}` })]);
      expect({ count, ...refused }).toMatchObject({ count, body: { code: '25006', index: 0 } });
    }
    expect(await api.test.run(`select from public.seen where path = 'sneaked'`)).toEqual([]);
  });

  it.each([
    ['a method that there is not', { method: 'BREW', path: '/books' }, 405, 'PGRST117'],
    ['a method in lower case', { method: 'get', path: '/books' }, 405, 'PGRST117'],
    ['a batch by another way of writing it', { method: 'POST', path: '/?a=b' }, 400, 'PGRST102'],
    ['an escaped batch', { method: 'POST', path: '/%2F', body: {} }, 404, 'PGRST205'],
    ['a path of another service', { method: 'GET', path: '//auth/v1/admin/users' }, 404, 'PGRST125'],
    ['a path with the mount', { method: 'GET', path: '/rest/v1/books' }, 404, 'PGRST125'],
    ['a null character', { method: 'GET', path: '/books?title=eq.\0' }, 400, 'PGRST102'],
    ['an escaped null character', { method: 'GET', path: '/books?title=eq.%00' }, 400, '22021'],
    [
      'a line break in a header',
      { method: 'GET', path: '/books', headers: { Prefer: 'a\r\nX: y' } },
      400,
      'PGRST102',
    ],
    ['a line of any length', { method: 'GET', path: `/books?id=eq.${'1'.repeat(20_000)}` }, 400, 'PGRST102'],
    ['a body that is no JSON', { method: 'POST', path: '/books', body: '{' }, 400, 'PGRST102'],
  ])('with %s is refused as it would be alone', async (_, item, status, code) => {
    expect(await batch([item])).toMatchObject({ status, body: { code } });
  });

  it('may ask without a body, or only what there is', async () => {
    const [head, options] = await parts([
      { method: 'HEAD', path: '/books' },
      { method: 'OPTIONS', path: '/books' },
    ]);
    expect(head).toMatchObject({ status: 200, body: null, headers: { 'content-range': expect.anything() } });
    expect(options).toMatchObject({
      status: 200,
      body: null,
      headers: { allow: expect.stringContaining('GET') },
    });
  });

  it('passes the pre-request for itself, which may refuse it', async () => {
    await parts([get('/books'), call('add', { a: 1 })], {}, guarded);
    expect(await guarded.test.run('select * from public.seen')).toEqual([]);
    await parts([{ method: 'PATCH', path: '/books?id=eq.1', body: { year: 1 } }, call('loud')], {}, guarded);
    expect(await guarded.test.run('select * from public.seen order by path')).toEqual([
      { path: '/books', method: 'PATCH', caller: 'anon' },
      { path: '/rpc/loud', method: 'POST', caller: 'anon' },
    ]);
    const items = [{ method: 'PATCH', path: '/books?id=eq.1', body: { year: 2 } }, get('/readers')];
    expect(await batch(items, {}, guarded)).toMatchObject({ status: 403, body: { index: 1 } });
    expect(await guarded.test.run('select year from public.books where id = 1')).toEqual([{ year: 1 }]);
  });
});

describe('a batch', () => {
  it('is kept or undone as a whole, and says so', async () => {
    const item = { method: 'POST', path: '/authors', body: { id: 80, name: 'B' } };
    const undone = await send(JSON.stringify([item]), { prefer: 'tx=rollback' });
    expect(undone.headers.get('preference-applied')).toBe('tx=rollback');
    expect(await api.test.run('select from public.authors where id = 80')).toEqual([]);
    await parts([item], { prefer: 'tx=commit' });
    expect(await api.test.run('select from public.authors where id = 80')).toHaveLength(1);
  });

  it.each(['commit', 'rollback'])('is held to deferred constraints at its end, before its %s', async (tx) => {
    const id = tx === 'commit' ? 1 : 2;
    const child = { method: 'POST', path: '/children', body: { id, parent_id: id } };
    const headers = { prefer: `tx=${tx}` };
    expect(await batch([child], headers)).toMatchObject({ status: 409, body: { code: '23503' } });
    await parts([child, { method: 'POST', path: '/parents', body: { id } }], headers);
  });

  it('passes numbers as they were written, in and out', async () => {
    const written = '123456789012345678901234567890.12345678901234567890';
    const { status, text } = await send(
      `[{"method": "POST", "path": "/numbers", "headers": {"Prefer": "return=representation"}, "body": {"n": ${written}}},
        {"method": "GET", "path": "/rpc/big"}]`,
    );
    expect(status).toBe(200);
    expect(text).toContain(`"body":[{"n":${written}}]`);
    expect(text).toContain('"body":{"n": 9007199254740993.10}');
  });

  it('stays JSON when a function calls something JSON that is none', async () => {
    const [found] = await parts([get('/rpc/broken', { Accept: 'application/vnd.broken+json' })]);
    expect(found).toMatchObject({ status: 200, body: '{"a":' });
  });

  it.each([
    ['no UTF-8', new Uint8Array([0x5b, 0xff, 0x5d])],
    ['brackets alone', '['.repeat(1_000_000)],
    ['a list of lists', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['a list of null', '[null]'],
    ['headers in a list', '[{"method": "GET", "path": "/books", "headers": ["Prefer"]}]'],
    ['a header that is a number', '[{"method": "GET", "path": "/books", "headers": {"Prefer": 1}}]'],
    ['an object that is like a list', '{"length": 1, "0": {"method": "GET", "path": "/books"}}'],
  ])('that is %s is refused', async (_, body) => {
    const { status, text } = await send(body);
    expect({ status, ...JSON.parse(text) }).toMatchObject({ status: 400, code: 'PGRST102' });
  });

  it('may hold a body of any depth, which Postgres judges', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const { status, text } = await send(`[{"method": "POST", "path": "/books", "body": ${deep}}]`);
    expect({ status, ...JSON.parse(text) }).toMatchObject({ status: 400, code: 'PGRST102' });
    const named = await send(`[{"method": "POST", "path": "/books?columns=id", "body": ${deep}}]`);
    expect({ status: named.status, ...JSON.parse(named.text) }).toMatchObject({ code: '54001', index: 0 });
  });

  it('gives no more than it can hold, and then applies nothing', async () => {
    const items = [
      { method: 'POST', path: '/authors', body: { id: 81, name: 'C' } },
      ...Array.from({ length: 9 }, () => get('/rpc/long')),
    ];
    expect(await batch(items)).toMatchObject({ status: 413, body: { code: 'PGRST102', index: 9 } });
    expect(await api.test.run('select from public.authors where id = 81')).toEqual([]);
  });

  it('of nothing is answered with nothing', async () => {
    expect(await batch([])).toEqual({ status: 200, body: [] });
  });
});
