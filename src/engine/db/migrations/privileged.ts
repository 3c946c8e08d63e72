// In charge of: which statements of a migration are run as `supabase_admin`. Hosted projects have them through supautils; anything else runs as `postgres`.
import type { CreateExtensionStmt, DefElem, Node } from 'libpg-query';
import type { CreateOptions } from '../extensions/install.ts';
import { parseSql } from './parser.ts';
import type { Piece } from './script.ts';

/** A recognised statement. `name` is the object that `run_privileged` looks at again, when it runs it. */
export interface Privileged {
  readonly kind:
    | 'extension'
    /** One that supautils elevates for nobody; as a rule of pg_tle, whose text is in the database. `postgres` itself runs it. */
    | 'text extension'
    | 'event trigger'
    | 'publication'
    | 'foreign data wrapper'
    | 'role setting';
  /** What is done: `create`, `alter`, `drop`, `comment`. */
  readonly act: string;
  /** The extension (undefined where several are dropped), trigger, publication, wrapper or parameter. */
  readonly name: string | undefined;
  /** The function that the object calls, as quoted names with dots: an event trigger's function, a wrapper's validator. */
  readonly function?: string | undefined;
  /** The extensions, for `drop extension`. */
  readonly names?: readonly string[] | undefined;
  /** `drop … cascade` */
  readonly cascades?: boolean | undefined;
  /** `alter extension … update` */
  readonly updates?: boolean | undefined;
  /** The version of `alter extension … update to`. */
  readonly updatesTo?: string | undefined;
  /** What a CREATE EXTENSION says beside the name. */
  readonly options?: CreateOptions | undefined;
}

/**
 * What a statement needs `supabase_admin` for; undefined when `postgres` runs it. Pure once the parser is loaded.
 *
 * Only a whole top-level statement is ever recognised: what a DO block or a function runs, runs as `postgres`. Statements that hold
 * an expression are never recognised, whatever they are about: reading `'{1}'::an_array_of_a_domain` calls the domain's
 * check, so an expression is code of the migration's author even where it is only stored. Policies and triggers on `auth`,
 * `storage` and `realtime` need no superuser because `postgres` has the rights of these tables' owners, and parameters such
 * as `session_replication_role` because it is granted SET on them.
 * Source: supabase/supautils src/supautils.c (`supautils_hook`); supabase/postgres ansible/files/postgresql_config/supautils.conf.j2.
 */
export function recognise(statement: string): Privileged | undefined {
  const node = parseOne(statement);
  if (node === undefined) return undefined;
  if ('CreateExtensionStmt' in node) {
    const found = extension('create', [node.CreateExtensionStmt.extname]);
    return found && { ...found, options: optionsOf(node.CreateExtensionStmt) };
  }
  if ('AlterExtensionStmt' in node) {
    const { extname, options } = node.AlterExtensionStmt;
    const found = extension('alter', [extname]);
    return found && { ...found, updates: true, updatesTo: nameOf(optionNamed(options, 'new_version')?.arg) };
  }
  if ('AlterObjectSchemaStmt' in node) {
    const { objectType, object } = node.AlterObjectSchemaStmt;
    return objectType === 'OBJECT_EXTENSION' ? extension('alter', [nameOf(object)]) : undefined;
  }
  if ('CommentStmt' in node) {
    const { objtype, object } = node.CommentStmt;
    return objtype === 'OBJECT_EXTENSION' ? extension('comment', [nameOf(object)]) : undefined;
  }
  if ('DropStmt' in node) {
    const { removeType, objects, behavior } = node.DropStmt;
    if (removeType !== 'OBJECT_EXTENSION') return undefined;
    const names = (objects ?? []).map(nameOf);
    const found = extension('drop', names);
    const cascades = behavior === 'DROP_CASCADE';
    return found && { ...found, names: names.filter((name) => name !== undefined), cascades };
  }
  if ('CreateEventTrigStmt' in node) {
    const { trigname, funcname } = node.CreateEventTrigStmt;
    return { kind: 'event trigger', act: 'create', name: trigname, function: quotedName(funcname) };
  }
  if ('CreatePublicationStmt' in node) {
    const { pubname, for_all_tables: all, pubobjects } = node.CreatePublicationStmt;
    return publication('create', pubname, all === true, pubobjects);
  }
  if ('AlterPublicationStmt' in node) {
    const { pubname, for_all_tables: all, pubobjects } = node.AlterPublicationStmt;
    return publication('alter', pubname, all === true, pubobjects);
  }
  if ('CreateFdwStmt' in node) {
    const { fdwname, func_options: options } = node.CreateFdwStmt;
    return { kind: 'foreign data wrapper', act: 'create', name: fdwname, function: validatorOf(options) };
  }
  if ('AlterRoleSetStmt' in node) {
    const { role, setstmt } = node.AlterRoleSetStmt;
    const named = role?.roletype === 'ROLESPEC_CSTRING' ? role.rolename : undefined;
    if (named === undefined || !configurableRoles.has(named) || setstmt?.name === undefined) return undefined;
    return { kind: 'role setting', act: 'alter', name: setstmt.name.toLowerCase() };
  }
  return undefined;
}

