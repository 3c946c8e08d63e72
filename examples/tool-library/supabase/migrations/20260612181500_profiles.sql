-- Who lends and borrows. Every account gets a profile by itself.

-- Helpers live here, where the API does not reach.
create schema private;
comment on schema private is 'Functions that policies and triggers use; not exposed through the API.';
grant usage on schema private to anon, authenticated, service_role;

create table public.profiles (
  id uuid primary key references auth.users (id) on delete cascade,
  display_name text not null check (char_length(display_name) between 2 and 60),
  street text,
  about text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.profiles is 'A neighbour, as the other neighbours see them.';

create function private.touch_updated_at()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at = now();
  return new;
end;
$$;

create trigger profiles_touch_updated_at
  before update on public.profiles
  for each row execute function private.touch_updated_at();

-- Security definer: whoever signs up has no right to write public.profiles.
create function public.handle_new_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into public.profiles (id, display_name, street)
  values (
    new.id,
    coalesce(nullif(trim(new.raw_user_meta_data ->> 'display_name'), ''), split_part(new.email, '@', 1)),
    new.raw_user_meta_data ->> 'street'
  );
  return new;
end;
$$;
revoke execute on function public.handle_new_user() from public, anon, authenticated;

create trigger on_auth_user_created
  after insert on auth.users
  for each row execute function public.handle_new_user();

alter table public.profiles enable row level security;

create policy "Neighbours see each other"
  on public.profiles for select
  to authenticated
  using (true);

create policy "Everyone edits their own profile"
  on public.profiles for update
  to authenticated
  using ((select auth.uid()) = id)
  with check ((select auth.uid()) = id);

-- anon may ask and is shown no row, so a review's author is simply missing for a visitor.
grant select on public.profiles to anon, authenticated;
grant update (display_name, street, about) on public.profiles to authenticated;
grant all on public.profiles to service_role;
