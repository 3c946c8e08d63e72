// In charge of: what an application does first: the unmodified @supabase/supabase-js on the example project, over a real socket.
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout, makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { personToken } from './harness/tokens.ts';

const mara = '5df4d32d-d327-4996-8363-37c90683ea27';
const jonas = 'bdb3cff8-5d76-4226-a768-94eb34b435b1';
const wen = '501bbd84-f4e5-4c3f-a69b-7ca2b719048d';
const linden = '3a443231-d819-41cb-8d8e-df09a9417450';
const harbour = '7cea10a6-08eb-48d4-b507-66318d718c2a';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let visitor: SupabaseClient;
let service: SupabaseClient;
beforeAll(async () => {
  project = await makeProject({}, `${checkout}/examples/tool-library`);
  backend = await startBackend(project.folder);
  visitor = connect(backend.report.PUBLISHABLE_KEY);
  service = connect(backend.report.SECRET_KEY);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function connect(key: string): SupabaseClient {
  return createClient(backend.report.API_URL, key, { auth: { persistSession: false } });
}

/** A signed-in neighbour: the token comes from somewhere else, as supabase-js allows. */
function as(
  person: string,
  how: Parameters<typeof personToken>[1] = {},
  key = backend.report.PUBLISHABLE_KEY,
): SupabaseClient {
  return createClient(backend.report.API_URL, key, { accessToken: () => personToken(person, how) });
}

const ok = { success: true, error: null, count: null, status: 200, statusText: 'OK' };
const created = { ...ok, status: 201, statusText: 'Created' };
const noContent = { ...ok, data: null, status: 204, statusText: 'No Content' };
/** A refusal, whole. */
const refused = (status: number, statusText: string, error: object) => ({
  success: false,
  data: null,
  count: null,
  status,
  statusText,
  error: { details: null, hint: null, ...error },
});

describe('select', () => {
  it('gives a visitor what the policies show to everybody', async () => {
    expect(await visitor.from('sheds').select('slug, name').order('slug')).toEqual({
      ...ok,
      data: [
        { slug: 'canal', name: 'Canal House' },
        { slug: 'harbour', name: 'Harbour Yard' },
        { slug: 'linden', name: 'Linden Street Shed' },
      ],
    });
  });

  it.each<[string, (from: ReturnType<typeof selectTools>) => PromiseLike<{ data: unknown }>, number[]]>([
    ['eq', (tools) => tools.eq('id', 17), [17]],
    ['neq and lt', (tools) => tools.neq('id', 2).lt('id', 4), [1, 3]],
    ['gt, gte, lte', (tools) => tools.gt('id', 4).gte('id', 6).lte('id', 7), [6, 7]],
    ['in', (tools) => tools.in('name', ['Jigsaw', 'Spirit level, 1.2 m']), [3, 5]],
    ['is', (tools) => tools.is('owner_id', null), [11, 22, 34]],
    ['like', (tools) => tools.like('name', '%drill%'), [1, 2]],
    ['ilike', (tools) => tools.ilike('name', '%DRILL%'), [1, 2, 23]],
    ['not', (tools) => tools.not('kind', 'in', '(sawing,garden,kitchen,outdoors)').lt('id', 7), [1, 2, 5, 6]],
    ['or', (tools) => tools.or('id.eq.1,and(kind.eq.kitchen,deposit_cents.gt.1500)'), [1, 18]],
    ['match', (tools) => tools.match({ kind: 'painting', condition: 'needs repair' }), [10]],
    ['filter', (tools) => tools.filter('deposit_cents', 'eq', 5000), [26, 29]],
    ['textSearch', (tools) => tools.textSearch('description', 'paint & strips', { config: 'english' }), [25]],
  ])('filters with %s', async (_, narrow, ids) => {
    expect(await narrow(selectTools())).toEqual({ ...ok, data: ids.map((id) => ({ id })) });
  });

  function selectTools() {
    return visitor.from('tools').select('id').order('id');
  }

  it('orders, limits and takes ranges', async () => {
    const dearest = visitor
      .from('tools')
      .select('id')
      .order('deposit_cents', { ascending: false })
      .order('id');
    expect(await dearest.limit(3)).toEqual({ ...ok, data: [{ id: 26 }, { id: 29 }, { id: 12 }] });
    const orphansFirst = visitor
      .from('tools')
      .select('id')
      .order('owner_id', { nullsFirst: true })
      .order('id');
    expect(await orphansFirst.range(1, 2)).toEqual({ ...ok, data: [{ id: 22 }, { id: 34 }] });
  });

  it('renames and casts columns, and reads into JSON', async () => {
    expect(
      await visitor.from('tools').select('title:name, deposit:deposit_cents::text').eq('id', 1).single(),
    ).toEqual({ ...ok, data: { title: 'Cordless drill, 18 V', deposit: '2000' } });
  });

  it('embeds the one that a row belongs to', async () => {
    expect(await visitor.from('tools').select('name, sheds(slug)').eq('id', 29)).toEqual({
      ...ok,
      data: [{ name: 'Canoe, two seats', sheds: { slug: 'harbour' } }],
    });
  });

  it('embeds the many that belong to a row, with filter, order and limit of their own', async () => {
    const sheds = visitor
      .from('sheds')
      .select('slug, tools(name)')
      .eq('tools.kind', 'sawing')
      .order('slug')
      .order('name', { referencedTable: 'tools' })
      .limit(2, { referencedTable: 'tools' });
    expect(await sheds).toEqual({
      ...ok,
      data: [
        { slug: 'canal', tools: [{ name: 'Circular saw' }, { name: 'Mitre saw' }] },
        { slug: 'harbour', tools: [] },
        { slug: 'linden', tools: [{ name: 'Hand saw' }, { name: 'Jigsaw' }] },
      ],
    });
  });

  it('leaves out with !inner the rows without one', async () => {
    const sheds = visitor.from('sheds').select('slug, tools!inner(name)').eq('tools.name', 'Jigsaw');
    expect(await sheds).toEqual({ ...ok, data: [{ slug: 'linden', tools: [{ name: 'Jigsaw' }] }] });
  });

  it('counts, with and without the rows', async () => {
    expect(await visitor.from('tools').select('id', { count: 'exact' }).order('id').limit(1)).toEqual({
      ...ok,
      data: [{ id: 1 }],
      count: 34,
      status: 206,
      statusText: 'Partial Content',
    });
    expect(
      await visitor.from('tools').select('*', { count: 'exact', head: true }).eq('kind', 'garden'),
    ).toEqual({
      ...ok,
      data: null,
      count: 5,
    });
  });

  it('reads a view through the rights of the reader', async () => {
    const canoe = visitor
      .from('tool_shelf')
      .select('name, shed_name, stars, review_count')
      .eq('id', 29)
      .single();
    expect(await canoe).toEqual({
      ...ok,
      data: { name: 'Canoe, two seats', shed_name: 'Harbour Yard', stars: 5, review_count: 2 },
    });
  });

  it('gives CSV', async () => {
    expect(await visitor.from('sheds').select('slug').order('slug').csv()).toEqual({
      ...ok,
      data: 'slug\ncanal\nharbour\nlinden',
    });
  });

  it('single wants exactly one row, maybeSingle at most one', async () => {
    const nobody = visitor.from('tools').select('name').eq('id', 999);
    expect(await nobody.single()).toEqual(
      refused(406, 'Not Acceptable', {
        code: 'PGRST116',
        message: 'Cannot coerce the result to a single JSON object',
        details: 'The result contains 0 rows',
      }),
    );
    expect(await visitor.from('tools').select('name').eq('id', 999).maybeSingle()).toEqual({
      ...ok,
      data: null,
    });
    expect(await visitor.from('tools').select('name').eq('id', 4).maybeSingle()).toEqual({
      ...ok,
      data: { name: 'Hand saw' },
    });
    expect(await visitor.from('tools').select('name').lt('id', 3).maybeSingle()).toMatchObject({
      status: 406,
      error: { code: 'PGRST116', details: expect.stringContaining('contain 2 rows') },
    });
  });
});

describe('who asks', () => {
  const mine = (client: SupabaseClient) => client.from('loans').select('borrower_id').is('returned_at', null);

  it.each<[string, () => SupabaseClient, string]>([
    ['the publishable key', () => visitor, 'anon'],
    ['the legacy anonymous key', () => connect(backend.report.ANON_KEY), 'anon'],
    ['the secret key', () => service, 'service_role'],
    ['the legacy service_role key', () => connect(backend.report.SERVICE_ROLE_KEY), 'service_role'],
    ['a token by HS256', () => as(jonas), 'authenticated'],
    ['a token by ES256', () => as(jonas, { algorithm: 'ES256' }), 'authenticated'],
    ['a token beside the legacy key', () => as(jonas, {}, backend.report.ANON_KEY), 'authenticated'],
  ])('is told by %s', async (_, client, role) => {
    const { data, error, status } = await mine(client());
    if (role === 'anon') {
      // The table is not granted to visitors at all.
      expect({ data, error, status }).toEqual({
        data: null,
        error: { code: '42501', message: 'permission denied for table loans', details: null, hint: null },
        status: 401,
      });
    } else {
      const borrowers = new Set(data?.map(({ borrower_id }) => borrower_id));
      expect(borrowers.size > 1).toBe(role === 'service_role');
      expect([...borrowers]).toContain(jonas);
    }
  });

  it.each<[string, () => PromiseLike<unknown>, string, string, (string | null)?]>([
    [
      'a key of another project',
      () => connect('sb_publishable_of_another_project').from('sheds').select(),
      'PGRST301',
      'Unknown API key',
    ],
    [
      'a token of another secret',
      () =>
        as(jonas, { secret: 'x'.repeat(40) })
          .from('sheds')
          .select(),
      'PGRST301',
      'No suitable key or wrong key type',
      'None of the keys was able to decode the JWT',
    ],
    [
      'an expired token',
      () => as(jonas, { expiresInSeconds: -3600 }).from('sheds').select(),
      'PGRST303',
      'JWT expired',
    ],
    [
      'something that is no token',
      () =>
        createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
          accessToken: async () => 'me',
        })
          .from('sheds')
          .select(),
      'PGRST301',
      'Expected 3 parts in JWT; got 1',
    ],
  ])('is refused with %s', async (_, request, code, message, details = null) => {
    expect(await request()).toEqual(refused(401, 'Unauthorized', { code, message, details }));
  });

  it('cannot be a role that is not there', async () => {
    expect(await as(jonas, { role: 'landlord' }).from('sheds').select()).toEqual(
      refused(401, 'Unauthorized', { code: '22023', message: 'role "landlord" does not exist' }),
    );
    // A role that is there, but that authenticator may not become.
    expect(await as(jonas, { role: 'supabase_admin' }).from('sheds').select()).toEqual(
      refused(403, 'Forbidden', { code: '42501', message: 'permission denied to set role "supabase_admin"' }),
    );
  });

  it('is anonymous in development without any key', async () => {
    const answer = await fetch(`${backend.report.REST_URL}/sheds?select=slug&order=slug&limit=1`);
    expect({ status: answer.status, rows: await answer.json() }).toEqual({
      status: 200,
      rows: [{ slug: 'canal' }],
    });
  });
});

