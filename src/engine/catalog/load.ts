// In charge of: reading the catalog from the database, in one read-only transaction, as the role that requests log in as.
// Everything read here is readable by every role, so it also works for one without any privilege.
import { readFile } from 'node:fs/promises';
import { setImmediate as pause } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import {
  type Catalog,
  type Column,
  type ComputedRelationship,
  type Isolation,
  keyOf,
  type MediaHandler,
  type Name,
  type Relation,
  type RoleSettings,
  type Routine,
  representationKey,
} from './catalog.ts';
import {
  type ForeignKey,
  inferRelationships,
  type ViewSources,
  viewColumnKey,
  viewsByTable,
} from './relationships.ts';
import { parseViewColumns, type ViewColumn } from './view-columns.ts';

/** What part of the database is the API's. */
export interface CatalogScope {
  readonly schemas: readonly string[];
  readonly extraSearchPath: readonly string[];
  /** The settings of functions that are to hold for the whole transaction. */
  readonly hoistedSettings: readonly string[];
}

const statements = {
  relations: 'relations',
  keys: 'keys',
  views: 'views',
  computed: 'computed',
  routines: 'routines',
  representations: 'representations',
  mediaHandlers: 'media-handlers',
  timezones: 'timezones',
  roles: 'roles',
} as const;

type Statements = Readonly<Record<keyof typeof statements, string>>;

/** The texts of the statements, from `sql/`. */
export async function readStatements(): Promise<Statements> {
  const folder = new URL('./sql/', import.meta.url);
  const texts = await Promise.all(
    Object.entries(statements).map(
      async ([key, file]) => [key, await readFile(new URL(`${file}.sql`, folder), 'utf8')] as const,
    ),
  );
  // Sound: one entry for each key of `statements`.
  return Object.fromEntries(texts) as Statements;
}

/** Reads the catalog. */
export async function loadCatalog(
  client: ClientBase,
  sql: Statements,
  scope: CatalogScope,
): Promise<Catalog> {
  await client.query('begin transaction isolation level repeatable read read only');
  try {
    // With an empty search path Postgres writes every name with its schema.
    await client.query(`select pg_catalog.set_config('search_path', '', true)`);
    const relations = await client.query(sql.relations, [scope.schemas]);
    const keys = await client.query(sql.keys);
    const views = await client.query(sql.views, [scope.schemas, scope.extraSearchPath]);
    const computed = await client.query(sql.computed);
    const routines = await client.query(sql.routines, [scope.schemas, scope.hoistedSettings]);
    const representations = await client.query(sql.representations);
    const mediaHandlers = await client.query(sql.mediaHandlers, [scope.schemas]);
    const roles = await client.query(sql.roles);
    const viewSources = await resolveViews(views.rows);
    const primaryKeys = collectPrimaryKeys(keys.rows, viewSources);
    const toOwnRelation = (row: Row) => [keyOf(row), toRelation(row, primaryKeys)] as const;
    const foundRelations = await inPieces(relations.rows, toOwnRelation);
    const foundRoutines = await inPieces(routines.rows, toRoutine);
    const relationships = inferRelationships({
      foreignKeys: keys.rows.filter((row) => row.kind === 'f').map(toForeignKey),
      views: viewSources,
      computed: computed.rows.map(toComputed),
      primaryKeys,
      schemas: scope.schemas,
    });
    return {
      relations: new Map(foundRelations),
      relationships,
      routines: Map.groupBy(foundRoutines.toSorted(compareOverloads), keyOf),
      representations: new Map(
        representations.rows.map((row) => [representationKey(row.source, row.target), row.function]),
      ),
      mediaHandlers: mediaHandlers.rows.map(toMediaHandler),
      roles: new Map(roles.rows.map((row) => [row.role, toRoleSettings(row)] as const)),
    };
  } finally {
    await client.query('rollback');
  }
}

/** The names of time zones that Postgres knows. It goes through six hundred files for them: a third of what reading the catalog of a small project costs. */
export async function loadTimezones(client: ClientBase, sql: Statements): Promise<ReadonlySet<string>> {
  const { rows } = await client.query(sql.timezones);
  return new Set(rows.map((row: Row) => String(row.name)));
}

/** As many as take a few milliseconds. */
const piece = 200;

/** Maps all, and lets requests in after each piece: a large schema takes tenths of a second. */
async function inPieces<T, U>(all: readonly T[], map: (one: T) => U): Promise<U[]> {
  const found: U[] = [];
  for (let at = 0; at < all.length; at += piece) {
    for (const one of all.slice(at, at + piece)) found.push(map(one));
    await pause();
  }
  return found;
}

// The rows below are those of the statements in sql/; `any` is their shape as the driver hands it over.
// biome-ignore lint/suspicious/noExplicitAny: a row of a statement beside this file.
type Row = any;

function toRelation(row: Row, primaryKeys: ReadonlyMap<string, readonly string[]>): Relation {
  return {
    schema: row.schema,
    name: row.name,
    description: row.description,
    isView: row.is_view,
    // Bits as Postgres's pg_relation_is_updatable gives them: 1 << CmdType.
    updatable: (row.writable & 4) !== 0,
    insertable: (row.writable & 8) !== 0,
    deletable: (row.writable & 16) !== 0,
    primaryKey: row.is_view ? (primaryKeys.get(keyOf(row)) ?? []) : row.primary_key,
    uniques: row.uniques,
    columns: new Map(row.columns.map((column: Row) => [column[0], toColumn(column)])),
  };
}

