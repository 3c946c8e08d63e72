// In charge of: the oracle's world as SQL: its tables, a log of every change to them, and a twin of each that will hold all images of its rows.
import { parted, tables, users } from './oracle-tables.ts';

/** Whose twins hold an image of a row of this table. */
export const twinsOf = (table: string): readonly string[] =>
  parted.leaves.includes(table) ? [table, parted.root] : [table];

export const twinNames = [...tables.map(({ name }) => name), parted.root, ...parted.leaves];

export function schemaSql(): string {
  const parts = [typesSql, logSql];
  for (const table of tables) {
    parts.push(`create table ${table.name} (${table.columns}); ${table.after ?? ''};`);
    // The twin holds images, of which many have the same key.
    parts.push(`create table twin.${table.name} (like ${table.name});`);
    for (const where of ['public', 'twin']) {
      if (table.policies.length > 0)
        parts.push(`alter table ${where}.${table.name} enable row level security;`);
      for (const policy of table.policies)
        parts.push(`${policy.replaceAll('%t', `${where}.${table.name}`)};`);
    }
    parts.push(`${noted(table.name)}; alter publication supabase_realtime add table ${table.name};`);
  }
  parts.push(`
    create table parted (id integer, n integer, owner uuid, primary key (id, n)) partition by range (n);
    create table parted_low partition of parted for values from (0) to (10);
    create table parted_high partition of parted for values from (10) to (100);
    alter table parted_low replica identity full; alter table parted_high replica identity full;
    create table twin.parted (like parted); create table twin.parted_low (like parted); create table twin.parted_high (like parted);
    ${['public', 'twin'].map(partedPolicies).join('\n')}
    ${noted('parted')};
    alter publication supabase_realtime add table parted, the_end;
    ${twinNames.map((name) => `alter table twin.${name} add seq bigint; create index on twin.${name} (seq);`).join('\n')}
    grant usage on schema twin to anon, authenticated, service_role;
    grant select on all tables in schema twin, public to anon, authenticated, service_role;`);
  return parts.join('\n');
}

const noted = (table: string) =>
  `create trigger noted after insert or update or delete on public.${table} for each row execute function public.note()`;

const partedPolicies = (where: string) => `
  alter table ${where}.parted enable row level security;
  create policy own on ${where}.parted for select to authenticated using (owner = auth.uid());
  alter table ${where}.parted_low enable row level security;
  create policy low on ${where}.parted_low for select to authenticated, anon using (n < 5);`;

const typesSql = `
  create type every_mood as enum ('happy', 'sad');
  create type every_pair as (n bigint, word text);
  create domain every_score as integer check (value < 100);
  create table teams (name text, member uuid);
  insert into teams select w, u::uuid from unnest(array['red', 'Blue']) w, unnest(array['${users[0]}', '${users[3]}']) u;
  alter table teams enable row level security;
  create policy mine on teams for select to authenticated using (member = auth.uid());
  create function sees(owner uuid, n integer) returns boolean language plpgsql stable as $$
  begin
    return owner = auth.uid() or (n > 5 and auth.role() = 'anon');
  end $$;
  -- Fails for some rows.
  create function fussy(n integer) returns boolean language plpgsql immutable as $$
  begin
    if n % 23 = 7 then raise exception 'not %', n; end if;
    return n % 2 = 0;
  end $$;`;

/** `seq` is the order within a transaction. */
const logSql = `
  create table public.log (seq bigint generated always as identity, tx text default pg_current_xact_id()::text, kind text, rel oid, old jsonb, new jsonb);
  create index on public.log (seq);
  create function public.note() returns trigger language plpgsql security definer set search_path = public as $$
  begin
    insert into public.log (kind, rel, old, new) values (tg_op, tg_relid, to_jsonb(old), to_jsonb(new));
    return null;
  end $$;
  create table the_end (id integer generated always as identity primary key);
  create schema twin;
  -- Whether a row may be seen, and meets a condition: false where either fails.
  create function twin.sees(tab text, at bigint, condition text) returns boolean language plpgsql as $$
  declare found boolean;
  begin
    execute format('select %s from twin.%I where seq = $1', condition, tab) into found using at;
    return coalesce(found, false);
  exception when others then
    return false;
  end $$;`;
