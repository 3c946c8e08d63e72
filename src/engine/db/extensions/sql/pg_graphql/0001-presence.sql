-- The function that projects and tools call; it answers as one that is switched off, with upstream's shape.
-- Source: supabase/pg_graphql src/lib.rs (`resolve`); supabase/postgres, the placeholder of graphql_public.graphql.

create function graphql.resolve(
  query text, variables jsonb default '{}', "operationName" text default null, extensions jsonb default null
) returns jsonb
  language sql stable
  set search_path = ''
  as $$ select '{"errors": [{"message": "pg_graphql extension is not enabled."}]}'::jsonb $$;

create function graphql.get_schema_version() returns int
  language sql stable
  set search_path = ''
  as $$ select 1 $$;

create function graphql.comment_directive(comment_ text) returns jsonb
  language sql immutable
  set search_path = ''
  as $$ select coalesce((pg_catalog.regexp_match(comment_, '@graphql\((.+)\)'))[1]::jsonb, '{}') $$;

grant execute on all functions in schema graphql to postgres, anon, authenticated, service_role;
