// In charge of: holding a key that is for some tables to them. Pure.
import { Fault } from '../../base/errors.ts';
import type { Catalog, Name } from '../../engine/catalog/catalog.ts';
import type { Caller, TablePrefix } from '../../engine/identity/caller.ts';
import { keyNotForName } from './errors.ts';
import type { Description, Info, Prepared } from './prepare.ts';

/**
 * Refuses a request that touches a name which the caller's key is not for. Says nothing of the description at the root, which shows
 * such a key its own names only: see `narrowed`.
 * @throws Fault 403 `key_not_for_table`, with the first of those names
 */
export function refuseOutOfScope({ key }: Caller, prepared: Prepared | Info | Description): void {
  if (key?.tables === undefined || prepared.answer === 'describe') return;
  for (const touched of prepared.touches) {
    if (!isInScope(key.tables, touched)) throw keyNotForName(key.name, key.tables.map(written), touched);
  }
}

/** Names are compared as they stand in Postgres, letter case included. What has no known schema needs a prefix without one. */
export function isInScope(tables: readonly TablePrefix[], { schema, name }: Name): boolean {
  for (const table of tables) {
    if ((table.schema === undefined || table.schema === schema) && name.startsWith(table.prefix)) return true;
  }
  return false;
}

/**
 * The refusal as a key for some tables may read it: planning finds the nearest names and the candidates of an ambiguous one among
 * all tables, and a name is not for everybody.
 */
export function withoutForeignNames({ key }: Caller, error: unknown): unknown {
  if (key?.tables === undefined || !(error instanceof Fault)) return error;
  if (!namingCodes.has(error.code) || (error.details === null && error.hint === null)) return error;
  const { status, code, message, headers } = error;
  return new Fault({ status, code, message, headers }, error);
}

/** PGRST200 to PGRST205: what is looked up in the catalog and not found, or found twice. Source: PostgREST 14 docs/references/errors.rst. */
const namingCodes: ReadonlySet<string> = new Set([
  'PGRST200',
  'PGRST201',
  'PGRST202',
  'PGRST203',
  'PGRST204',
  'PGRST205',
]);

/** The part of the catalog that a caller's key is for: what the description at the root is made of. */
export function narrowed({ key }: Caller, catalog: Catalog): Catalog {
  const tables = key?.tables;
  if (tables === undefined) return catalog;
  const only = <T extends Name>(map: ReadonlyMap<string, readonly T[]>) =>
    new Map([...map].map(([at, named]) => [at, named.filter((one) => isInScope(tables, one))] as const));
  return {
    ...catalog,
    relations: new Map([...catalog.relations].filter(([, relation]) => isInScope(tables, relation))),
    routines: only(catalog.routines),
    relationships: new Map(
      [...catalog.relationships].map(
        ([at, relationships]) =>
          [at, relationships.filter(({ target }) => isInScope(tables, target))] as const,
      ),
    ),
  };
}

function written({ schema, prefix }: TablePrefix): string {
  return schema === undefined ? prefix : `${schema}.${prefix}`;
}
