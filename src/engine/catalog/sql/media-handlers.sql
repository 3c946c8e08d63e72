-- Media type handlers in the exposed schemas ($1): aggregates over a relation's rows (or any rows) and functions whose result is a domain named after a media type.
with media_types as (
  select
    t.oid,
    n.nspname,
    t.typname,
    pg_catalog.lower(t.typname) as media_type,
    case t.typname when '*/*' then 'application/octet-stream' else t.typname end as content_type,
    t.typbasetype = 'pg_catalog.bytea'::regtype as is_bytes,
    t.typbasetype = 'pg_catalog.jsonb'::regtype as is_binary_json
  from pg_catalog.pg_type t
  join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  where t.typtype = 'd'
    and (t.typname ~* '^[a-z0-9.-]+/[a-z0-9.+-]+$' or t.typname = '*/*')
)
select
  fn.nspname as function_schema,
  f.proname as function_name,
  an.nspname as target_schema,
  a.typname as target_name,
  m.media_type,
  m.content_type,
  m.is_bytes,
  m.is_binary_json,
  a.oid = 'pg_catalog.anyelement'::regtype as for_any
from media_types m
join pg_catalog.pg_proc f on f.prorettype = m.oid and f.prokind = 'a' and f.pronargs = 1
join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
join pg_catalog.pg_type a on a.oid = f.proargtypes[0]
join pg_catalog.pg_namespace an on an.oid = a.typnamespace
left join pg_catalog.pg_class ac on ac.oid = a.typrelid
where fn.nspname = any ($1::text[])
  and (a.oid = 'pg_catalog.anyelement'::regtype or ac.relkind in ('r', 'p', 'v', 'm', 'f'))
union all
-- A function that returns the media type renders its own result: the domain's name, used as a function, casts.
select
  m.nspname,
  m.typname,
  fn.nspname,
  f.proname,
  m.media_type,
  m.content_type,
  m.is_bytes,
  m.is_binary_json,
  false
from media_types m
join pg_catalog.pg_proc f on f.prorettype = m.oid and f.prokind = 'f' and not f.proretset
join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
where fn.nspname = any ($1::text[])