/** Whether a statement is worth the parser's time. */
export function isCandidate(piece: Piece): boolean {
  if (piece.kind !== 'statement') return false;
  const [first, second, third] = piece.words;
  switch (first) {
    case 'CREATE':
      return second === 'FOREIGN' ? third === 'DATA' : candidates.has(second ?? '');
    case 'ALTER':
      return candidates.has(second ?? '') || second === 'ROLE' || second === 'USER';
    case 'DROP':
      return second === 'EXTENSION';
    case 'COMMENT':
      return third === 'EXTENSION';
    default:
      return false;
  }
}

function parseOne(statement: string): Node | undefined {
  try {
    const { stmts } = parseSql(statement);
    return stmts?.length === 1 ? stmts[0]?.stmt : undefined;
  } catch {
    // Not SQL that this parser knows: Postgres says what is wrong with it.
    return undefined;
  }
}

function extension(act: string, names: readonly (string | undefined)[]): Privileged | undefined {
  if (names.length === 0 || names.includes(undefined)) return undefined;
  const known = names.every((name) => privilegedExtensions.has(name!));
  return {
    kind: known ? 'extension' : 'text extension',
    act,
    name: names.length === 1 ? names[0] : undefined,
  };
}

function optionsOf({
  if_not_exists: mayExist,
  options,
}: CreateExtensionStmt): NonNullable<Privileged['options']> {
  return {
    schema: nameOf(optionNamed(options, 'schema')?.arg),
    version: nameOf(optionNamed(options, 'new_version')?.arg),
    mayExist: mayExist === true,
    cascades: optionNamed(options, 'cascade') !== undefined,
  };
}

function optionNamed(options: readonly Node[] | undefined, name: string): DefElem | undefined {
  for (const option of options ?? []) {
    if ('DefElem' in option && option.DefElem.defname === name) return option.DefElem;
  }
  return undefined;
}

/** A publication of all tables or of whole schemas needs a superuser; one that names tables, and may hold filters, does not. */
function publication(
  act: string,
  name: string | undefined,
  all: boolean,
  objects: readonly Node[] | undefined,
): Privileged | undefined {
  const kinds = (objects ?? []).map((object) =>
    'PublicationObjSpec' in object ? object.PublicationObjSpec.pubobjtype : undefined,
  );
  const schemas = kinds.length > 0 && kinds.every((kind) => kind !== undefined && schemaObjects.has(kind));
  return all || schemas ? { kind: 'publication', act, name } : undefined;
}

function validatorOf(options: readonly Node[] | undefined): string | undefined {
  for (const option of options ?? []) {
    if (!('DefElem' in option) || option.DefElem.defname !== 'validator') continue;
    const { arg } = option.DefElem;
    return arg !== undefined && 'List' in arg ? quotedName(arg.List.items) : undefined;
  }
  return undefined;
}

function nameOf(node: Node | undefined): string | undefined {
  return node !== undefined && 'String' in node ? node.String.sval : undefined;
}

function quotedName(parts: readonly Node[] | undefined): string | undefined {
  const names = (parts ?? []).map(nameOf);
  if (names.length === 0 || names.includes(undefined)) return undefined;
  return names.map((name) => `"${name!.replaceAll('"', '""')}"`).join('.');
}

const candidates: ReadonlySet<string> = new Set(['EXTENSION', 'EVENT', 'PUBLICATION']);
const schemaObjects: ReadonlySet<string> = new Set([
  'PUBLICATIONOBJ_TABLES_IN_SCHEMA',
  'PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA',
]);

/** Reserved roles whose settings a project may change: those with `*` in `supautils.reserved_roles`. */
const configurableRoles: ReadonlySet<string> = new Set([
  'anon',
  'authenticated',
  'authenticator',
  'service_role',
]);

/** `supautils.privileged_extensions`, as far as a server may have them; not in it: those that reach files or other processes. */
const privilegedExtensions: ReadonlySet<string> = new Set(
  `address_standardizer address_standardizer_data_us autoinc bloom btree_gin btree_gist citext cube dblink dict_int
   dict_xsyn earthdistance fuzzystrmatch hstore http hypopg index_advisor insert_username intarray isn ltree moddatetime
   orioledb pg_cron pg_graphql pg_hashids pg_jsonschema pg_net pg_partman pg_prewarm pg_repack pg_stat_monitor
   pg_stat_statements pg_tle pg_trgm pg_walinspect pgaudit pgcrypto pgjwt pgmq pgroonga pgroonga_database pgrouting
   pgrowlocks pgsodium pgstattuple pgtap plcoffee pljava plls plpgsql plpgsql_check plv8 postgis postgis_raster
   postgis_sfcgal postgis_tiger_geocoder postgis_topology postgres_fdw refint rum seg sslinfo supabase_vault supautils
   tablefunc tcn timescaledb tsm_system_rows tsm_system_time unaccent uuid-ossp vector wrappers`
    .trim()
    .split(/\s+/),
);
