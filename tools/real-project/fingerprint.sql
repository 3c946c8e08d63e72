-- The schema of a database, one line a fact: everything that a migration can leave behind, without identifiers that differ by chance.
-- Roles of Millrace itself are left out: some are named after the number of the database.
with schemas as (
  select oid, nspname from pg_catalog.pg_namespace
  where nspname !~ '^(pg_|information_schema$|_millrace$)'
), classes as (
  select class.* from pg_catalog.pg_class as class join schemas on schemas.oid = class.relnamespace
), acls (object, acl) as (
  select 'schema ' || nspname, unnest(nspacl)::text from pg_catalog.pg_namespace where oid in (select oid from schemas)
  union all
  select 'relation ' || oid::regclass, unnest(relacl)::text from classes
  union all
  select 'column ' || att.attrelid::regclass || '.' || att.attname, unnest(att.attacl)::text
  from pg_catalog.pg_attribute as att where att.attrelid in (select oid from classes)
  union all
  select 'routine ' || oid::regprocedure, unnest(proacl)::text
  from pg_catalog.pg_proc where pronamespace in (select oid from schemas)
  union all
  select 'type ' || oid::regtype, unnest(typacl)::text
  from pg_catalog.pg_type where typnamespace in (select oid from schemas)
  union all
  select format('default %s %s %s', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype), unnest(defaclacl)::text
  from pg_catalog.pg_default_acl
), facts (line) as (
  select format('schema %s owner %s', nspname, nspowner::regrole) from pg_catalog.pg_namespace where oid in (select oid from schemas)
  union all
  select format('extension %s %s in %s', extname, extversion, extnamespace::regnamespace) from pg_catalog.pg_extension
  union all
  select format('%s %s owner %s persistence %s rls %s%s options %s', relkind, oid::regclass, relowner::regrole, relpersistence,
    relrowsecurity, relforcerowsecurity, reloptions)
  from classes where relkind <> 'i'
  union all
  select format('column %s #%s %s %s notnull %s identity %s generated %s default %s collation %s', att.attrelid::regclass,
    row_number() over (partition by att.attrelid order by att.attnum), att.attname,
    pg_catalog.format_type(att.atttypid, att.atttypmod), att.attnotnull, att.attidentity, att.attgenerated,
    pg_catalog.pg_get_expr(def.adbin, def.adrelid), att.attcollation::regcollation)
  from pg_catalog.pg_attribute as att
  left join pg_catalog.pg_attrdef as def on def.adrelid = att.attrelid and def.adnum = att.attnum
  where att.attnum > 0 and not att.attisdropped
    and att.attrelid in (select oid from classes where relkind in ('r', 'p', 'v', 'm', 'f', 'c'))
  union all
  select format('constraint %s on %s%s: %s', conname, nullif(conrelid, 0)::regclass, nullif(contypid, 0)::regtype,
    pg_catalog.pg_get_constraintdef(oid))
  from pg_catalog.pg_constraint where connamespace in (select oid from schemas)
  union all
  select 'index ' || pg_catalog.pg_get_indexdef(indexrelid) || case when indisvalid then '' else ' INVALID' end
  from pg_catalog.pg_index where indrelid in (select oid from classes)
  union all
  select format('view %s: %s', oid::regclass, pg_catalog.pg_get_viewdef(oid)) from classes where relkind in ('v', 'm')
  union all
  select format('rule %s on %s: %s', rulename, ev_class::regclass, pg_catalog.pg_get_ruledef(oid))
  from pg_catalog.pg_rewrite where ev_class in (select oid from classes) and rulename <> '_RETURN'
  union all
  select format('sequence %s %s start %s by %s from %s to %s cache %s cycle %s', seqrelid::regclass, seqtypid::regtype, seqstart,
    seqincrement, seqmin, seqmax, seqcache, seqcycle)
  from pg_catalog.pg_sequence where seqrelid in (select oid from classes)
  union all
  select format('routine owner %s: %s', proowner::regrole, case when prokind = 'a' then oid::regprocedure::text else pg_catalog.pg_get_functiondef(oid) end)
  from pg_catalog.pg_proc where pronamespace in (select oid from schemas)
  union all
  select format('trigger enabled %s: %s', tgenabled, pg_catalog.pg_get_triggerdef(oid))
  from pg_catalog.pg_trigger where not tgisinternal and tgrelid in (select oid from classes)
  union all
  select format('event trigger %s on %s %s %s enabled %s', evtname, evtevent, evtfoid::regproc, evttags, evtenabled)
  from pg_catalog.pg_event_trigger
  union all
  select format('policy %s on %s %s %s to %s using %s check %s', polname, polrelid::regclass, polcmd, polpermissive,
    (select array_agg(case when role = 0 then 'public' else role::regrole::text end order by 1) from unnest(polroles) as role),
    pg_catalog.pg_get_expr(polqual, polrelid), pg_catalog.pg_get_expr(polwithcheck, polrelid))
  from pg_catalog.pg_policy where polrelid in (select oid from classes)
  union all
  select format('type %s %s owner %s base %s labels %s', type.typtype, type.oid::regtype, type.typowner::regrole,
    pg_catalog.format_type(nullif(type.typbasetype, 0), type.typtypmod),
    (select array_agg(enumlabel order by enumsortorder) from pg_catalog.pg_enum where enumtypid = type.oid))
  from pg_catalog.pg_type as type
  where type.typnamespace in (select oid from schemas) and type.typtype in ('e', 'd', 'c', 'r')
  union all
  select format('publication %s all %s %s%s%s%s', pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate) from pg_catalog.pg_publication
  union all
  select format('publication %s table %s.%s', pubname, schemaname, tablename) from pg_catalog.pg_publication_tables
  union all
  select format('role %s super %s inherit %s createrole %s createdb %s login %s replication %s bypassrls %s', rolname, rolsuper,
    rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls)
  from pg_catalog.pg_roles where rolname !~ '^(pg_|millrace_)'
  union all
  select format('member %s of %s admin %s', member::regrole, roleid::regrole, admin_option) from pg_catalog.pg_auth_members
  where member::regrole::text !~ '^millrace_' and roleid::regrole::text !~ '^millrace_'
  union all
  select format('setting of %s in %s: %s', nullif(setrole, 0)::regrole, (select datname from pg_catalog.pg_database where oid = setdatabase), unnest(setconfig))
  from pg_catalog.pg_db_role_setting where setrole::regrole::text !~ '^millrace_'
  union all
  select format('comment on %s %s: %s', named.type, named.identity, description)
  from pg_catalog.pg_description,
    lateral pg_catalog.pg_identify_object(classoid, objoid, objsubid) as named
  where named.schema in (select nspname from schemas) or classoid in ('pg_namespace'::regclass, 'pg_extension'::regclass)
  union all
  select format('right %s: %s', object, acl) from acls
)
select line from facts where line is not null order by line collate "C"
