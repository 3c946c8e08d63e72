// In charge of: what the database says of tables, columns and functions, as far as unknown arguments need it to be filled in.
import type { Client } from 'pg';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** It has no default and may not be null. */
  readonly required: boolean;
  readonly generated: boolean;
}

export interface ColumnType {
  /** `pg_type.typname`; of an array that of its elements. */
  readonly name: string;
  /** `pg_type.typcategory`. Source: PostgreSQL manual, "pg_type". */
  readonly category: string;
  readonly labels: readonly string[];
  readonly dimensions: number;
}

export interface Parameter {
  readonly name: string;
  readonly type: ColumnType;
  readonly optional: boolean;
}

export interface ProjectCatalog {
  /** Columns by `schema.relation`. */
  readonly relations: ReadonlyMap<string, readonly Column[]>;
  /** Overloads by `schema.function`. */
  readonly functions: ReadonlyMap<string, readonly (readonly Parameter[])[]>;
}

interface Row {
  readonly owner: string;
  readonly variant: string;
  readonly name: string | null;
  readonly type: string;
  readonly category: string;
  readonly labels: readonly string[] | null;
  readonly modifier: number;
  readonly open: boolean;
  readonly generated: boolean;
}

export async function loadProjectCatalog(client: Client): Promise<ProjectCatalog> {
  const columns = await client.query<Row>(columnsSql);
  const parameters = await client.query<Row>(parametersSql);
  const relations = new Map<string, Column[]>();
  for (const row of columns.rows) {
    const known = relations.get(row.owner) ?? [];
    known.push({ name: row.name!, type: typeOf(row), required: !row.open, generated: row.generated });
    relations.set(row.owner, known);
  }
  const functions = new Map<string, Map<string, Parameter[]>>();
  for (const row of parameters.rows) {
    const overloads = functions.get(row.owner) ?? new Map<string, Parameter[]>();
    functions.set(row.owner, overloads);
    const known = overloads.get(row.variant) ?? [];
    overloads.set(row.variant, known);
    if (row.name !== null) known.push({ name: row.name, type: typeOf(row), optional: row.open });
  }
  return {
    relations,
    functions: new Map([...functions].map(([name, overloads]) => [name, [...overloads.values()]])),
  };
}

function typeOf(row: Row): ColumnType {
  return { name: row.type, category: row.category, labels: row.labels ?? [], dimensions: row.modifier };
}

/** The base type of a domain, the elements of an array, and the labels of an enum. */
const typeColumns = `
  coalesce(element.typname, base.typname) as type, base.typcategory as category,
  (select array_agg(enumlabel::text order by enumsortorder) from pg_enum where enumtypid = coalesce(element.oid, base.oid)) as labels`;
const typeJoins = `
  join pg_type as base on base.oid = case when type.typtype = 'd' then type.typbasetype else type.oid end
  left join pg_type as element on element.oid = base.typelem and base.typcategory = 'A'`;

const columnsSql = `
  select class.relnamespace::regnamespace::text || '.' || class.relname as owner, '' as variant, att.attname as name, ${typeColumns},
    att.atttypmod as modifier,
    not att.attnotnull or att.atthasdef or att.attidentity <> '' or class.relkind not in ('r', 'p') as open,
    att.attgenerated <> '' or att.attidentity = 'a' as generated
  from pg_class as class
  join pg_attribute as att on att.attrelid = class.oid and att.attnum > 0 and not att.attisdropped
  join pg_type as type on type.oid = att.atttypid ${typeJoins}
  where class.relkind in ('r', 'p', 'v', 'm', 'f') and class.relnamespace::regnamespace::text !~ '^(pg_|information_schema|_millrace)'
  order by class.oid, att.attnum`;

const parametersSql = `
  select proc.pronamespace::regnamespace::text || '.' || proc.proname as owner, proc.oid::text as variant,
    arg.name, ${typeColumns}, -1 as modifier, coalesce(arg.at > proc.pronargs - proc.pronargdefaults, true) as open, false as generated
  from pg_proc as proc
  left join lateral (
    select at, proc.proargnames[at] as name, proc.proargtypes[at - 1] as type from generate_series(1, proc.pronargs) as at
  ) as arg on true
  left join pg_type as type on type.oid = arg.type
  left join pg_type as base on base.oid = case when type.typtype = 'd' then type.typbasetype else type.oid end
  left join pg_type as element on element.oid = base.typelem and base.typcategory = 'A'
  where proc.pronamespace::regnamespace::text !~ '^(pg_|information_schema|_millrace)' and proc.prokind = 'f'
  order by proc.oid, arg.at`;
