// In charge of: planning: the parsed request and the catalog give one tree, ready to compile. Pure: no I/O, no wire.
// Source: PostgREST 14.12, src/PostgREST/Plan.hs (wrappedReadPlan, mutateReadPlan, callReadPlan).
import { type Catalog, keyOf, type Name, type Relation, type Routine } from '../catalog/catalog.ts';
import type {
  Arguments,
  Body,
  CallPlan,
  DeletePlan,
  InsertPlan,
  PlannedField,
  ReadNode,
  ReadPlan,
  UpdatePlan,
} from './ast.ts';
import { noColumn, noTable, putFilters } from './errors.ts';
import { inputField, planCondition } from './fields.ts';
import type { Condition, Filter, Selection } from './query.ts';
import { planRead, type ReadOptions } from './read.ts';

/** The CTE that holds the rows of a write or a call, from which the answer is read. Its name shows in Postgres's messages. */
export const sourceName = 'pgrst_source';

export interface Write {
  readonly relation: Name;
  readonly selection: Selection;
  /** The filters and conditions that say which rows are written. */
  readonly filters: readonly Filter[];
  readonly conditions: readonly Condition[];
  /** Whether rows are wanted back: then the columns that the answer needs are returned. */
  readonly returnRows: boolean;
}

export interface Insert extends Write {
  readonly columns: readonly string[];
  readonly body: Body;
  readonly resolution: 'merge' | 'ignore' | undefined;
  readonly onConflict: readonly string[] | undefined;
  readonly applyDefaults: boolean;
}

/** @throws PGRST205 when there is no such relation, with the nearest name. */
export function findRelation(catalog: Catalog, name: Name): Relation {
  const relation = catalog.relations.get(keyOf(name));
  if (!relation) throw noTable(name, catalog);
  return relation;
}

export function planReadOf(
  catalog: Catalog,
  relation: Name,
  selection: Selection,
  options: ReadOptions,
): ReadPlan {
  findRelation(catalog, relation);
  return {
    kind: 'read',
    relation,
    read: planRead(catalog, relation, { kind: 'relation' }, selection, options),
  };
}

export function planInsert(catalog: Catalog, write: Insert, options: ReadOptions): InsertPlan {
  const relation = findRelation(catalog, write.relation);
  const read = planReturned(catalog, write, options);
  const conflict = write.onConflict ?? relation.primaryKey;
  return {
    kind: 'insert',
    relation: write.relation,
    columns: inputFields(catalog, relation, write.columns),
    body: write.body,
    conflict:
      write.resolution === undefined ? undefined : { resolution: write.resolution, columns: conflict },
    only: [],
    primaryKey: [...relation.columns.keys()].filter((name) => relation.primaryKey.includes(name)),
    applyDefaults: write.applyDefaults,
    returning: write.returnRows ? columnsNeeded(read, relation) : [],
    read,
  };
}

/**
 * An upsert of the one row that the filters name by its primary key.
 * @throws PGRST105 when the filters are anything else.
 */
export function planUpsertOne(catalog: Catalog, write: Insert, options: ReadOptions): InsertPlan {
  const relation = findRelation(catalog, write.relation);
  const read = planReturned(catalog, write, options);
  const named = new Set(write.filters.map(({ field }) => field.name));
  const exact =
    write.conditions.length === 0 &&
    relation.primaryKey.length > 0 &&
    named.size === relation.primaryKey.length &&
    relation.primaryKey.every((column) => named.has(column)) &&
    write.filters.every(isEquality);
  if (!exact) throw putFilters();
  return {
    kind: 'insert',
    relation: write.relation,
    columns: inputFields(catalog, relation, write.columns),
    body: write.body,
    conflict: { resolution: 'merge', columns: relation.primaryKey },
    only: conditionsOf(catalog, write),
    primaryKey: [],
    applyDefaults: false,
    returning: write.returnRows ? columnsNeeded(read, relation) : [],
    read,
  };
}

function isEquality({ negated, operation, field }: Filter): boolean {
  return (
    !negated &&
    field.path.length === 0 &&
    operation.kind === 'compare' &&
    operation.operator === '=' &&
    operation.quantifier === undefined
  );
}

