// In charge of: the refusals of planning: a name that is not there, an embed that is ambiguous, a thing that cannot be asked for.
// The codes are PostgREST's, as REST's clients read them; another language maps them. Source: PostgREST 14.12, src/PostgREST/Error.hs.
import { Fault } from '../../base/errors.ts';
import {
  type Catalog,
  type Name,
  type Relationship,
  type Routine,
  relationshipKey,
} from '../catalog/catalog.ts';
import { nearestName, rankNames } from '../catalog/nearest.ts';

/** Names of tables and functions are only suggested when they are this near: a hint should help a typing error, not list the schema. */
const minNameScore = 0.75;

export function putFilters(): Fault {
  return new Fault({
    status: 405,
    code: 'PGRST105',
    message: "Filters must include all and only primary key columns with 'eq' operators",
  });
}

/** `alias` is what it has to be called, when it is embedded under that. */
export function notEmbedded(name: string, alias?: string): Fault {
  const facts = {
    status: 400,
    code: 'PGRST108',
    message: `'${name}' is not an embedded resource in this request`,
  };
  if (alias === undefined) {
    return new Fault({
      ...facts,
      hint: `Verify that '${name}' is included in the 'select' query parameter.`,
    });
  }
  return new Fault({
    ...facts,
    details: 'Target names are not allowed in filters if they have an alias',
    hint: `Change '${name}' to '${alias}' in filters, orders or limits.`,
  });
}

export function relatedOrder(origin: string, target: string): Fault {
  return new Fault({
    status: 400,
    code: 'PGRST118',
    message: `A related order on '${target}' is not possible`,
    details: `'${origin}' and '${target}' do not form a many-to-one or one-to-one relationship`,
  });
}

export function aggregatesNotAllowed(): Fault {
  return new Fault({ status: 400, code: 'PGRST123', message: 'Use of aggregate functions is not allowed' });
}

export function notImplemented(details: string): Fault {
  return new Fault({ status: 400, code: 'PGRST127', message: 'Feature not implemented', details });
}

export function noRelationship(
  origin: string,
  target: string,
  hint: string | undefined,
  schema: string,
  catalog: Catalog,
): Fault {
  const using = hint === undefined ? '' : ` using the hint '${hint}'`;
  return new Fault({
    status: 400,
    code: 'PGRST200',
    message: `Could not find a relationship between '${origin}' and '${target}' in the schema cache`,
    details: `Searched for a foreign key relationship between '${origin}' and '${target}'${using} in the schema '${schema}', but no matches were found.`,
    hint: relationshipHint(origin, target, schema, catalog) ?? null,
  });
}

function relationshipHint(
  origin: string,
  target: string,
  schema: string,
  catalog: Catalog,
): string | undefined {
  const known = catalog.relationships.get(relationshipKey({ schema, name: origin }, schema));
  if (known) {
    const best = rankNames(
      known.map((relationship) => relationship.target.name),
      target,
    ).find(({ score }) => score < 1);
    return best && `Perhaps you meant '${best.name}' instead of '${target}'.`;
  }
  const origins = [...catalog.relationships.keys()]
    .map((key) => key.split('\0'))
    .filter(([, , targetSchema]) => targetSchema === schema)
    .map(([, name]) => name!);
  const best = nearestName(origins, origin);
  return best === undefined ? undefined : `Perhaps you meant '${best}' instead of '${origin}'.`;
}

export function ambiguousRelationship(
  origin: string,
  target: string,
  found: readonly Relationship[],
): Fault & { readonly candidates: readonly object[] } {
  const choices = found
    .map((relationship) => `'${relationship.target.name}!${chooser(relationship)}'`)
    .join(', ');
  const fault = new Fault({
    status: 300,
    code: 'PGRST201',
    message: `Could not embed because more than one relationship was found for '${origin}' and '${target}'`,
    hint: `Try changing '${target}' to one of the following: ${choices}. Find the desired relationship in the 'details' key.`,
  });
  // The only error whose details are a list: what renders a fault looks for it.
  return Object.assign(fault, { candidates: found.map(describe) });
}

function chooser(relationship: Relationship): string {
  switch (relationship.kind) {
    case 'computed':
      return '';
    case 'many-to-many':
      return relationship.junction.name;
    default:
      return relationship.constraint;
  }
}

