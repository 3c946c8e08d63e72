// In charge of: which relations can be embedded in which, from foreign keys, from views over their columns, and from computed relationships.
// Source: PostgREST 14.12, docs/references/api/resource_embedding.rst, src/PostgREST/SchemaCache.hs.
import {
  type ColumnPair,
  type ComputedRelationship,
  type JunctionRelationship,
  type KeyRelationship,
  keyOf,
  type Name,
  type Relationship,
  relationshipKey,
} from './catalog.ts';

/** A foreign key as it stands in the database. */
export interface ForeignKey {
  readonly constraint: string;
  readonly table: Name;
  readonly tableOid: string;
  readonly attnums: readonly number[];
  readonly columns: readonly string[];
  readonly target: Name;
  readonly targetOid: string;
  readonly targetAttnums: readonly number[];
  readonly targetColumns: readonly string[];
  /** The foreign key's columns are themselves a key. */
  readonly isUnique: boolean;
}

/** A view, and by `viewColumnKey(table, attnum)` the names under which it shows that column, in the view's order. */
export interface ViewSources {
  readonly view: Name;
  readonly sources: ReadonlyMap<string, readonly string[]>;
}

export type ViewsByTable = ReadonlyMap<string, readonly ViewSources[]>;

/** The views by the oid of each table that they show a column of: there may be thousands of both. */
export function viewsByTable(views: readonly ViewSources[]): ViewsByTable {
  const found = new Map<string, ViewSources[]>();
  for (const view of views) {
    const tables = new Set([...view.sources.keys()].map((key) => key.slice(0, key.indexOf('.'))));
    for (const table of tables) {
      const list = found.get(table);
      if (list) list.push(view);
      else found.set(table, [view]);
    }
  }
  return found;
}

export function viewColumnKey(tableOid: string, attnum: number): string {
  return `${tableOid}.${attnum}`;
}

export interface RelationshipFacts {
  readonly foreignKeys: readonly ForeignKey[];
  readonly views: readonly ViewSources[];
  readonly computed: readonly ComputedRelationship[];
  /** The primary key's columns of any table or view, by `keyOf`. */
  readonly primaryKeys: ReadonlyMap<string, readonly string[]>;
  /** Only what is exposed can be embedded, or be a junction. */
  readonly schemas: readonly string[];
}

/** All relationships, by `relationshipKey(table, schema of the target)`, in a fixed order. */
export function inferRelationships(facts: RelationshipFacts): ReadonlyMap<string, readonly Relationship[]> {
  const views = viewsByTable(facts.views);
  const forward = facts.foreignKeys.flatMap((key) => [
    ownRelationship(key),
    ...viewRelationships(key, views),
  ]);
  const detected: Relationship[] = [
    ...forward,
    ...junctionRelationships(forward, facts.primaryKeys),
    ...forward.map(inverse),
  ];
  // A computed relationship takes the place of those detected between its table and a relation of its own name.
  const overridden = new Set(facts.computed.map((r) => `${keyOf(r.table)}\0${keyOf(r.function)}`));
  const exposed = new Set(facts.schemas);
  const map = new Map<string, Relationship[]>();
  const add = (relationship: Relationship, targetSchema: string) => {
    if (!exposed.has(relationship.table.schema)) return;
    // A table whose relationships are all hidden is still known as one that has some: hints search elsewhere only for others.
    const key = relationshipKey(relationship.table, targetSchema);
    const list = map.get(key) ?? [];
    map.set(key, list);
    if (!exposed.has(relationship.target.schema)) return;
    if (relationship.kind === 'many-to-many' && !exposed.has(relationship.junction.schema)) return;
    list.push(relationship);
  };
  for (const relationship of facts.computed) add(relationship, relationship.function.schema);
  for (const relationship of detected) {
    if (overridden.has(`${keyOf(relationship.table)}\0${keyOf(relationship.target)}`)) continue;
    add(relationship, relationship.target.schema);
  }
  for (const list of map.values()) list.sort(compareRelationships);
  return map;
}

function pairs(near: readonly string[], far: readonly string[]): readonly ColumnPair[] {
  return near.map((column, index) => [column, far[index]!] as const);
}

function ownRelationship(key: ForeignKey): KeyRelationship {
  return {
    kind: key.isUnique ? 'one-to-one' : 'many-to-one',
    table: key.table,
    target: key.target,
    isSelf: key.tableOid === key.targetOid,
    constraint: key.constraint,
    columns: pairs(key.columns, key.targetColumns),
    isReferenced: false,
    tableIsView: false,
    targetIsView: false,
  };
}

