-- What the Supabase CLI records about a project's migrations and seeds. It makes these tables when it first needs them;
-- made here they belong to the project's role from the start, whoever comes first.
-- skip when: to_regclass('supabase_migrations.schema_migrations') is not null and to_regclass('supabase_migrations.seed_files') is not null
-- Source: supabase/cli apps/cli-go/pkg/migration/history.go.

select set_config('role', _millrace.project_role(), true);

create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null);

comment on table supabase_migrations.schema_migrations is 'Which files of supabase/migrations this database has taken in, with their statements.';
comment on table supabase_migrations.seed_files is 'Which seed files this database has taken in, with the hash of their content.';
