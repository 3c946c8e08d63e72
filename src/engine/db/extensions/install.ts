// In charge of: the statement that takes the place of a CREATE or DROP EXTENSION where the server takes no files of ours.
import { readFile } from 'node:fs/promises';
import { ident, literal } from '../ident.ts';
import { isEverybodys, loadScript } from './files.ts';
import { findExtension, type PlacedExtension, versionOf } from './registry.ts';

/** What a CREATE EXTENSION says beside the name. */
export interface CreateOptions {
  readonly schema?: string | undefined;
  readonly version?: string | undefined;
  /** `if not exists` */
  readonly mayExist: boolean;
  readonly cascades?: boolean | undefined;
}

/**
 * Runs the extension's script in the session's transaction and remembers what it made. `isOwn`: the server is one of ours, whose
 * catalog gets the extension's row. The functions of `loadPlainSql()` must be there.
 */
export async function installStatement(
  extension: PlacedExtension,
  options: CreateOptions,
  isOwn: boolean,
): Promise<string> {
  const required = await Promise.all(
    (extension.requires ?? []).map(async (name) => {
      const known = findExtension(name);
      return known === undefined || known.kind === 'elsewhere'
        ? `create extension if not exists ${ident(name)}`
        : installStatement(known, { schema: options.schema, mayExist: true }, isOwn);
    }),
  );
  const schema = extension.schema ?? options.schema;
  const values = [
    literal(extension.name),
    literal(versionOf(extension)),
    schema === undefined ? 'pg_catalog.current_schema()' : literal(schema),
    String(extension.schema !== undefined),
    String(options.mayExist),
    String(isOwn),
    String(isEverybodys(extension)),
    literal(await loadScript(extension)),
  ];
  return [...required, `select _millrace.install_extension(${values.join(', ')})`].join(';\n');
}

/** Drops what `installStatement` made on a server that is not ours, and runs the statement itself for every other extension. */
export function dropStatement(names: readonly string[], cascades: boolean, statement: string): string {
  const calls = names.map(
    (name) =>
      `if not _millrace.drop_extension(${literal(name)}, ${literal(cascades ? 'cascade' : '')}) then rest := rest || ${literal(ident(name))}::text; end if;`,
  );
  const ifExists = /^\s*drop\s+extension\s+if\s+exists/i.test(statement) ? 'if exists ' : '';
  const body = `declare rest text[] := '{}'; begin ${calls.join(' ')}
    if cardinality(rest) > 0 then
      execute ${literal(`drop extension ${ifExists}`)} || array_to_string(rest, ', ') || ${literal(cascades ? ' cascade' : '')};
    end if; end`;
  return `do language plpgsql ${literal(body)}`;
}

/** Runs an ALTER or COMMENT, and nothing for an extension that stands only in our own table: there is no object that it could be about. */
export function unlessRecorded(name: string, statement: string): string {
  const body = `begin
    if not exists (select from _millrace.extensions as known where known.name = ${literal(name)} and known.members is not null) then
      execute ${literal(statement)};
    end if; end`;
  return `do language plpgsql ${literal(body)}`;
}

/**
 * What stands in for a CREATE EXTENSION that may be about one of pg_tle; the statement itself where it is not, which the database says.
 * `nonce`: of `recordTle`, registered; undefined on somebody else's server. The functions of `loadPlainSql()` must be there.
 */
export function createTle(name: string, options: CreateOptions, nonce: string | undefined): string {
  const { schema, version, mayExist, cascades = false } = options;
  const given = [name, version, schema].map((value) => (value === undefined ? 'null' : literal(value)));
  return `select _millrace.create_tle(${given.join(', ')}, ${mayExist}, ${cascades}, ${callersPath}, pg_catalog.current_schema(), ${nonceOf(nonce)})`;
}

/** The same for an ALTER EXTENSION … UPDATE. */
export function updateTle(name: string, target: string | undefined, nonce: string | undefined): string {
  const version = target === undefined ? 'null' : literal(target);
  return `select _millrace.update_tle(${literal(name)}, ${version}, ${callersPath}, ${nonceOf(nonce)})`;
}

/** What `supabase_admin` has to do of it. */
export const recordTle = 'select _millrace.record_tle()';

const callersPath = "pg_catalog.current_setting('search_path')";

function nonceOf(nonce: string | undefined): string {
  return nonce === undefined ? 'null' : literal(nonce);
}

/** The functions that these statements call. */
export async function loadPlainSql(): Promise<string> {
  const files = ['install', 'tle'].map((name) =>
    readFile(new URL(`./sql/plain/${name}.sql`, import.meta.url), 'utf8'),
  );
  return (await Promise.all(files)).join('\n');
}