describe('insert', () => {
  const ladder = { shed_id: linden, name: 'Loft ladder', kind: 'outdoors' };

  it('says nothing back, or the row with select()', async () => {
    expect(await as(mara).from('tools').insert(ladder)).toEqual({ ...created, data: null });
    const inserted = await as(mara)
      .from('tools')
      .insert({ ...ladder, name: 'Step ladder' })
      .select('name, owner_id, condition, sheds(slug)')
      .single();
    expect(inserted).toEqual({
      ...created,
      data: { name: 'Step ladder', owner_id: mara, condition: 'good', sheds: { slug: 'linden' } },
    });
  });

  it('takes many rows at once, with defaults where a key is missing', async () => {
    const rows = [
      { ...ladder, name: 'Pulley', deposit_cents: 700 },
      { ...ladder, name: 'Rope' },
    ];
    const inserted = await as(mara)
      .from('tools')
      .insert(rows, { defaultToNull: false, count: 'exact' })
      .select('name, deposit_cents');
    expect(inserted).toEqual({
      ...created,
      count: 2,
      data: [
        { name: 'Pulley', deposit_cents: 700 },
        { name: 'Rope', deposit_cents: 0 },
      ],
    });
  });

  it('is refused to a visitor, to whom nothing is granted, and to a neighbour whom no policy allows', async () => {
    expect(await visitor.from('tools').insert(ladder)).toEqual(
      refused(401, 'Unauthorized', { code: '42501', message: 'permission denied for table tools' }),
    );
    // Mara is no member at the harbour.
    expect(
      await as(mara)
        .from('tools')
        .insert({ ...ladder, shed_id: harbour }),
    ).toEqual(
      refused(403, 'Forbidden', {
        code: '42501',
        message: 'new row violates row-level security policy for table "tools"',
      }),
    );
  });

  it.each<[string, object, number, string, object]>([
    [
      'a row that is there',
      { id: 1, shed_id: linden, name: 'Twin', kind: 'garden' },
      409,
      'Conflict',
      {
        code: '23505',
        message: 'duplicate key value violates unique constraint "tools_pkey"',
        details: 'Key (id)=(1) already exists.',
      },
    ],
    [
      'a row without what it needs',
      { shed_id: linden, kind: 'garden' },
      400,
      'Bad Request',
      {
        code: '23502',
        message: 'null value in column "name" of relation "tools" violates not-null constraint',
        details: expect.stringMatching(/^Failing row contains \(/),
      },
    ],
    [
      'a reference to nothing',
      { shed_id: '00000000-0000-0000-0000-000000000000', name: 'Ghost', kind: 'garden' },
      409,
      'Conflict',
      {
        code: '23503',
        message: 'insert or update on table "tools" violates foreign key constraint "tools_shed_id_fkey"',
        details: 'Key (shed_id)=(00000000-0000-0000-0000-000000000000) is not present in table "sheds".',
      },
    ],
    [
      'a column that is not there',
      { nmae: 'Typo' },
      400,
      'Bad Request',
      { code: 'PGRST204', message: "Could not find the 'nmae' column of 'tools' in the schema cache" },
    ],
    [
      'a value of another type',
      { shed_id: linden, name: 'Odd', kind: 'garden', deposit_cents: 'much' },
      400,
      'Bad Request',
      { code: '22P02', message: 'invalid input syntax for type integer: "much"' },
    ],
  ])('refuses %s', async (_, row, status, statusText, error) => {
    expect(await service.from('tools').insert(row)).toEqual(refused(status, statusText, error));
  });
});

describe('upsert', () => {
  it('inserts, then updates, then leaves alone', async () => {
    const review = { tool_id: 7, author_id: jonas, stars: 4, body: 'Cuts well.' };
    const upsert = (row: object, options: { ignoreDuplicates?: boolean } = {}) =>
      service
        .from('reviews')
        .upsert(row, { onConflict: 'tool_id,author_id', ...options })
        .select('stars, body');
    expect(await upsert(review)).toEqual({ ...created, data: [{ stars: 4, body: 'Cuts well.' }] });
    expect(await upsert({ ...review, stars: 5 })).toEqual({
      ...ok,
      data: [{ stars: 5, body: 'Cuts well.' }],
    });
    expect(await upsert({ ...review, stars: 1 }, { ignoreDuplicates: true })).toMatchObject({
      error: null,
      data: [],
    });
  });

  it('on a key that nothing is unique by is refused', async () => {
    const row = { tool_id: 7, author_id: jonas, stars: 4, body: 'Cuts well.' };
    expect(await service.from('reviews').upsert(row, { onConflict: 'body' })).toEqual(
      refused(400, 'Bad Request', {
        code: '42P10',
        message: 'there is no unique or exclusion constraint matching the ON CONFLICT specification',
      }),
    );
  });
});

describe('update and delete', () => {
  it('change what the policies allow and report no rows for the rest', async () => {
    const edit = (client: SupabaseClient) =>
      client.from('tools').update({ description: 'Sharpened.' }).eq('id', 4).select('id, description');
    expect(await edit(as(wen))).toEqual({ ...ok, data: [] });
    // Mara keeps the shed that holds it.
    expect(await edit(as(mara))).toEqual({ ...ok, data: [{ id: 4, description: 'Sharpened.' }] });
    expect(
      await as(mara).from('tools').update({ description: 'Sharp.' }, { count: 'exact' }).eq('id', 4),
    ).toEqual({
      ...noContent,
      count: 1,
    });
    expect(await edit(visitor)).toEqual(
      refused(401, 'Unauthorized', { code: '42501', message: 'permission denied for table tools' }),
    );
  });

  it('change single columns only where only they are granted', async () => {
    const rename = as(jonas).from('profiles').update({ display_name: 'Jonas O.' }).eq('id', jonas);
    expect(await rename.select('display_name').single()).toEqual({
      ...ok,
      data: { display_name: 'Jonas O.' },
    });
    expect(await as(jonas).from('profiles').update({ created_at: '2001-01-01' }).eq('id', jonas)).toEqual(
      refused(403, 'Forbidden', { code: '42501', message: 'permission denied for table profiles' }),
    );
  });

  it('a delete gives back what it deleted', async () => {
    const { data } = await as(mara)
      .from('tools')
      .insert({ shed_id: linden, name: 'Borrowed time', kind: 'garden' })
      .select('id')
      .single();
    const remove = (client: SupabaseClient) =>
      client.from('tools').delete().eq('id', data!.id).select('name');
    expect(await remove(as(jonas))).toEqual({ ...ok, data: [] });
    expect(await remove(as(mara))).toEqual({ ...ok, data: [{ name: 'Borrowed time' }] });
    expect(await as(mara).from('tools').delete({ count: 'exact' }).eq('id', data!.id)).toEqual({
      ...noContent,
      count: 0,
    });
  });

  it('a single that does not hold undoes the change', async () => {
    const edit = service
      .from('tools')
      .update({ description: 'All the same.' })
      .in('id', [1, 2])
      .select('id')
      .single();
    expect(await edit).toEqual(
      refused(406, 'Not Acceptable', {
        code: 'PGRST116',
        message: 'Cannot coerce the result to a single JSON object',
        details: 'The result contains 2 rows',
      }),
    );
    const { count } = await service
      .from('tools')
      .select('*', { count: 'exact', head: true })
      .eq('description', 'All the same.');
    expect(count).toBe(0);
  });
});

describe('rpc', () => {
  const days = { first_day: '2030-01-01', last_day: '2030-01-02' };

  it('calls a function by POST and, when it writes nothing, by GET and HEAD', async () => {
    const saws = [{ name: 'Circular saw' }, { name: 'Hand saw' }, { name: 'Jigsaw' }];
    const call = (options: { get?: boolean; head?: boolean; count?: 'exact' } = {}) =>
      visitor.rpc('free_tools', { ...days, of_kind: 'sawing' }, options);
    expect(await call().select('name').limit(3)).toEqual({ ...ok, data: saws });
    expect(await call({ get: true }).select('name').limit(3)).toEqual({ ...ok, data: saws });
    expect(await call({ head: true, count: 'exact' })).toEqual({ ...ok, data: null, count: 5 });
  });

  it('runs with the rights and the name of the caller', async () => {
    const loan = await as(jonas)
      .rpc('borrow_tool', { tool: 5, days: 2 })
      .select('tool_id, borrower_id')
      .single();
    expect(loan).toEqual({ ...ok, data: { tool_id: 5, borrower_id: jonas } });
    expect(await visitor.rpc('borrow_tool', { tool: 5 })).toEqual(
      refused(401, 'Unauthorized', { code: '42501', message: 'permission denied for function borrow_tool' }),
    );
  });

  it('passes on what the function itself says', async () => {
    expect(await as(jonas).rpc('borrow_tool', { tool: 10 })).toEqual(
      refused(400, 'Bad Request', {
        code: 'P0001',
        message: 'This tool needs repair and is not lent.',
        hint: 'Ask at the shed; repair evenings are on the last Friday of the month.',
      }),
    );
  });

  it('by GET writes nothing', async () => {
    expect(await as(jonas).rpc('borrow_tool', { tool: 8 }, { get: true })).toEqual(
      refused(405, 'Method Not Allowed', {
        code: '25006',
        message: 'cannot execute INSERT in a read-only transaction',
      }),
    );
  });

  it('says which function was looked for', async () => {
    expect(await visitor.rpc('free_tool', days)).toEqual(
      refused(404, 'Not Found', {
        code: 'PGRST202',
        message: 'Could not find the function public.free_tool(first_day, last_day) in the schema cache',
        details:
          'Searched for the function public.free_tool with parameters first_day, last_day or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache.',
        hint: 'Perhaps you meant to call the function public.free_tools',
      }),
    );
  });
});

describe('what is not there', () => {
  it('is named, with what may have been meant', async () => {
    expect(await visitor.from('tool').select()).toEqual(
      refused(404, 'Not Found', {
        code: 'PGRST205',
        message: "Could not find the table 'public.tool' in the schema cache",
        hint: "Perhaps you meant the table 'public.tools'",
      }),
    );
    expect(await visitor.from('tools').select('nmae')).toEqual(
      refused(400, 'Bad Request', {
        code: '42703',
        message: 'column tools.nmae does not exist',
        hint: 'Perhaps you meant to reference the column "tools.name".',
      }),
    );
    expect(await visitor.from('tools').select('name, shed(name)')).toEqual(
      refused(400, 'Bad Request', {
        code: 'PGRST200',
        message: "Could not find a relationship between 'tools' and 'shed' in the schema cache",
        details:
          "Searched for a foreign key relationship between 'tools' and 'shed' in the schema 'public', but no matches were found.",
        hint: "Perhaps you meant 'sheds' instead of 'shed'.",
      }),
    );
    expect(await visitor.schema('private').from('tools').select()).toEqual(
      refused(406, 'Not Acceptable', {
        code: 'PGRST106',
        message: 'Invalid schema: private',
        hint: 'Only the following schemas are exposed: public, graphql_public',
      }),
    );
  });
});

describe('a request that is called off', () => {
  it('rejects at the client and leaves the connection to the next', async () => {
    const away = new AbortController();
    const asked = visitor.from('tools').select('id').abortSignal(away.signal);
    away.abort();
    expect(await asked).toMatchObject({
      status: 0,
      data: null,
      error: { hint: 'Request was aborted (timeout or manual cancellation)' },
    });
    expect(await visitor.from('sheds').select('slug').limit(1)).toMatchObject({ status: 200 });
  });
});
