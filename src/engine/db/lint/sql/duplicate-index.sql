-- Indexes that say the same.
select format('%I.%I', schema.nspname, class.relname) as object,
       format('these indexes are the same: %s', string_agg(quote_ident(index_class.relname), ', ' order by index_class.relname)) as message,
       'Drop all but one.' as hint
from pg_catalog.pg_index as index
join pg_catalog.pg_class as index_class on index_class.oid = index.indexrelid
join pg_catalog.pg_class as class on class.oid = index.indrelid
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
where schema.nspname = any ($1::text[])
group by schema.nspname, class.relname, index.indrelid, index.indkey::text, index.indclass::text, index.indcollation::text, index.indoption::text,
         pg_get_expr(index.indexprs, index.indrelid), pg_get_expr(index.indpred, index.indrelid), index_class.relam
having count(*) > 1
order by 1, 2
