// In charge of: a project of many migrations, made up, with the statements that real ones have: what a team adds over two years.

/** Names and texts, in order. Each can be applied when those before it are. */
export function generatedMigrations(count: number): readonly (readonly [name: string, text: string])[] {
  return Array.from({ length: count }, (_, at) => {
    // A table a few files, and what happens to it afterwards.
    const table = `items_${Math.floor(at / kinds.length)}`;
    const kind = kinds[at % kinds.length]!;
    const version = String(20240101000000 + at * 100);
    return [`${version}_${kind.name}_${table}.sql`, `${kind.text(table, at)}\n`] as const;
  });
}

const kinds: readonly { readonly name: string; readonly text: (table: string, at: number) => string }[] = [
  {
    name: 'create',
    text: (table) => `-- The table itself, with its policies.
create type public.${table}_state as enum ('draft', 'published', 'archived');

create table public.${table} (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid not null references auth.users (id) on delete cascade,
  title text not null check (char_length(title) between 1 and 200),
  body text,
  state public.${table}_state not null default 'draft',
  tags text[] not null default '{}',
  details jsonb not null default '{}'::jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.${table} is 'What people write; theirs alone until it is published.';

alter table public.${table} enable row level security;

create policy "owners read" on public.${table} for select to authenticated using (owner_id = (select auth.uid()));
create policy "everybody reads what is published" on public.${table} for select to anon, authenticated using (state = 'published');
create policy "owners insert" on public.${table} for insert to authenticated with check (owner_id = (select auth.uid()));
create policy "owners update" on public.${table} for update to authenticated
  using (owner_id = (select auth.uid())) with check (owner_id = (select auth.uid()));
create policy "owners delete" on public.${table} for delete to authenticated using (owner_id = (select auth.uid()));

grant select on public.${table} to anon;
grant select, insert, update, delete on public.${table} to authenticated, service_role;`,
  },
  {
    name: 'indexes',
    text: (table) => `create index ${table}_owner on public.${table} (owner_id);
create index ${table}_published on public.${table} (created_at desc) where state = 'published';
create index if not exists ${table}_tags on public.${table} using gin (tags);`,
  },
  {
    name: 'touch',
    text: (table) => `create or replace function public.${table}_touch() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  if new.title is distinct from old.title then
    raise debug 'renamed; % is now %', old.title, new.title;
  end if;
  return new;
end;
$$;

drop trigger if exists ${table}_touch on public.${table};
create trigger ${table}_touch before update on public.${table} for each row execute function public.${table}_touch();`,
  },
  {
    name: 'columns',
    text: (table) => `alter table public.${table} add column if not exists slug text;
alter table public.${table} add column views bigint not null default 0;
update public.${table} set slug = lower(title) where slug is null;
alter table public.${table} add constraint ${table}_slug_form check (slug ~ '^[a-z0-9-]*$') not valid;
create unique index ${table}_slug on public.${table} (slug);
comment on column public.${table}.slug is 'Stands in addresses; it''s made of the title.';`,
  },
  {
    name: 'comments',
    text: (table) => `begin;
create table if not exists public.${table}_comments (
  id bigint generated always as identity primary key,
  item_id uuid not null references public.${table} (id) on delete cascade,
  author_id uuid references auth.users (id) on delete set null,
  text text not null,
  created_at timestamptz default now() not null
);
alter table public.${table}_comments enable row level security;
create policy read_${table}_comments on public.${table}_comments for select using (
  exists (select 1 from public.${table} as item where item.id = item_id)
);
create index ${table}_comments_item on public.${table}_comments (item_id, created_at);
grant all on public.${table}_comments to authenticated, service_role;
commit;`,
  },
  {
    name: 'counts',
    text: (table) => `create or replace view public.${table}_counts with (security_invoker = true) as
select item.id, item.title, count(comment.id) as comments, max(comment.created_at) as last_comment_at
from public.${table} as item
left join public.${table}_comments as comment on comment.item_id = item.id
group by item.id, item.title;

create or replace function public.${table}_search(query text, max_rows integer default 20)
returns setof public.${table}
language sql
stable
as $function$
  select * from public.${table} where title ilike '%' || query || '%' order by created_at desc limit max_rows;
$function$;
revoke all on function public.${table}_search(text, integer) from public;
grant execute on function public.${table}_search(text, integer) to authenticated;`,
  },
  {
    name: 'data',
    text: (table, at) => `do $$
begin
  if not exists (select from pg_type where typname = '${table}_kind') then
    create type public.${table}_kind as enum ('note', 'task');
  end if;
end
$$;
create table public.${table}_settings (key text primary key, value jsonb not null);
insert into public.${table}_settings (key, value) values
${Array.from({ length: 20 }, (_, row) => `  ('setting ${row}', '{"on": ${row % 2 === 0}, "limit": ${row * 10 + at}}')`).join(',\n')}
on conflict (key) do update set value = excluded.value;
alter publication supabase_realtime add table public.${table};`,
  },
];
