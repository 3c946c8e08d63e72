-- The functions of the exposed schemas ($1), a row per overload; of their settings those named in $2.
with recursive base_types as (
  select t.oid, t.oid as base_oid
  from pg_catalog.pg_type t
  where t.typtype <> 'd'
  union all
  select d.oid, b.base_oid
  from base_types b
  join pg_catalog.pg_type d on d.typtype = 'd' and d.typbasetype = b.oid
),
parameters as (
  select
    p.oid,
    pg_catalog.json_agg(pg_catalog.json_build_array(
      coalesce(i.name, ''),
      pg_catalog.format_type(i.type, null),
      -- bit and character alone mean a length of one and would cut what is passed.
      case i.type
        when 'pg_catalog.bit'::regtype then 'bit varying'
        when 'pg_catalog.bit[]'::regtype then 'bit varying[]'
        when 'pg_catalog.bpchar'::regtype then 'character varying'
        when 'pg_catalog.bpchar[]'::regtype then 'character varying[]'
        else pg_catalog.format_type(i.type, null)
      end,
      i.place <= p.pronargs - p.pronargdefaults,
      i.mode = 'v'
    ) order by i.place) as list,
    pg_catalog.count(*) filter (where coalesce(i.name, '') = '') as unnamed,
    (pg_catalog.array_agg(i.type order by i.place))[1] as first_type
  from pg_catalog.pg_proc p
  cross join lateral (
    select
      a.name,
      a.type,
      coalesce(a.mode, 'i') as mode,
      pg_catalog.row_number() over (order by a.place) as place
    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
      with ordinality a (type, name, mode, place)
    where coalesce(a.mode, 'i') in ('i', 'b', 'v')
  ) i
  group by p.oid
)
select
  n.nspname as schema,
  p.proname as name,
  pg_catalog.obj_description(p.oid, 'pg_proc') as description,
  p.oid::text as oid,
  coalesce(a.list, '[]') as parameters,
  tn.nspname as return_schema,
  coalesce(tc.relname, t.typname) as return_name,
  p.proretset as returns_set,
  (t.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false)) as returns_composite,
  p.provolatile as volatility,
  p.provariadic > 0 as has_variadic,
  coalesce(
    (
      select pg_catalog.json_agg(pg_catalog.json_build_array(
        pg_catalog.split_part(s.setting, '=', 1),
        pg_catalog.substr(s.setting, pg_catalog.strpos(s.setting, '=') + 1)
      ))
      from pg_catalog.unnest(p.proconfig) s (setting)
      where pg_catalog.split_part(s.setting, '=', 1) = any ($2::text[])
         or pg_catalog.split_part(s.setting, '=', 1) = 'default_transaction_isolation'
    ),
    '[]'
  ) as settings
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join base_types b on b.oid = p.prorettype
join pg_catalog.pg_type t on t.oid = b.base_oid
join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
left join pg_catalog.pg_class tc on tc.oid = t.typrelid
left join parameters a on a.oid = p.oid
where n.nspname = any ($1::text[])
  and p.prokind = 'f'
  and t.oid <> 'pg_catalog.trigger'::regtype
  -- A function is called by its parameters' names, or with the whole body as its only one.
  and (
    coalesce(a.unnamed, 0) = 0
    or (a.unnamed = 1 and a.first_type in (
      'pg_catalog.bytea'::regtype, 'pg_catalog.json'::regtype, 'pg_catalog.jsonb'::regtype,
      'pg_catalog.text'::regtype, 'pg_catalog.xml'::regtype
    ))
  )
order by n.nspname, p.proname, p.pronargs, p.oid
