// In charge of: live queries as an application uses them, and coming back to changes of rows that were missed.
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { answerTo, openPhoenixSocket, type PhoenixSocket } from './harness/phoenix-socket.ts';
import { personToken } from './harness/tokens.ts';

const ada = '11111111-1111-4111-8111-111111111111';
const bob = '22222222-2222-4222-8222-222222222222';
const schema = `
create table public.lists (id int primary key, name text not null);
create table public.todos (id int primary key, owner uuid not null, list int references public.lists, text text not null, done boolean default false);
create table public.quiet (id int primary key);
create table public.keyless (text text);
create view public.open_todos as select * from public.todos where not done;
create function public.all_todos() returns setof public.todos language sql stable as 'select * from public.todos';
alter table public.todos enable row level security;
create policy "own" on public.todos for all to authenticated using (owner = (select auth.uid())) with check (owner = (select auth.uid()));
alter publication supabase_realtime add table public.todos, public.lists, public.keyless;
insert into public.lists values (1, 'home'), (2, 'work');
insert into public.todos values (1, '${ada}', 1, 'wash', false), (2, '${bob}', 1, 'cook', false), (3, '${ada}', 2, 'write', true);
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let admin: SupabaseClient;

beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': 'project_id = "live"\n[api]\nauto_expose_new_tables = true\n',
    'supabase/migrations/1_schema.sql': schema,
  });
  backend = await startBackend(project.folder);
  admin = createClient(backend.report.API_URL, backend.report.SECRET_KEY, {
    auth: { persistSession: false },
  });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

/** A channel of a person. */
async function joined(person: string, config: object = {}): Promise<PhoenixSocket> {
  const socket = await openPhoenixSocket(backend.report.API_URL, backend.report.PUBLISHABLE_KEY);
  socket.say('1', '1', 'realtime:live', 'phx_join', { config, access_token: await personToken(person) });
  await socket.hear(answerTo('1'));
  return socket;
}

/** What a channel was told of a live query. */
const told = (socket: PhoenixSocket, event = 'live_query') =>
  socket.heard
    .filter((message) => (message as unknown[])[3] === event)
    .map((message) => (message as unknown[])[4]);

const comes = (socket: PhoenixSocket, expected: readonly unknown[]) =>
  vi.waitFor(() => expect(told(socket)).toEqual(expected), 20_000);

const write = async (write: PromiseLike<{ error: unknown }>) => expect((await write).error).toBeNull();

describe('a live query', () => {
  it('is answered, and then told what is different, under the rights of who asks', async () => {
    await using socket = await joined(ada);
    const url = '/rest/v1/todos?select=id,text,list:lists(name)&done=eq.false&order=text';
    socket.say('1', '2', 'realtime:live', 'live_query', { event: 'subscribe', id: 'open', url });
    const rows = [{ id: 1, text: 'wash', list: { name: 'home' } }];
    await comes(socket, [{ type: 'rows', id: 'open', rows }]);
    const told: unknown[] = [{ type: 'rows', id: 'open', rows }];
    // Of another one: nothing is said of it.
    await write(admin.from('todos').insert({ id: 4, owner: bob, list: 1, text: 'secret' }));
    await write(admin.from('todos').insert({ id: 5, owner: ada, list: 2, text: 'answer' }));
    told.push({
      type: 'changes',
      id: 'open',
      upserts: [{ id: 5, text: 'answer', list: { name: 'work' } }],
      removes: [],
      order: [[5], [1]],
    });
    await comes(socket, told);
    // By the embedded table.
    await write(admin.from('lists').update({ name: 'house' }).eq('id', 1));
    told.push({
      type: 'changes',
      id: 'open',
      upserts: [{ id: 1, text: 'wash', list: { name: 'house' } }],
      removes: [],
    });
    await comes(socket, told);
    await write(admin.from('todos').update({ done: true }).eq('id', 1));
    told.push({ type: 'changes', id: 'open', upserts: [], removes: [[1]], order: [[5]] });
    await comes(socket, told);
    socket.say('1', '3', 'realtime:live', 'live_query', { event: 'unsubscribe', id: 'open' });
    await socket.hear(answerTo('3'));
    await write(admin.from('todos').delete().eq('id', 5));
    await write(admin.from('todos').update({ done: false }).eq('id', 1));
    await write(admin.from('lists').update({ name: 'home' }).eq('id', 1));
    await write(admin.from('todos').delete().eq('id', 4));
    await comes(socket, told);
  });

  it('is asked by the official client, too', async () => {
    const client = createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
      auth: { persistSession: false },
    });
    await client.realtime.setAuth(await personToken(bob));
    const heard: unknown[] = [];
    const channel = client.channel('mine');
    // The SDK passes on events that it does not know.
    channel.on('live_query' as 'system', {}, (payload: unknown) => heard.push(payload));
    await new Promise<void>((resolve) => channel.subscribe((status) => status === 'SUBSCRIBED' && resolve()));
    const ask = {
      type: 'live_query',
      event: 'subscribe',
      id: 'mine',
      url: '/rest/v1/todos?select=id',
    } as const;
    expect(await channel.send(ask as never)).toBe('ok');
    await vi.waitFor(() => expect(heard).toEqual([{ type: 'rows', id: 'mine', rows: [{ id: 2 }] }]), 20_000);
    await client.removeAllChannels();
  });

  it.each([
    [
      'another URL',
      'https://example.com/x',
      '"https://example.com/x" is no read of the Data API: it begins with /rest/v1/.',
    ],
    [
      'a table that is not there',
      '/rest/v1/nothing',
      "Could not find the table 'public.nothing' in the schema cache",
    ],
    ['a view', '/rest/v1/open_todos', '"public.open_todos" is a view: what is behind it cannot be followed.'],
    [
      'a function',
      '/rest/v1/rpc/all_todos',
      'It calls the function "all_todos", behind which nothing can be followed.',
    ],
    [
      'a table without a key',
      '/rest/v1/keyless',
      '"public.keyless" has no primary key, by which its rows are told apart.',
    ],
    [
      'a table that tells nobody',
      '/rest/v1/quiet',
      '"public.quiet" tells nobody of its changes: alter publication supabase_realtime add table public.quiet;',
    ],
    [
      'rows without their key',
      '/rest/v1/lists?select=name',
      'Its rows lack "id" of the primary key, by which they are told apart. Select it.',
    ],
    [
      'more rows than are followed',
      '/rest/v1/lists?limit=1000000',
      'Its limit is 1000000, and more than 1000 rows are not followed.',
    ],
    ['a wrong filter', '/rest/v1/todos?id=eq.x', 'invalid input syntax for type integer: "x"'],
  ])('of %s is refused with a sentence', async (_name, url, reason) => {
    await using socket = await joined(ada);
    socket.say('1', '2', 'realtime:live', 'live_query', { event: 'subscribe', id: 'x', url });
    const answer = await socket.hear<unknown[]>(answerTo('2'));
    expect(answer[4]).toEqual({ status: 'error', response: { reason } });
  });
});

describe('a client that comes back', () => {
  it('is told what it missed, each once and in order', async () => {
    const changes = { postgres_changes: [{ event: '*', schema: 'public', table: 'todos' }] };
    const ready = (message: readonly unknown[]) =>
      message[3] === 'system' && (message[4] as { status: string }).status === 'ok';
    const idsOf = (socket: PhoenixSocket) =>
      told(socket, 'postgres_changes').map(
        (payload) => (payload as { data: { record: { id: number } } }).data.record.id,
      );
    let since: string;
    {
      await using first = await joined(ada, changes);
      await first.hear(ready);
      await write(admin.from('todos').insert({ id: 10, owner: ada, text: 'seen' }));
      await vi.waitFor(() => expect(idsOf(first)).toEqual([10]), 20_000);
      since = (told(first, 'postgres_changes')[0] as { id: string }).id;
    }
    await write(admin.from('todos').insert([11, 12].map((id) => ({ id, owner: ada, text: 'missed' }))));
    await write(admin.from('todos').insert({ id: 13, owner: bob, text: 'not hers' }));
    await using again = await joined(ada, { ...changes, since });
    await again.hear(ready);
    await write(admin.from('todos').insert({ id: 14, owner: ada, text: 'now' }));
    await vi.waitFor(() => expect(idsOf(again)).toEqual([11, 12, 14]), 20_000);
  });

  it('from where nobody remembers is told that there is a gap', async () => {
    const changes = { postgres_changes: [{ event: '*', schema: 'public', table: 'todos' }] };
    await using socket = await joined(ada, { ...changes, since: '0000000000000001-000000' });
    await vi.waitFor(() => expect(told(socket, 'gap').length).toBe(1), 20_000);
  });
});
