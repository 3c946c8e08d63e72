-- The names that `Prefer: timezone=` may give.
select name from pg_catalog.pg_timezone_names