export function planUpdate(catalog: Catalog, write: Insert, options: ReadOptions): UpdatePlan {
  const relation = findRelation(catalog, write.relation);
  const read = planReturned(catalog, write, options);
  return {
    kind: 'update',
    relation: write.relation,
    columns: inputFields(catalog, relation, write.columns),
    body: write.body,
    where: conditionsOf(catalog, write),
    applyDefaults: write.applyDefaults,
    returning: write.returnRows ? columnsNeeded(read, relation) : [],
    read,
  };
}

export function planDelete(catalog: Catalog, write: Write, options: ReadOptions): DeletePlan {
  const relation = findRelation(catalog, write.relation);
  const read = planReturned(catalog, write, options);
  return {
    kind: 'delete',
    relation: write.relation,
    where: conditionsOf(catalog, write),
    returning: write.returnRows ? columnsNeeded(read, relation) : [],
    read,
  };
}

export function planCall(
  catalog: Catalog,
  routine: Routine,
  args: Arguments,
  selection: Selection,
  options: ReadOptions,
): CallPlan {
  // A function that returns rows of a relation can embed what that relation can.
  const result: Name = {
    schema: routine.schema,
    name: routine.returns.composite ? routine.returns.type.name : routine.name,
  };
  const read = planRead(catalog, result, { kind: 'cte', name: sourceName }, selection, options);
  const needed = columnsNeeded(read, undefined);
  return {
    kind: 'call',
    routine,
    arguments: args,
    returning: needed.includes('*')
      ? ['*']
      : [...new Set([...needed, ...filteredColumns(read), ...orderedColumns(read)])],
    read,
  };
}

function planReturned(catalog: Catalog, write: Write, options: ReadOptions): ReadNode {
  // What was written is given back whole: max_rows is about reads.
  const all = { ...options, maxRows: undefined };
  return planRead(catalog, write.relation, { kind: 'cte', name: sourceName }, write.selection, all);
}

function conditionsOf(catalog: Catalog, write: Write) {
  const all: readonly Condition[] = [
    ...write.filters.map((filter) => ({ kind: 'filter', filter }) as const),
    ...write.conditions,
  ];
  return all.map((condition) => planCondition(catalog, write.relation, condition));
}

/** @throws PGRST204 when the relation has no such column. */
function inputFields(
  catalog: Catalog,
  relation: Relation,
  names: readonly string[],
): readonly PlannedField[] {
  return names.map((name) => {
    const field = inputField(catalog, relation, name);
    if (!field) throw noColumn(relation.name, name);
    return field;
  });
}

/** The columns that a write has to return so that its answer can be read from them: those selected, joined by, ordered by, and the key's. */
function columnsNeeded(read: ReadNode, written: Relation | undefined): readonly string[] {
  const selected = read.columns.map(({ field }) => field.name);
  const kinds = read.embeds.map(({ relationship }) => relationship?.kind);
  // What a computed relationship reads cannot be known.
  if (selected.includes('*') || kinds.includes('computed')) return ['*'];
  const joined = read.embeds.flatMap(({ relationship }) => {
    if (!relationship || relationship.kind === 'computed') return [];
    const pairs = relationship.kind === 'many-to-many' ? relationship.sourceColumns : relationship.columns;
    return pairs.map(([column]) => column);
  });
  const ordered = orderedColumns(read).filter((name) => written?.columns.has(name));
  return [...new Set([...selected, ...joined, ...(written?.primaryKey ?? []), ...ordered])].sort();
}

/** PostgREST leaves these out, and answers 42703 to an order by what is not selected of a function's or a write's rows. */
function orderedColumns(read: ReadNode): readonly string[] {
  return read.order.flatMap(({ embed, field }) => (embed === undefined ? [field.name] : []));
}

function filteredColumns(read: ReadNode): readonly string[] {
  const names: string[] = [];
  const visit = (conditions: ReadNode['where']) => {
    for (const condition of conditions) {
      if (condition.kind === 'filter') names.push(condition.field.name);
      else if (condition.kind !== 'embed') visit(condition.conditions);
    }
  };
  visit(read.where);
  return names;
}