function toColumn(row: Row): Column {
  const [name, description, nullable, type, nominalType, maxLength, defaultText, labels] = row;
  return {
    name,
    description,
    nullable,
    type,
    nominalType,
    maxLength,
    default: defaultText,
    enum: labels ?? [],
  };
}

function toForeignKey(row: Row): ForeignKey {
  return {
    constraint: row.name,
    table: { schema: row.relation_schema, name: row.relation_name },
    tableOid: row.relation_oid,
    attnums: row.attnums,
    columns: row.columns,
    target: { schema: row.target_schema, name: row.target_name },
    targetOid: row.target_oid,
    targetAttnums: row.target_attnums,
    targetColumns: row.target_columns,
    isUnique: row.is_unique,
  };
}

function toComputed(row: Row): ComputedRelationship {
  const table: Name = { schema: row.relation_schema, name: row.relation_name };
  const target: Name = { schema: row.target_schema, name: row.target_name };
  return {
    kind: 'computed',
    table,
    target,
    isSelf: keyOf(table) === keyOf(target),
    function: { schema: row.function_schema, name: row.function_name },
    toOne: row.to_one,
  };
}

function toRoutine(row: Row): Routine {
  const settings: [string, string][] = row.settings;
  const isolation = settings.find(([name]) => name === 'default_transaction_isolation')?.[1];
  return {
    schema: row.schema,
    name: row.name,
    oid: row.oid,
    description: row.description,
    parameters: row.parameters.map(([name, type, castType, required, variadic]: Row) => ({
      name,
      type,
      castType,
      required,
      variadic,
    })),
    returns: {
      type: { schema: row.return_schema, name: row.return_name },
      set: row.returns_set,
      composite: row.returns_composite,
    },
    volatility: row.volatility === 'i' ? 'immutable' : row.volatility === 's' ? 'stable' : 'volatile',
    hasVariadic: row.has_variadic,
    isolation: toIsolation(isolation),
    settings: settings.filter(([name]) => name !== 'default_transaction_isolation'),
  };
}

/** The order in which overloads are named to who asked for them: fewest parameters first. Source: PostgREST 14.12, src/PostgREST/SchemaCache/Routine.hs. */
function compareOverloads(a: Routine, b: Routine): number {
  const order = (routine: Routine) =>
    [
      routine.description ?? '',
      ...routine.parameters.flatMap(({ name, type, required }) => [name, type, String(required)]),
    ].join('\0');
  const [first, second] = [order(a), order(b)];
  return a.parameters.length - b.parameters.length || (first < second ? -1 : first > second ? 1 : 0);
}

function toIsolation(text: string | undefined): Isolation | undefined {
  const level = text?.toLowerCase();
  return level === 'repeatable read' || level === 'serializable' || level === 'read committed'
    ? level
    : undefined;
}

function toMediaHandler(row: Row): MediaHandler {
  return {
    function: { schema: row.function_schema, name: row.function_name },
    target: row.for_any ? undefined : { schema: row.target_schema, name: row.target_name },
    mediaType: row.media_type,
    contentType: row.content_type,
    isBytes: row.is_bytes,
    isBinaryJson: row.is_binary_json,
  };
}

function toRoleSettings(row: Row): RoleSettings {
  const settings: [string, string][] = row.settings;
  const isolation = settings.find(([name]) => name === 'default_transaction_isolation')?.[1];
  return {
    settings: settings.filter(([name]) => name !== 'default_transaction_isolation'),
    isolation: toIsolation(isolation),
  };
}

/** For each view its columns' sources, followed through the views it stands on. */
async function resolveViews(rows: readonly Row[]): Promise<readonly ViewSources[]> {
  const byOid = new Map<string, readonly ViewColumn[]>(
    await inPieces(rows, (row) => [row.oid, parseViewColumns(row.tree)] as const),
  );
  return inPieces(rows, (row) => {
    const sources = new Map<string, string[]>();
    const follow = (column: ViewColumn, viewColumn: string, seen: readonly string[]) => {
      const key = viewColumnKey(column.table, column.column);
      const names = sources.get(key);
      if (!names) sources.set(key, [viewColumn]);
      else if (!names.includes(viewColumn)) names.push(viewColumn);
      if (seen.includes(column.table)) return;
      for (const below of byOid.get(column.table) ?? []) {
        if (below.place === column.column) follow(below, viewColumn, [...seen, column.table]);
      }
    };
    for (const column of byOid.get(row.oid) ?? []) {
      const name = row.columns?.[String(column.place)];
      if (name !== undefined) follow(column, name, [row.oid]);
    }
    return { view: { schema: row.schema, name: row.name }, sources };
  });
}

/** The primary keys of tables, and of each view that shows all columns of a table's key. */
function collectPrimaryKeys(
  keys: readonly Row[],
  views: readonly ViewSources[],
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  const byTable = viewsByTable(views);
  for (const row of keys) {
    if (row.kind !== 'p') continue;
    found.set(keyOf({ schema: row.relation_schema, name: row.relation_name }), row.columns);
    for (const { view, sources } of byTable.get(row.relation_oid) ?? []) {
      const shown = row.attnums.map(
        (attnum: number) => sources.get(viewColumnKey(row.relation_oid, attnum))?.[0],
      );
      if (shown.includes(undefined)) continue;
      found.set(keyOf(view), [...(found.get(keyOf(view)) ?? []), ...shown]);
    }
  }
  return found;
}
