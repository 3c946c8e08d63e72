// In charge of: the statement that takes the place of a CREATE or DROP EXTENSION where the server takes no files of ours.
import { readFile } from 'node:fs/promises';
import { ident, literal } from '../ident.ts';
import { loadScript } from './files.ts';
import { findExtension, type PlacedExtension, versionOf } from './registry.ts';

/** What a CREATE EXTENSION says beside the name. */
export interface CreateOptions {
  readonly schema?: string | undefined;
  readonly version?: string | undefined;
  /** `if not exists` */
  readonly mayExist: boolean;
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

/** The functions that these statements call. */
export function loadPlainSql(): Promise<string> {
  return readFile(new URL('./sql/plain/install.sql', import.meta.url), 'utf8');
}
