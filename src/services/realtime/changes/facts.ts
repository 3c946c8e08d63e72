// In charge of: what tables and roles are to whoever decides who sees a change, as values of one moment, and whether that moment is over.
import { readFile } from 'node:fs/promises';
import type { PoolClient } from 'pg';
import type { Db, LoginRole } from '../../../engine/db/db.ts';
import { loadParser } from '../../../engine/db/migrations/parser.ts';
import { type ExpressionReads, ReadsAnalyst } from './reads.ts';
import { lockTimeout } from './retrying.ts';

export interface ColumnFacts {
  readonly name: string;
  /** As clients are told it: `int8`, `_text`. */
  readonly typeName: string;
  /** As SQL text: `bigint`, `app.email`. */
  readonly type: string;
  readonly typeOid: string;
  /** What a domain is over; else the type itself. */
  readonly base: string;
  /** pg_type.typtype of the base. */
  readonly kind: string;
  /** Of an array: its elements' base type. */
  readonly element: string | null;
  readonly elementKind: string | null;
  readonly delimiter: string | null;
  /** PostgreSQL brings the type. */
  readonly isBuiltIn: boolean;
  readonly hasJsonCast: boolean;
  /** Texts that differ are not equal. */
  readonly isDeterministic: boolean;
  readonly isKey: boolean;
  /** The expression of a column that Postgres computes, with every name in full. */
  readonly generated: string | null;
}

export interface PolicyFacts extends ExpressionReads {
  readonly oid: string;
  readonly name: string;
  readonly isPermissive: boolean;
  /** With every name in full. */
  readonly using: string;
}

/** What a role may read of a table. */
export interface RoleFacts {
  readonly role: string;
  /** No policy holds for it. */
  readonly seesAll: boolean;
  readonly selectable: ReadonlySet<string>;
  /** Those that hold for it. */
  readonly policies: readonly PolicyFacts[];
  /** The claims that these can read. */
  readonly claims: 'all' | readonly string[];
  /** Those of the table that they read. */
  readonly columns: ReadonlySet<string>;
}

export interface TableFacts {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly isPublished: boolean;
  /** The publication names no columns of it. */
  readonly publishesAllColumns: boolean;
  readonly columns: readonly ColumnFacts[];
  readonly columnOf: ReadonlyMap<string, ColumnFacts>;
  readonly keys: readonly string[];
  readonly hasPolicies: boolean;
  /** Oids of the tables that it is a partition of. */
  readonly ancestors: readonly string[];
  readonly roles: ReadonlyMap<string, RoleFacts>;
}

/** Everything that is known of one version of the schema. Grows, but what it has never changes. */
export interface Facts {
  readonly tables: ReadonlyMap<string, TableFacts>;
}

export interface FactsSource {
  /**
   * What holds now of these tables and those that they are partitions of, for these roles. A table that is gone is missing. The same value as
   * before as long as nothing has changed.
   */
  prepare(tables: readonly string[], roles: ReadonlySet<string>): Promise<Facts>;
  /** Reads everything anew the next time. */
  forget(): void;
}

interface TableRow extends Omit<TableFacts, 'columnOf' | 'keys' | 'roles'> {
  readonly policies: readonly Pick<PolicyFacts, 'oid' | 'name' | 'isPermissive' | 'using'>[];
}

interface RoleRow {
  readonly oid: string;
  readonly role: string;
  readonly seesAll: boolean;
  readonly reachesSchema: boolean;
  readonly selectable: readonly string[];
  readonly policies: readonly string[];
}

interface Generation {
  readonly tables: Map<string, TableFacts>;
  readonly policies: Map<string, readonly PolicyFacts[]>;
  readonly roles: Map<string, Map<string, RoleFacts>>;
  /** `table role` that were looked for. */
  readonly asked: Set<string>;
  readonly readTables: Set<string>;
  readonly readFunctions: Set<string>;
  version: string;
}

