// In charge of: a setting of a role or a database as a SET names it.
import { ident, literal } from '../ident.ts';

/** A setting stands in the catalog as `name=value`; a list's value is a list already. */
export function settingOf(setting: string): { readonly name: string; readonly value: string } {
  const at = setting.indexOf('=');
  const name = setting.slice(0, at);
  const value = setting.slice(at + 1);
  return {
    name: name.split('.').map(ident).join('.'),
    value: lists.has(name) && value !== '' ? value : literal(value),
  };
}

/** Source: PostgreSQL src/bin/pg_dump/dumputils.c `variable_is_guc_list_quote`. */
const lists: ReadonlySet<string> = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);
