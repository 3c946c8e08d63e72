-- Foreign keys whose columns begin no index: deleting or changing a row that they point to reads the whole table.
select format('%I.%I', schema.nspname, class.relname) as object,
       format('no index begins with the columns of the foreign key %I', key.conname) as message,
       format('create index on %I.%I (%s);', schema.nspname, class.relname,
         (select string_agg(quote_ident(attribute.attname), ', ' order by at)
          from unnest(key.conkey) with ordinality as part (number, at)
          join pg_catalog.pg_attribute as attribute on attribute.attrelid = key.conrelid and attribute.attnum = part.number)) as hint
from pg_catalog.pg_constraint as key
join pg_catalog.pg_class as class on class.oid = key.conrelid
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
where key.contype = 'f' and key.conparentid = 0 and schema.nspname = any ($1::text[])
  and not exists (
    select from pg_catalog.pg_index as index
    where index.indrelid = key.conrelid and index.indisvalid
      and (select array_agg(number order by number) from unnest(key.conkey) as number)
        = (select array_agg(number order by number) from unnest((index.indkey::int2[])[0:cardinality(key.conkey) - 1]) as number))
order by 1, 2
