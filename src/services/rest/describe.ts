// In charge of: the OpenAPI description at the root, of what the caller's role may use.
import type { RequestContext, Rest } from './answer.ts';
import { contextSettings, preRequest } from './context.ts';
import { renderOpenApi } from './openapi.ts';
import { type Description, searchPath } from './prepare.ts';
import { narrowed } from './scope.ts';
import type { WireRequest } from './wire.ts';

/** The relations and functions of the schema that the role has any right on, and the schema's comment. */
const accessible = `
select
  (select json_agg(c.relname)
   from pg_catalog.pg_class c
   where c.relnamespace = n.oid
     and c.relkind in ('r', 'p', 'v', 'm', 'f')
     and (pg_catalog.pg_has_role(c.relowner, 'usage')
       or pg_catalog.has_table_privilege(c.oid, 'select, insert, update, delete, truncate, references, trigger')
       or pg_catalog.has_any_column_privilege(c.oid, 'select, insert, update, references'))),
  (select json_agg(p.oid::text)
   from pg_catalog.pg_proc p
   where p.pronamespace = n.oid and pg_catalog.has_function_privilege(p.oid, 'execute')),
  pg_catalog.obj_description(n.oid, 'pg_namespace')
from pg_catalog.pg_namespace n
where n.nspname = $1`;

/** Asks the database; what it gives renders the description. */
export async function describe(
  rest: Rest,
  wire: WireRequest,
  { caller, cancellation }: RequestContext,
  { schema }: Description,
): Promise<() => string> {
  const settings = rest.config.now();
  const catalog = narrowed(caller, rest.catalog.now());
  const before = preRequest(settings);
  const facts = { settings: [['search_path', searchPath(schema, settings)]] as const, timezone: undefined };
  const { rows } = await rest.db.as(caller, {
    statement: { text: accessible, params: [schema] },
    settings: contextSettings(wire, caller.role, facts, catalog, settings),
    readOnly: true,
    ...(before === undefined ? {} : { before }),
    cancellation,
  });
  const [relations, routines, description] = rows[0] ?? [];
  const allowed = (list: string | null | undefined) => new Set<string>(list ? JSON.parse(list) : []);
  const names = allowed(relations);
  const oids = allowed(routines);
  const everything = settings.openApiMode === 'ignore-privileges';
  return () =>
    renderOpenApi({
      catalog,
      relations: [...catalog.relations.values()].filter(
        (relation) => relation.schema === schema && (everything || names.has(relation.name)),
      ),
      routines: [...catalog.routines.values()]
        .flat()
        .filter((routine) => routine.schema === schema && (everything || oids.has(routine.oid))),
      description: description ?? undefined,
      settings,
    });
}
