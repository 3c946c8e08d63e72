// In charge of: the functions of a database as the Data API calls them: which are callable, what each overload takes and gives.
import type { GeneratorMetadata, PostgresFunction, PostgresType } from '@supabase/postgrest-typegen';

/** A type by its name; null when the catalog's rows do not tell it. */
export interface TypeName {
  readonly name: string;
  readonly schema: string;
}

export interface RoutineArgument {
  readonly name: string;
  readonly type: TypeName | null;
  readonly hasDefault: boolean;
}

/** One function. Overloads of a name stand together in a `Routine`. */
export interface Overload {
  readonly args: readonly RoutineArgument[];
  readonly returns: TypeName | null;
  /** The id of the relation whose rows it gives. */
  readonly returnsRelation: number | null;
  /** `returns table (…)`. */
  readonly returnsColumns: readonly { readonly name: string; readonly type: TypeName | null }[] | null;
  readonly isSet: boolean;
  /** What an embedding needs to know: whose rows go in and which come out. */
  readonly setof: {
    readonly from: string;
    readonly to: string;
    readonly isOneToOne: boolean;
    readonly isSetofReturn: boolean;
  } | null;
  /** The id of the relation that it is a computed field of. */
  readonly computedFieldOf: number | null;
  /** Why a call of it cannot be resolved. */
  readonly error: string | null;
}

export interface Routine {
  readonly schema: string;
  readonly name: string;
  readonly overloads: readonly Overload[];
}

interface Candidate {
  readonly fn: PostgresFunction;
  readonly inputs: PostgresFunction['args'];
}

/** The order of names in generated files: English, wherever it runs. Source: @supabase/postgrest-typegen src/collation.ts. */
export const byName = new Intl.Collator('en').compare;

/**
 * The callable functions of the schemas, sorted by schema and name, overloads by their arguments.
 * Source: supabase/cli 3.1.0, the generator behind `gen types`; PostgREST "Functions as RPC" on unnamed parameters.
 */
export function routinesOf(metadata: GeneratorMetadata): readonly Routine[] {
  const context = contextOf(metadata);
  const schemas = new Set(metadata.schemas.map(({ name }) => name));
  const candidates = metadata.functions
    .filter(({ schema }) => schemas.has(schema))
    .map((fn) => ({ fn, inputs: fn.args.filter(({ mode }) => inputModes.has(mode)) }))
    .filter((candidate) => isCallable(candidate, context));
  const groups = Map.groupBy(candidates, ({ fn }) => `${fn.schema}\0${fn.name}`);
  return [...groups.values()]
    .map((group) => {
      const sorted = group.toSorted(
        (a, b) =>
          byName(a.fn.argument_types, b.fn.argument_types) ||
          byName(a.fn.return_type, b.fn.return_type) ||
          a.fn.id - b.fn.id,
      );
      const { schema, name } = sorted[0]!.fn;
      return { schema, name, overloads: sorted.map((one) => overloadOf(one, sorted, context)) };
    })
    .sort((a, b) => byName(a.schema, b.schema) || byName(a.name, b.name));
}

interface Context {
  readonly types: ReadonlyMap<number, PostgresType>;
  /** Relations by their id. */
  readonly relations: ReadonlyMap<
    number,
    { readonly id: number; readonly schema: string; readonly name: string }
  >;
  readonly relationsByName: ReadonlyMap<string, { readonly id: number; readonly schema: string }>;
  readonly columns: ReadonlyMap<number, ReadonlySet<string>>;
}

function contextOf(metadata: GeneratorMetadata): Context {
  const relations = [
    ...metadata.tables,
    ...metadata.foreignTables,
    ...metadata.views,
    ...metadata.materializedViews,
  ];
  const columns = Map.groupBy(metadata.columns, ({ table_id }) => table_id);
  return {
    types: new Map(metadata.types.map((type) => [type.id, type])),
    relations: new Map(relations.map((relation) => [relation.id, relation])),
    relationsByName: new Map(relations.map((relation) => [`${relation.schema}\0${relation.name}`, relation])),
    columns: new Map([...columns].map(([id, rows]) => [id, new Set(rows.map(({ name }) => name))])),
  };
}

/** The type of a relation's rows; undefined for any other. */
function rowType(typeId: number, { types }: Context): PostgresType | undefined {
  const type = types.get(typeId);
  return type !== undefined && type.type_relation_id !== null ? type : undefined;
}

function isCallable({ inputs }: Candidate, context: Context): boolean {
  const unnamed = inputs.filter(({ name }) => name === '');
  if (unnamed.length === 0) return true;
  if (unnamed.every(({ has_default, type_id }) => has_default === true && unnamedTypes.has(type_id)))
    return true;
  if (inputs.length > 1) return false;
  const [{ type_id }] = inputs as [PostgresFunction['args'][number]];
  return unnamedTypes.has(type_id) || rowType(type_id, context) !== undefined;
}

