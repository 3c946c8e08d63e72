// In charge of: which columns of views are never null: those that come from a column that never is, past no outer join.
import type { Client } from 'pg';
import { isNode, listOf, parseRule, type RuleNode, type RuleValue } from './rule-tree.ts';

interface ViewRow {
  readonly id: string;
  readonly definition: string;
  /** `<oid>.<attnum>` of what the view reads that is NOT NULL. */
  readonly solid: readonly string[];
}

/**
 * The ids (`<oid>.<attnum>`) of view columns that are never null. A view over a view is followed.
 * Postgres itself says of every column of a view that it may be null.
 * Source: supabase/cli 3.1.0, the introspection behind `gen types`; PostgreSQL src/include/nodes/parsenodes.h.
 */
export async function findSolidViewColumns(
  client: Client,
  schemas: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<ViewRow>(viewsQuery, [schemas]);
  const views = new Views(rows);
  return new Set(rows.flatMap(({ id }) => [...views.solidOf(id)].map((column) => `${id}.${column}`)));
}

class Views {
  readonly #definitions: ReadonlyMap<string, string>;
  readonly #solidColumns: ReadonlySet<string>;
  readonly #known = new Map<string, ReadonlySet<number>>();

  constructor(rows: readonly ViewRow[]) {
    this.#definitions = new Map(rows.map(({ id, definition }) => [id, definition]));
    this.#solidColumns = new Set(rows.flatMap(({ solid }) => solid));
  }

  /** The numbers of a view's columns that are never null. What cannot be read is taken for nullable. */
  solidOf(view: string): ReadonlySet<number> {
    const known = this.#known.get(view);
    if (known !== undefined) return known;
    // A view that reads itself through others has nothing that is known of it yet.
    this.#known.set(view, new Set());
    const solid = new Set<number>();
    const rule = parseRule(this.#definitions.get(view) ?? '()');
    const query = listOf(rule)[0];
    if (isNode(query, 'QUERY') && isPlain(query)) {
      for (const entry of listOf(query.fields.targetList)) {
        if (
          isNode(entry, 'TARGETENTRY') &&
          entry.fields.resjunk !== 'true' &&
          this.#isSolid(entry.fields.expr, [query])
        )
          solid.add(Number(entry.fields.resno));
      }
    }
    this.#known.set(view, solid);
    return solid;
  }

  /** Whether an expression of the innermost of these queries is a column that is never null. */
  #isSolid(value: RuleValue | undefined, queries: readonly RuleNode[]): boolean {
    const query = queries.at(-1)!;
    if (!isNode(value, 'VAR') || value.fields.varlevelsup !== '0') return false;
    const source = Number(value.fields.varno);
    const column = Number(value.fields.varattno);
    if (column <= 0 || outerSources(query).has(source)) return false;
    const entry = listOf(query.fields.rtable)[source - 1];
    if (!isNode(entry, 'RANGETBLENTRY')) return false;
    switch (entry.fields.rtekind) {
      case sources.relation: {
        const relation = String(entry.fields.relid);
        return this.#definitions.has(relation)
          ? this.solidOf(relation).has(column)
          : this.#solidColumns.has(`${relation}.${column}`);
      }
      case sources.subquery:
        return this.#isSolidIn(entry.fields.subquery, column, queries);
      case sources.join:
        return this.#isSolid(listOf(entry.fields.joinaliasvars)[column - 1], queries);
      case sources.group:
        return this.#isSolid(listOf(entry.fields.groupexprs)[column - 1], queries);
      case sources.cte: {
        const levels = Number(entry.fields.ctelevelsup);
        const cte = listOf(queries.at(-1 - levels)?.fields.cteList).find(
          (one) => isNode(one, 'COMMONTABLEEXPR') && one.fields.ctename === entry.fields.ctename,
        );
        return (
          isNode(cte, 'COMMONTABLEEXPR') &&
          cte.fields.cterecursive !== 'true' &&
          this.#isSolidIn(cte.fields.ctequery, column, queries.slice(0, queries.length - levels))
        );
      }
      default:
        return false;
    }
  }

  #isSolidIn(query: RuleValue | undefined, column: number, around: readonly RuleNode[]): boolean {
    if (!isNode(query, 'QUERY') || !isPlain(query)) return false;
    const entry = listOf(query.fields.targetList).find(
      (one) => isNode(one, 'TARGETENTRY') && Number(one.fields.resno) === column,
    );
    return isNode(entry, 'TARGETENTRY') && this.#isSolid(entry.fields.expr, [...around, query]);
  }
}

/** Neither a union nor grouping sets, which make nulls of their own. */
function isPlain(query: RuleNode): boolean {
  return query.fields.setOperations === null && listOf(query.fields.groupingSets).length === 0;
}

/** Numbers of what stands on the side of an outer join that may be missing. */
function outerSources(query: RuleNode): ReadonlySet<number> {
  const found = new Set<number>();
  const visit = (value: RuleValue | undefined, mayMiss: boolean): void => {
    if (isNode(value, 'RANGETBLREF') && mayMiss) found.add(Number(value.fields.rtindex));
    if (isNode(value, 'FROMEXPR')) for (const item of listOf(value.fields.fromlist)) visit(item, mayMiss);
    if (!isNode(value, 'JOINEXPR')) return;
    const { jointype, larg, rarg, rtindex } = value.fields;
    if (mayMiss) found.add(Number(rtindex));
    visit(larg, mayMiss || (jointype !== joins.inner && jointype !== joins.left));
    visit(rarg, mayMiss || (jointype !== joins.inner && jointype !== joins.right));
  };
  visit(query.fields.jointree, false);
  return found;
}

/** Source: PostgreSQL src/include/nodes/parsenodes.h, `RTEKind`; a grouping is an entry of its own since 18. */
const sources = { relation: '0', subquery: '1', join: '2', cte: '6', group: '9' } as const;
/** Source: PostgreSQL src/include/nodes/nodes.h, `JoinType`. */
const joins = { inner: '0', left: '1', right: '3' } as const;

const viewsQuery = `
with recursive views (id) as (
  select class.oid
  from pg_catalog.pg_class as class
  join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
  where class.relkind in ('v', 'm') and schema.nspname = any($1)
  union
  select read.refobjid
  from views
  join pg_catalog.pg_rewrite as rule on rule.ev_class = views.id and rule.rulename = '_RETURN'
  join pg_catalog.pg_depend as read on read.classid = 'pg_catalog.pg_rewrite'::regclass and read.objid = rule.oid
    and read.refclassid = 'pg_catalog.pg_class'::regclass
  join pg_catalog.pg_class as class on class.oid = read.refobjid and class.relkind in ('v', 'm')
)
select views.id::text, rule.ev_action::text as definition,
       array(
         select format('%s.%s', read.refobjid, read.refobjsubid)
         from pg_catalog.pg_depend as read
         join pg_catalog.pg_attribute as attribute on attribute.attrelid = read.refobjid and attribute.attnum = read.refobjsubid
         join pg_catalog.pg_type as type on type.oid = attribute.atttypid
         where read.classid = 'pg_catalog.pg_rewrite'::regclass and read.objid = rule.oid
           and read.refclassid = 'pg_catalog.pg_class'::regclass and read.refobjsubid > 0
           and (attribute.attnotnull or type.typtype = 'd' and type.typnotnull)
       ) as solid
from views
join pg_catalog.pg_rewrite as rule on rule.ev_class = views.id and rule.rulename = '_RETURN'`;