function describe(relationship: Relationship): object {
  if (relationship.kind === 'computed') return {};
  const list = (columns: readonly string[]) => `(${columns.join(', ')})`;
  const embedding = `${relationship.table.name} with ${relationship.target.name}`;
  if (relationship.kind === 'many-to-many') {
    const source = `${relationship.sourceConstraint}${list(relationship.sourceColumns.map(([, column]) => column))}`;
    const target = `${relationship.targetConstraint}${list(relationship.targetColumns.map(([, column]) => column))}`;
    return {
      embedding,
      cardinality: relationship.kind,
      relationship: `${relationship.junction.name} using ${source} and ${target}`,
    };
  }
  const near = `${relationship.table.name}${list(relationship.columns.map(([column]) => column))}`;
  const far = `${relationship.target.name}${list(relationship.columns.map(([, column]) => column))}`;
  return {
    embedding,
    cardinality: relationship.kind,
    relationship: `${relationship.constraint} using ${near} and ${far}`,
  };
}

/** How a function was called: what it could have matched by. */
export interface CallFacts {
  readonly function: Name;
  readonly keys: readonly string[];
  readonly post: boolean;
  /** The type of an unnamed parameter that could take the whole body. */
  readonly single: 'json' | 'text' | 'xml' | 'bytea' | undefined;
}

export function noFunction(call: CallFacts, overloads: readonly Routine[], catalog: Catalog): Fault {
  const name = `${call.function.schema}.${call.function.name}`;
  const keys = [...call.keys].sort();
  const onlySingle = call.post && call.single !== undefined && call.single !== 'json';
  const named = keys.length === 0 ? ' without parameters' : '';
  const inMessage = onlySingle ? '' : named || `(${keys.join(', ')})`;
  const inDetails = named || ` with parameter${keys.length > 1 ? 's' : ''} ${keys.join(', ')}`;
  const searched = onlySingle
    ? ` with a single unnamed ${call.single} parameter`
    : call.post && call.single === 'json'
      ? `${inDetails} or with a single unnamed json/jsonb parameter`
      : inDetails;
  const hint = onlySingle ? undefined : functionHint(call, keys, overloads, catalog);
  return new Fault({
    status: 404,
    code: 'PGRST202',
    message: `Could not find the function ${name}${inMessage} in the schema cache`,
    details: `Searched for the function ${name}${searched}, but no matches were found in the schema cache.`,
    hint:
      hint === undefined ? null : `Perhaps you meant to call the function ${call.function.schema}.${hint}`,
  });
}

function functionHint(
  call: CallFacts,
  keys: readonly string[],
  overloads: readonly Routine[],
  catalog: Catalog,
): string | undefined {
  if (overloads.length === 0) {
    const names: string[] = [];
    for (const list of catalog.routines.values()) {
      if (list[0]!.schema === call.function.schema) names.push(list[0]!.name);
    }
    return nearestName(names, call.function.name, minNameScore);
  }
  const inText = (names: readonly string[]) => `(${[...names].sort().join(', ')})`;
  const best = nearestName(
    overloads.map((routine) => inText(routine.parameters.map(({ name }) => name))),
    inText(keys),
  );
  return best === undefined ? undefined : `${call.function.name}${best}`;
}

export function ambiguousFunction(found: readonly Routine[]): Fault {
  const described = found.map(
    (routine) =>
      `${routine.schema}.${routine.name}(${routine.parameters.map(({ name, type }) => `${name} => ${type}`).join(', ')})`,
  );
  return new Fault({
    status: 300,
    code: 'PGRST203',
    message: `Could not choose the best candidate function between: ${described.join(', ')}`,
    hint: 'Try renaming the parameters or the function itself in the database so function overloading can be resolved',
  });
}

export function noColumn(relation: string, column: string): Fault {
  return new Fault({
    status: 400,
    code: 'PGRST204',
    message: `Could not find the '${column}' column of '${relation}' in the schema cache`,
  });
}

export function noTable(table: Name, catalog: Catalog): Fault {
  const names: string[] = [];
  for (const relation of catalog.relations.values()) {
    if (relation.schema === table.schema) names.push(relation.name);
  }
  const best = nearestName(names, table.name, minNameScore);
  return new Fault({
    status: 404,
    code: 'PGRST205',
    message: `Could not find the table '${table.schema}.${table.name}' in the schema cache`,
    hint: best === undefined ? null : `Perhaps you meant the table '${table.schema}.${best}'`,
  });
}