export async function openFacts(options: {
  readonly db: Pick<Db, 'asOwner'>;
  readonly reader: LoginRole;
  readonly publication: string;
}): Promise<FactsSource> {
  const { db, reader, publication } = options;
  const [versionSql, tablesSql, rolesSql] = (await Promise.all(
    ['version', 'tables', 'roles'].map((name) =>
      readFile(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8'),
    ),
  )) as [string, string, string];
  let current = newGeneration();
  let loading: Promise<unknown> = Promise.resolve();

  async function version(client: PoolClient, of: Generation): Promise<string> {
    const { rows } = await client.query<{ version: string }>({
      name: 'millrace_changes_version',
      text: versionSql,
      values: [[...of.tables.keys(), ...of.readTables], [...of.readFunctions]],
    });
    return rows[0]?.version ?? '';
  }

  async function prepare(tables: readonly string[], roles: ReadonlySet<string>): Promise<Facts> {
    return db.asOwner(reader, async (client) => {
      if (current.version !== '' && (await version(client, current)) !== current.version)
        current = newGeneration();
      const isMissing = (table: string) =>
        !current.tables.has(table) || [...roles].some((role) => !current.asked.has(`${table} ${role}`));
      const wanted = tables.flatMap((table) => [table, ...(current.tables.get(table)?.ancestors ?? [])]);
      if (!wanted.some(isMissing)) return current;
      // One after the other: what two have read at different moments must not become one version.
      const own = loading.then(() => load(client, wanted, roles));
      loading = own.catch(() => {});
      return own;
    });
  }

  /** Everything of these tables, in one snapshot: what changes behind it is another version the next time. */
  async function load(
    client: PoolClient,
    tables: readonly string[],
    roles: ReadonlySet<string>,
  ): Promise<Facts> {
    await loadParser();
    await client.query(`begin isolation level repeatable read read only`);
    // So that names come in full.
    await client.query(
      `select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config($1, $2, true)`,
      [...lockTimeout],
    );
    // What is known already has to hold in this snapshot, too: it counts as being of the same version from now on.
    const isSame = current.version !== '' && (await version(client, current)) === current.version;
    const next = isSame ? { ...current } : newGeneration();
    const analyst = new ReadsAnalyst(client);
    let missing = tables.filter((table) => !next.tables.has(table));
    while (missing.length > 0) {
      const { rows } = await client.query<TableRow>(tablesSql, [missing, publication]);
      for (const row of rows) await addTable(next, analyst, row);
      missing = rows.flatMap((row) => row.ancestors).filter((table) => !next.tables.has(table));
    }
    const oids = tables.flatMap((table) => [table, ...(next.tables.get(table)?.ancestors ?? [])]);
    const { rows } = await client.query<RoleRow>(rolesSql, [oids, [...roles]]);
    for (const row of rows) addRole(next, row);
    for (const table of oids) for (const role of roles) next.asked.add(`${table} ${role}`);
    for (const oid of analyst.tables) next.readTables.add(oid);
    for (const oid of analyst.functions) next.readFunctions.add(oid);
    next.version = await version(client, next);
    await client.query('commit');
    current = next;
    return next;
  }

  return {
    prepare,
    forget() {
      current = newGeneration();
    },
  };
}

function newGeneration(): Generation {
  return {
    tables: new Map(),
    policies: new Map(),
    roles: new Map(),
    asked: new Set(),
    readTables: new Set(),
    readFunctions: new Set(),
    version: '',
  };
}

async function addTable(to: Generation, analyst: ReadsAnalyst, row: TableRow): Promise<void> {
  const policies: PolicyFacts[] = [];
  for (const policy of row.policies) policies.push({ ...policy, ...(await analyst.ofPolicy(policy)) });
  to.policies.set(row.oid, policies);
  const roles = new Map<string, RoleFacts>();
  to.roles.set(row.oid, roles);
  to.tables.set(row.oid, {
    oid: row.oid,
    schema: row.schema,
    name: row.name,
    isPublished: row.isPublished,
    publishesAllColumns: row.publishesAllColumns,
    columns: row.columns,
    columnOf: new Map(row.columns.map((column) => [column.name, column])),
    keys: row.columns.filter((column) => column.isKey).map((column) => column.name),
    hasPolicies: row.hasPolicies,
    ancestors: row.ancestors,
    roles,
  });
}

function addRole(to: Generation, row: RoleRow): void {
  const table = to.tables.get(row.oid);
  if (table === undefined) return;
  const seesAll = row.seesAll || !table.hasPolicies;
  const policies = seesAll
    ? []
    : (to.policies.get(row.oid) ?? []).filter((policy) => row.policies.includes(policy.oid));
  to.roles.get(row.oid)?.set(row.role, {
    role: row.role,
    seesAll,
    selectable: new Set(row.reachesSchema ? row.selectable : []),
    policies,
    claims: policies.some((policy) => policy.all)
      ? 'all'
      : [...new Set(policies.flatMap((policy) => [...policy.claims]))].sort(),
    columns: new Set(policies.flatMap((policy) => columnsOf(table, policy))),
  });
}

/** The table's columns that a policy may read: all, where it may read the row as a whole. */
function columnsOf(table: TableFacts, policy: PolicyFacts): readonly string[] {
  const names = table.columns.map((column) => column.name);
  const isWhole = policy.wholeRows.has(table.name) && !table.columnOf.has(table.name);
  return isWhole ? names : names.filter((name) => policy.columns.has(name));
}
