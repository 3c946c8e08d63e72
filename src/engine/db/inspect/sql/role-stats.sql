-- Roles, their connections and their own settings.
select role.rolname as role_name,
       (select count(*) from pg_catalog.pg_stat_activity as activity where activity.usename = role.rolname) as active_connections,
       case when role.rolconnlimit < 0 then current_setting('max_connections')::int else role.rolconnlimit end as connection_limit,
       array_to_string(role.rolconfig, ',', '*') as custom_config
from pg_catalog.pg_roles as role
order by role.rolname desc
