// In charge of: what the oracle's tables are at one moment, read from the catalog: columns, key, replica identity, and what their policies read.
import type pg from 'pg';
import { parted, tables } from './oracle-tables.ts';

export interface Shape {
  readonly oid: number;
  /** What it was called at first, and its twin is. */
  readonly first: string;
  readonly name: string;
  /** Types by names. */
  readonly columns: Readonly<Record<string, string>>;
  /** Those that Postgres computes. */
  readonly generated: readonly string[];
  readonly key: readonly string[];
  /** The columns that the log has of an old row. */
  readonly identity: readonly string[];
  readonly isFull: boolean;
  readonly roles: Readonly<Record<string, RoleShape>>;
}

export interface RoleShape {
  /** No policy holds for it. */
  readonly seesAll: boolean;
  /** A permissive policy is for it. */
  readonly isPermitted: boolean;
  /** The columns that its policies read. */
  readonly reads: readonly string[];
}

/** By the names that they had at first. */
export type Shapes = ReadonlyMap<string, Shape>;

export async function readShapes(client: pg.Client, nameOf: (first: string) => string): Promise<Shapes> {
  const firsts = [...tables.map(({ name }) => name), parted.root, ...parted.leaves];
  const shapes = new Map<string, Shape>();
  for (const first of firsts) {
    const { rows } = await client.query<Omit<Shape, 'first'>>(shapeSql, [nameOf(first)]);
    shapes.set(first, { ...rows[0]!, first });
  }
  return shapes;
}

/** The values of one mean the same in the other. */
export function isSameShape(one: Shape, other: Shape): boolean {
  return (
    JSON.stringify([one.columns, one.key, one.identity]) ===
    JSON.stringify([other.columns, other.key, other.identity])
  );
}

const shapeSql = `
  with t as (select c.* from pg_class c where c.oid = ('public.' || quote_ident($1))::regclass),
  a as (select a.* from pg_attribute a join t on a.attrelid = t.oid where a.attnum > 0 and not a.attisdropped),
  i as (select i.indkey::int2[] as columns, i.indisprimary, i.indisreplident from pg_index i join t on i.indrelid = t.oid)
  select t.oid::int as oid, t.relname::text as name, t.relreplident = 'f' as "isFull",
    (select jsonb_object_agg(attname, attnum || ' ' || format_type(atttypid, -1)) from a) as columns,
    array(select attname::text from a where attgenerated <> '') as generated,
    array(select attname::text from a where attnum = any ((select columns from i where indisprimary)::int2[])) as key,
    array(select attname::text from a where case t.relreplident
      when 'f' then true
      when 'i' then attnum = any ((select columns from i where indisreplident)::int2[])
      else attnum = any ((select columns from i where indisprimary)::int2[]) end) as identity,
    (select jsonb_object_agg(r.rolname, jsonb_build_object(
      'seesAll', r.rolbypassrls or not t.relrowsecurity,
      'isPermitted', exists (select from pg_policy p where p.polrelid = t.oid and p.polpermissive and ${isFor()}),
      'reads', array(
        select distinct a.attname::text from pg_policy p
        join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
        join a on a.attnum = d.refobjsubid
        where p.polrelid = t.oid and ${isFor()}
      ))) from pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')) as roles
  from t`;

function isFor(): string {
  return `p.polcmd in ('r', '*') and (0::oid = any (p.polroles) or r.oid = any (p.polroles))`;
}