/** The same foreign key between a view and the table, the table and a view, a view and a view, where the view shows all of its columns. */
function viewRelationships(key: ForeignKey, views: ViewsByTable): readonly KeyRelationship[] {
  const near = viewsOver(views.get(key.tableOid) ?? [], key.tableOid, key.attnums);
  const far = viewsOver(views.get(key.targetOid) ?? [], key.targetOid, key.targetAttnums);
  const kind = key.isUnique ? 'one-to-one' : 'many-to-one';
  const { constraint } = key;
  return [
    ...near.map(
      ({ view, columns }): KeyRelationship => ({
        kind,
        table: view,
        target: key.target,
        isSelf: false,
        constraint,
        columns: pairs(columns, key.targetColumns),
        isReferenced: false,
        tableIsView: true,
        targetIsView: false,
      }),
    ),
    ...far.map(
      ({ view, columns }): KeyRelationship => ({
        kind,
        table: key.table,
        target: view,
        isSelf: false,
        constraint,
        columns: pairs(key.columns, columns),
        isReferenced: false,
        tableIsView: false,
        targetIsView: true,
      }),
    ),
    ...near.flatMap((a) =>
      far.map(
        (b): KeyRelationship => ({
          kind,
          table: a.view,
          target: b.view,
          isSelf: keyOf(a.view) === keyOf(b.view),
          constraint,
          columns: pairs(a.columns, b.columns),
          isReferenced: false,
          tableIsView: true,
          targetIsView: true,
        }),
      ),
    ),
  ];
}

/** The views that show all of `attnums`; one that shows a column twice stands here once for each way to choose. */
function viewsOver(
  views: readonly ViewSources[],
  tableOid: string,
  attnums: readonly number[],
): readonly { view: Name; columns: readonly string[] }[] {
  const found: { view: Name; columns: readonly string[] }[] = [];
  for (const { view, sources } of views) {
    let choices: (readonly string[])[] = [[]];
    for (const attnum of attnums) {
      const names = sources.get(viewColumnKey(tableOid, attnum)) ?? [];
      choices = choices.flatMap((chosen) => names.map((name) => [...chosen, name]));
      if (choices.length === 0) break;
    }
    for (const columns of choices) found.push({ view, columns });
  }
  return found;
}

/** Two foreign keys of one table make it a junction when its primary key holds the columns of both. */
function junctionRelationships(
  forward: readonly KeyRelationship[],
  primaryKeys: RelationshipFacts['primaryKeys'],
): readonly JunctionRelationship[] {
  const byTable = Map.groupBy(
    forward.filter((r) => r.kind === 'many-to-one'),
    (r) => keyOf(r.table),
  );
  const found: JunctionRelationship[] = [];
  for (const [key, keys] of byTable) {
    const primaryKey = new Set(primaryKeys.get(key) ?? []);
    const inKey = keys.filter((r) => r.columns.every(([column]) => primaryKey.has(column)));
    for (const source of inKey) {
      for (const target of inKey) {
        if (source.constraint === target.constraint) continue;
        found.push({
          kind: 'many-to-many',
          table: source.target,
          target: target.target,
          isSelf: keyOf(source.target) === keyOf(target.target),
          junction: source.table,
          sourceConstraint: source.constraint,
          targetConstraint: target.constraint,
          sourceColumns: source.columns.map(([junction, column]) => [column, junction] as const),
          targetColumns: target.columns.map(([junction, column]) => [column, junction] as const),
          tableIsView: source.targetIsView,
          targetIsView: target.targetIsView,
        });
      }
    }
  }
  return found;
}

function inverse(relationship: KeyRelationship): KeyRelationship {
  return {
    ...relationship,
    kind: relationship.kind === 'one-to-one' ? 'one-to-one' : 'one-to-many',
    table: relationship.target,
    target: relationship.table,
    columns: relationship.columns.map(([near, far]) => [far, near] as const),
    isReferenced: true,
    tableIsView: relationship.targetIsView,
    targetIsView: relationship.tableIsView,
  };
}

const kindOrder = ['one-to-many', 'many-to-one', 'one-to-one', 'many-to-many'];

/** The order in which an ambiguous embedding lists its candidates: by target, then cardinality, then constraint. */
function compareRelationships(a: Relationship, b: Relationship): number {
  if (a.kind === 'computed' || b.kind === 'computed') {
    return Number(a.kind === 'computed') - Number(b.kind === 'computed');
  }
  return (
    compareText(a.target.schema, b.target.schema) ||
    compareText(a.target.name, b.target.name) ||
    Number(a.isSelf) - Number(b.isSelf) ||
    kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind) ||
    compareText(tieBreaker(a), tieBreaker(b))
  );
}

function tieBreaker(relationship: KeyRelationship | JunctionRelationship): string {
  return relationship.kind === 'many-to-many'
    ? [keyOf(relationship.junction), relationship.sourceConstraint, relationship.targetConstraint].join('\0')
    : [relationship.constraint, ...relationship.columns.flat()].join('\0');
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
