-- A shed is a place with tools, some keepers and its members.

create type public.member_role as enum ('member', 'keeper');

create table public.sheds (
  id uuid primary key default gen_random_uuid(),
  slug text not null unique check (slug ~ '^[a-z][a-z-]+$'),
  name text not null,
  address text not null,
  opening_hours text not null,
  created_at timestamptz not null default now()
);
comment on table public.sheds is 'A place where tools are kept and handed out.';

create table public.shed_members (
  shed_id uuid not null references public.sheds (id) on delete cascade,
  profile_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
  role public.member_role not null default 'member',
  joined_at timestamptz not null default now(),
  primary key (shed_id, profile_id)
);
comment on table public.shed_members is 'Who belongs to which shed, and who keeps it.';

create index shed_members_profile_id_idx on public.shed_members (profile_id);

-- A policy on shed_members that reads shed_members would call itself without end.
-- A security definer function reads past the policies, and only ever answers for the caller.
create function private.is_member_of(shed uuid)
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select exists (
    select 1
    from public.shed_members
    where shed_members.shed_id = shed
      and shed_members.profile_id = (select auth.uid())
  );
$$;

create function private.is_keeper_of(shed uuid)
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select exists (
    select 1
    from public.shed_members
    where shed_members.shed_id = shed
      and shed_members.profile_id = (select auth.uid())
      and shed_members.role = 'keeper'
  );
$$;

alter table public.sheds enable row level security;
alter table public.shed_members enable row level security;

create policy "Sheds are public"
  on public.sheds for select
  to anon, authenticated
  using (true);

create policy "Keepers edit their shed"
  on public.sheds for update
  to authenticated
  using (private.is_keeper_of(id))
  with check (private.is_keeper_of(id));

create policy "Members see the members of their sheds"
  on public.shed_members for select
  to authenticated
  using (profile_id = (select auth.uid()) or private.is_member_of(shed_id));

create policy "Anyone signed in joins as a plain member"
  on public.shed_members for insert
  to authenticated
  with check (profile_id = (select auth.uid()) and role = 'member');

create policy "Keepers change roles"
  on public.shed_members for update
  to authenticated
  using (private.is_keeper_of(shed_id))
  with check (private.is_keeper_of(shed_id));

create policy "Members leave, keepers stay until relieved"
  on public.shed_members for delete
  to authenticated
  using (profile_id = (select auth.uid()) and role = 'member');

grant select on public.sheds to anon, authenticated;
grant update (name, address, opening_hours) on public.sheds to authenticated;
grant select, insert, delete on public.shed_members to authenticated;
grant update (role) on public.shed_members to authenticated;
grant all on public.sheds, public.shed_members to service_role;
