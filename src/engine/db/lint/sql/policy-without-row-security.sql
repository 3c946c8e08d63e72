-- Policies that do nothing, because row-level security is off.
select format('%I.%I', schema.nspname, class.relname) as object,
       format('it has policies (%s), and row-level security is off: they do nothing', string_agg(quote_ident(policy.polname), ', ' order by policy.polname)) as message,
       format('alter table %I.%I enable row level security;', schema.nspname, class.relname) as hint
from pg_catalog.pg_policy as policy
join pg_catalog.pg_class as class on class.oid = policy.polrelid
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
where not class.relrowsecurity and schema.nspname = any ($1::text[])
group by schema.nspname, class.relname
order by 1
