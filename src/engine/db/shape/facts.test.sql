-- What schemas $1 hold, one line a fact; the same text on every version of PostgreSQL that is supported.
select string_agg(line, E'\n' order by line collate "C") as facts
from (
  select format('table %s owner=%s%s', class.oid::regclass, class.relowner::regrole, case when class.relrowsecurity then ' rls' end) as line
  from pg_class as class
  where class.relnamespace = any ($1::regnamespace[]) and class.relkind in ('r', 'p') and not class.relispartition
  union all
  select format('column %s.%s #%s %s%s%s', class.oid::regclass, att.attname,
    (select count(*) from pg_attribute as before where before.attrelid = class.oid and before.attnum between 1 and att.attnum and not before.attisdropped),
    format_type(att.atttypid, att.atttypmod), case when att.attnotnull then ' not null' end,
    case when att.attgenerated = 's' then ' generated ' when att.atthasdef then ' default ' end || pg_get_expr(def.adbin, def.adrelid))
  from pg_class as class
  join pg_attribute as att on att.attrelid = class.oid and att.attnum > 0 and not att.attisdropped
  left join pg_attrdef as def on def.adrelid = class.oid and def.adnum = att.attnum
  where class.relnamespace = any ($1::regnamespace[]) and class.relkind in ('r', 'p', 'c') and not class.relispartition
  union all
  select format('constraint %s.%s %s', con.conrelid::regclass, con.conname, pg_get_constraintdef(con.oid))
  from pg_constraint as con join pg_class as class on class.oid = con.conrelid
  where con.connamespace = any ($1::regnamespace[]) and con.contype in ('p', 'u', 'f', 'c') and not class.relispartition
  union all
  select 'index ' || regexp_replace(pg_get_indexdef(index.indexrelid), '^CREATE ', '')
  from pg_index as index join pg_class as class on class.oid = index.indrelid
  where class.relnamespace = any ($1::regnamespace[]) and not class.relispartition
  union all
  select format('trigger %s.%s %s', trigger.tgrelid::regclass, trigger.tgname, trigger.tgfoid::regprocedure)
  from pg_trigger as trigger join pg_class as class on class.oid = trigger.tgrelid
  where class.relnamespace = any ($1::regnamespace[]) and not trigger.tgisinternal
  union all
  select format('enum %s %s', type.oid::regtype, (select string_agg(enumlabel, ', ' order by enumsortorder) from pg_enum where enumtypid = type.oid))
  from pg_type as type where type.typnamespace = any ($1::regnamespace[]) and type.typtype = 'e'
  union all
  select format('function %s.%s(%s) %s %s%s', proc.pronamespace::regnamespace, proc.proname, pg_get_function_arguments(proc.oid),
    pg_get_function_result(proc.oid), case proc.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
    case when proc.prosecdef then ' security definer' end)
  from pg_proc as proc where proc.pronamespace = any ($1::regnamespace[])
) as fact
