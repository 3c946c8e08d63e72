-- Beside schema.sql: one of each kind of thing that a request of the golden files can meet.

-- Ranges, documents, composites, texts to search.
create type public.size as (width int, height int);
create table public.rooms (
  id int primary key,
  name text not null,
  open_hours int4range not null,
  size public.size,
  seats int[] not null default '{}',
  doc jsonb,
  closed boolean,
  words tsvector generated always as (to_tsvector('english', name)) stored
);
insert into public.rooms values
  (1, 'Reading room', '[8,18)', row(6, 9), '{4,4,6}', '{"floor": 1, "lamps": [{"on": true}, {"on": false}]}', false),
  (2, 'Map room', '[18,20)', row(4, 4), '{2}', '{"floor": 2, "lamps": []}', null),
  (3, 'Cellar', '[20,24)', null, '{}', null, true);

-- People: recursive, one-to-one, two keys to one table.
create table public.people (id int primary key, name text not null, boss_id int references public.people);
create table public.passes (person_id int primary key references public.people, number text not null);
create table public.letters (
  id int primary key,
  sender_id int not null constraint letters_sender references public.people,
  receiver_id int not null constraint letters_receiver references public.people
);
insert into public.people values (1, 'Ada', null), (2, 'Bo', 1), (3, 'Cy', 1), (4, 'Di', 2), (5, 'Ed', 1);
insert into public.passes values (1, 'A-1'), (2, 'B-2');
insert into public.letters values (1, 1, 2), (2, 2, 1), (3, 2, 4);
create view public.chiefs as select id, name from public.people where boss_id is null;
create function public.staff(public.people) returns setof public.people stable language sql
  as $$ select * from public.people where boss_id = $1.id $$;
create function public.chief(public.people) returns setof public.people rows 1 stable language sql
  as $$ select * from public.people where id = $1.boss_id $$;

-- A domain with a shape of its own for JSON: 255 is "#0000ff".
create domain public.colour as int;
create function public.json(public.colour) returns json immutable language sql
  as $$ select to_json('#' || lpad(to_hex($1), 6, '0')) $$;
create function public.colour(text) returns public.colour immutable language sql
  as $$ select (('x' || lpad(ltrim($1, '#'), 8, '0'))::bit(32)::int)::public.colour $$;
create function public.colour(json) returns public.colour immutable language sql
  as $$ select public.colour($1 #>> '{}') $$;
create cast (public.colour as json) with function public.json(public.colour) as implicit;
create cast (text as public.colour) with function public.colour(text) as implicit;
create cast (json as public.colour) with function public.colour(json) as implicit;
create table public.paints (id int primary key, tint public.colour);
insert into public.paints values (1, 255), (2, 16711680);

-- A media type of our own for the rows of one table, and one for every request of another.
create domain public."text/x-titles" as text;
create function public.titles_add(state public."text/x-titles", next public.books)
  returns public."text/x-titles" immutable language sql as $$ select (state || next.title || E'\n')::public."text/x-titles" $$;
create aggregate public.titles_agg(public.books) (
  sfunc = public.titles_add, stype = public."text/x-titles", initcond = '');
create domain public."*/*" as bytea;
create function public.any_type() returns public."*/*" language plpgsql as $$
begin
  perform set_config('response.headers', '[{"Content-Type": "app/rover"}]', true);
  return 'anything'::bytea;
end $$;

-- Functions of every kind.
create function public.shout(what text) returns text immutable language sql as $$ select upper(what) $$;
create function public.shout(what text, times int) returns text immutable language sql as $$ select repeat(upper(what), times) $$;
create function public.either(what int) returns text immutable language sql as $$ select 'number' $$;
create function public.either(what text) returns text immutable language sql as $$ select 'text' $$;
create function public.joined(variadic parts text[]) returns text immutable language sql as $$ select array_to_string(parts, '+') $$;
create function public.echo_json(json) returns json immutable language sql as $$ select $1 $$;
create function public.echo_text(text) returns text immutable language sql as $$ select $1 $$;
create function public.echo_bytes(bytea) returns int immutable language sql as $$ select length($1) $$;
create function public.nothing() returns void language sql as $$ select $$;
create function public.pair(out one int, out two text) immutable language sql as $$ select 1, 'b' $$;
create function public.squares(up_to int) returns table (i int, square int) immutable language sql
  as $$ select i, i * i from generate_series(1, up_to) i $$;
create function public.days() returns setof int immutable language sql as $$ select generate_series(1, 3) $$;
create function public.quick_one() returns text language sql set statement_timeout = '4s' as $$ select current_setting('statement_timeout') $$;
create function public.answer_itself() returns void language plpgsql as $$
begin
  perform set_config('response.headers', '[{"Cache-Control": "no-store"}, {"Set-Cookie": "a=1"}]', true);
  perform set_config('response.status', '418', true);
end $$;
create function public.bad_headers() returns void language plpgsql as $$
begin perform set_config('response.headers', '{"X": "1"}', true); end $$;
create function public.refuse() returns void language plpgsql as $$
begin
  raise sqlstate 'PGRST' using
    message = '{"code": "123", "message": "Payment Required", "details": "Quota exceeded", "hint": "Upgrade your plan"}',
    detail = '{"status": 402, "status_text": "Payment Required", "headers": {"X-Powered-By": "Nerd Rage"}}';
end $$;
create function public.refuse_with_405() returns void language plpgsql as $$
begin raise sqlstate 'PT405' using message = 'Not this way', hint = 'Another way'; end $$;
create function public.headers_seen() returns json stable language sql as $$
  select json_build_object('method', current_setting('request.method'), 'path', current_setting('request.path'),
    'mine', current_setting('request.headers')::json ->> 'x-mine', 'cookies', current_setting('request.cookies')::json,
    'role', current_user, 'zone', current_setting('timezone')) $$;
create function public.before_each() returns void language plpgsql as $$
begin
  if current_setting('request.headers')::json ->> 'x-mine' = 'no' then
    raise insufficient_privilege using message = 'not this one';
  end if;
end $$;
create function public.root() returns json stable language sql as $$ select '{"welcome": true}'::json $$;

create schema other;
create table other.words (word text primary key, times int default 1);
comment on schema other is 'Words, and how often';
comment on table other.words is 'A word.';
insert into other.words values ('the', 3);
create function other.count_words() returns bigint stable language sql as $$ select count(*) from other.words $$;

grant usage on schema other to anon;
grant all on all tables in schema public, other to anon;
create table public.hidden (id int primary key);
revoke all on public.hidden from anon;
analyze public.books, public.rooms;
