-- One value that is another one after any committed change to what the catalog is read from. A changed row has a new xmin; what vacuum
-- and analyze write in place has not. All rows count, not the latest: a transaction that began earlier may commit later.
with relations as materialized (
  select c.oid, c.xmin
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
    and c.relpersistence <> 't'
    and n.nspname !~ '^(pg_|information_schema$)'
),
schemas as materialized (
  select n.oid, n.xmin
  from pg_catalog.pg_namespace n
  where n.nspname !~ '^(pg_|information_schema$)'
),
parts (kind, id, xmin) as (
  select 'schema', oid::text, xmin from schemas
  union all
  select 'relation', oid::text, xmin from relations
  union all
  select 'column', a.attrelid || '.' || a.attnum, a.xmin
  from pg_catalog.pg_attribute a join relations r on r.oid = a.attrelid
  where a.attnum > 0
  union all
  select 'default', d.oid::text, d.xmin from pg_catalog.pg_attrdef d join relations r on r.oid = d.adrelid
  union all
  select 'view', w.oid::text, w.xmin from pg_catalog.pg_rewrite w join relations r on r.oid = w.ev_class
  union all
  select 'trigger', t.oid::text, t.xmin
  from pg_catalog.pg_trigger t join relations r on r.oid = t.tgrelid
  where not t.tgisinternal
  union all
  select 'constraint', k.oid::text, k.xmin from pg_catalog.pg_constraint k join schemas s on s.oid = k.connamespace
  union all
  select 'function', f.oid::text, f.xmin from pg_catalog.pg_proc f join schemas s on s.oid = f.pronamespace
  union all
  select 'type', t.oid::text, t.xmin from pg_catalog.pg_type t join schemas s on s.oid = t.typnamespace
  union all
  select 'label', e.oid::text, e.xmin from pg_catalog.pg_enum e
  union all
  select 'cast', c.oid::text, c.xmin from pg_catalog.pg_cast c
  union all
  select 'comment', d.classoid || '.' || d.objoid || '.' || d.objsubid, d.xmin
  from pg_catalog.pg_description d
  where d.objoid >= 16384
  union all
  select 'setting', s.setdatabase || '.' || s.setrole, s.xmin from pg_catalog.pg_db_role_setting s
  union all
  select 'member', m.roleid || '.' || m.member, m.xmin from pg_catalog.pg_auth_members m
)
select pg_catalog.count(*) || ' ' || coalesce(pg_catalog.sum(pg_catalog.hashtextextended(kind || ' ' || id || ' ' || xmin, 0)), 0) as version
from parts
