-- One value that is another one after any committed change to what decides who sees a row: of these tables ($1), of these functions ($2), of the
-- roles and of what is published. Few of these changes fire an event trigger, and those of roles none. A changed row has a new xmin; all rows
-- count, not the latest, as a transaction that began earlier may commit later.
with parts (part) as (
  select 'relation ' || oid || ' ' || xmin from pg_catalog.pg_class where oid = any ($1::oid[])
  union all
  select 'column ' || attrelid || '.' || attnum || ' ' || xmin
  from pg_catalog.pg_attribute where attrelid = any ($1::oid[]) and attnum > 0
  union all
  select 'policy ' || oid || ' ' || xmin from pg_catalog.pg_policy where polrelid = any ($1::oid[])
  union all
  select 'key ' || oid || ' ' || xmin from pg_catalog.pg_constraint where conrelid = any ($1::oid[]) and contype = 'p'
  union all
  select 'parent ' || inhrelid || '.' || inhparent || ' ' || xmin from pg_catalog.pg_inherits where inhrelid = any ($1::oid[])
  union all
  select 'function ' || oid || ' ' || xmin from pg_catalog.pg_proc where oid = any ($2::oid[])
  union all
  select 'role ' || oid || ' ' || rolname || ' ' || rolsuper || rolbypassrls || rolinherit from pg_catalog.pg_roles
  union all
  select 'member ' || roleid || '.' || member || ' ' || xmin from pg_catalog.pg_auth_members
  union all
  select 'schema ' || oid || ' ' || xmin from pg_catalog.pg_namespace
  union all
  select 'publication ' || oid || ' ' || xmin from pg_catalog.pg_publication
  union all
  select 'published ' || oid || ' ' || xmin from pg_catalog.pg_publication_rel
  union all
  select 'published schema ' || oid || ' ' || xmin from pg_catalog.pg_publication_namespace
)
select pg_catalog.count(*) || ' ' || coalesce(pg_catalog.sum(pg_catalog.hashtextextended(part, 0)), 0) as version from parts
