-- The settings of the roles that the session's user can become: they take effect at login, so each request has to set them itself.
with settings as (
  select
    r.rolname,
    pg_catalog.split_part(s.setting, '=', 1) as name,
    pg_catalog.substr(s.setting, pg_catalog.strpos(s.setting, '=') + 1) as value
  from pg_catalog.pg_auth_members m
  join pg_catalog.pg_roles r on r.oid = m.roleid
  cross join lateral pg_catalog.unnest(r.rolconfig) s (setting)
  where m.member = (select u.oid from pg_catalog.pg_roles u where u.rolname = current_user)
)
select
  s.rolname as role,
  pg_catalog.json_agg(distinct pg_catalog.jsonb_build_array(s.name, s.value)) as settings
from settings s
join pg_catalog.pg_settings p on p.name = s.name
where p.context = 'user' or pg_catalog.has_parameter_privilege(current_user, p.name, 'set')
group by s.rolname