function overloadOf(candidate: Candidate, all: readonly Candidate[], context: Context): Overload {
  const { fn, inputs } = candidate;
  const typeName = (id: number): TypeName | null => {
    const type = context.types.get(id);
    return type === undefined ? null : { name: type.name, schema: type.schema };
  };
  const columns = fn.args
    .filter(({ mode }) => mode === 'table')
    .map(({ name, type_id }) => ({ name, type: typeName(type_id) }))
    .sort((a, b) => byName(a.name, b.name));
  const relation = fn.return_type_relation_id;
  return {
    args: inputs
      .map(({ name, type_id, has_default }) => ({
        name,
        type: typeName(type_id),
        hasDefault: has_default === true,
      }))
      .sort((a, b) => byName(a.name, b.name)),
    returns: typeName(fn.return_type_id),
    returnsRelation: relation !== null && context.relations.has(relation) ? relation : null,
    returnsColumns: columns.length > 0 ? columns : null,
    isSet: fn.is_set_returning_function,
    setof: setofOf(fn, context),
    computedFieldOf: computedFieldOf(candidate, context),
    error: errorOf(candidate, all, context),
  };
}

function setofOf(fn: PostgresFunction, context: Context): Overload['setof'] {
  if (fn.return_type_relation_id === null) return null;
  const to =
    context.relations.get(fn.return_type_relation_id)?.name ?? rowType(fn.return_type_id, context)?.name;
  if (to === undefined) return null;
  const source = fn.args.length === 1 ? rowType(fn.args[0]!.type_id, context) : undefined;
  const isSet = fn.is_set_returning_function;
  const severalRows = fn.prorows !== null && fn.prorows > 1;
  return {
    from: source?.format ?? '*',
    to,
    isOneToOne: source !== undefined && !isSet ? true : !severalRows,
    isSetofReturn: isSet,
  };
}

/** A function of one row is a field of its table, unless a column has its name. */
function computedFieldOf({ fn, inputs }: Candidate, context: Context): number | null {
  if (inputs.length !== 1) return null;
  const [{ type_id }] = inputs as [PostgresFunction['args'][number]];
  const type = rowType(type_id, context);
  const relation =
    type !== undefined
      ? context.relations.get(type.type_relation_id!)
      : context.types.has(type_id)
        ? undefined
        : context.relationsByName.get(`${fn.schema}\0${fn.argument_types}`);
  if (relation === undefined || relation.schema !== fn.schema) return null;
  return context.columns.get(relation.id)?.has(fn.name) === true ? null : relation.id;
}

/** Why the Data API could not tell which overload a call means. */
function errorOf(candidate: Candidate, all: readonly Candidate[], context: Context): string | null {
  const { fn, inputs } = candidate;
  const sole = inputs.length === 1 ? inputs[0] : undefined;
  const typeNameOf = (id: number) => context.types.get(id)?.name ?? 'unknown';
  const ambiguous = (calls: string) =>
    `Could not choose the best candidate function between: ${calls}. Try renaming the parameters or the function itself in the database so function overloading can be resolved`;
  const called = `${fn.schema}.${fn.name}`;
  if (inputs.length === 0) {
    const other = all.find(
      (one) =>
        one !== candidate &&
        one.inputs.length === 1 &&
        one.inputs[0]!.name === '' &&
        one.inputs[0]!.has_default,
    );
    return other === undefined
      ? null
      : ambiguous(`${called}(), ${called}( => ${typeNameOf(other.fn.return_type_id)})`);
  }
  if (sole !== undefined && sole.name !== '') {
    const others = all.filter(
      (one) =>
        one !== candidate &&
        one.inputs.length === 1 &&
        one.inputs[0]!.name === sole.name &&
        one.inputs[0]!.type_id !== sole.type_id,
    );
    if (others.length === 0) return null;
    const calls = [candidate, ...others]
      .map(({ inputs: [input] }) => input!)
      .sort((a, b) => a.type_id - b.type_id)
      .map((input) => `${called}(${input.name} => ${typeNameOf(input.type_id)})`);
    return ambiguous(calls.join(', '));
  }
  if (sole !== undefined && rowType(sole.type_id, context) !== undefined) {
    return `the function ${called} with parameter or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache`;
  }
  return null;
}

const inputModes: ReadonlySet<string> = new Set(['in', 'inout', 'variadic']);
/** json, jsonb, text: what a sole parameter without a name may be. Source: PostgREST "Functions with a single unnamed parameter". */
const unnamedTypes: ReadonlySet<number> = new Set([114, 3802, 25]);
