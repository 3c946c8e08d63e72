-- graphql_public.graphql, by which projects reach GraphQL as a function of the Data API; without the extension it says so.
-- skip when: to_regprocedure('graphql_public.graphql(text, text, jsonb, jsonb)') is not null
-- Source: supabase/postgres migrations/db/migrations/20260820000001_rescope_pg_graphql_access_trigger.sql (its placeholder).

create function graphql_public.graphql(
  "operationName" text default null, query text default null, variables jsonb default null, extensions jsonb default null
) returns jsonb
  language sql stable set search_path = ''
  as $$ select '{"errors": [{"message": "pg_graphql extension is not enabled."}]}'::jsonb $$;
comment on function graphql_public.graphql(text, text, jsonb, jsonb) is 'GraphQL as a function; a placeholder without the extension pg_graphql.';
