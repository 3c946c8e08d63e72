// In charge of: the TypeScript of a database: the `Database` type that the client SDK is given.

import type {
  GeneratorMetadata,
  PostgresColumn,
  PostgresRelationship,
  PostgresSchema,
  PostgresType,
} from '@supabase/postgrest-typegen';
import {
  generateTypescript,
  pgTypeToTsType,
  type TypeResolutionContext,
} from '@supabase/postgrest-typegen/generation';
import { byName, type Overload, type Routine, routinesOf, type TypeName } from './routines.ts';

export interface TypescriptOptions {
  /** Whether relationships say `isOneToOne`. */
  readonly oneToOne: boolean;
}

/** A table, view, foreign table or materialized view. */
interface Relation {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly isTable: boolean;
  readonly canInsert: boolean;
  readonly canUpdate: boolean;
}

interface Context extends TypescriptOptions {
  readonly metadata: GeneratorMetadata;
  readonly types: TypeResolutionContext;
  readonly relations: readonly Relation[];
  readonly columns: ReadonlyMap<number, readonly PostgresColumn[]>;
  readonly routines: readonly Routine[];
}

/**
 * The file, for sorted metadata. Token for token what the Supabase CLI 3.1 prints, which lays it out badly: its own generator is newer
 * than the newest published one (computed fields, overloads, `Omit` for rows as arguments), so that the type is written here; how
 * a type of Postgres is called, and the helper types at the end, are the published one's.
 * Source: supabase/cli 3.1.0, `supabase gen types`; compared in test/gen-types.test.ts.
 */
export async function renderTypescript(
  metadata: GeneratorMetadata,
  options: TypescriptOptions,
): Promise<string> {
  const relations = relationsOf(metadata);
  const context: Context = {
    ...options,
    metadata,
    relations,
    types: {
      types: metadata.types,
      schemas: metadata.schemas,
      tables: metadata.tables,
      views: metadata.views,
      foreignTables: metadata.foreignTables,
      materializedViews: metadata.materializedViews,
    },
    columns: Map.groupBy(metadata.columns, ({ table_id }) => table_id),
    routines: routinesOf(metadata),
  };
  const schemas = metadata.schemas.map((schema) => named(schema.name, renderSchema(schema, context)));
  return [
    'export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]',
    '',
    `export type Database = ${block(withCommas(schemas))}`,
    '',
    await renderHelpers(metadata),
    `export const Constants = ${block(withCommas(metadata.schemas.map((schema) => renderConstants(schema, context))))} as const`,
    '',
  ].join('\n');
}

/** The part that is the same for every database: `Tables<…>`, `Enums<…>` and so on. */
async function renderHelpers({ schemas, version }: GeneratorMetadata): Promise<string> {
  const first = schemas[0]?.name ?? 'public';
  const nothing = { tables: [], foreignTables: [], views: [], materializedViews: [], columns: [] };
  const rest = { primaryKeys: [], relationships: [], functions: [], types: [], schemas: [], version };
  const text = await generateTypescript(
    { ...nothing, ...rest },
    {
      defaultSchema: schemas.some(({ name }) => name === 'public') ? 'public' : first,
      format: async (code) => code,
    },
  );
  return text.slice(text.indexOf('type DatabaseWithoutInternals'), text.indexOf('export const Constants'));
}

function relationsOf({
  tables,
  foreignTables,
  views,
  materializedViews,
}: GeneratorMetadata): readonly Relation[] {
  const table = { isTable: true, canInsert: true, canUpdate: true };
  return [
    ...tables.map((one) => ({ ...one, ...table })),
    ...foreignTables.map((one) => ({ ...one, ...table })),
    ...views.map((one) => ({
      ...one,
      isTable: false,
      canInsert: one.is_insert_enabled ?? one.is_updatable,
      canUpdate: one.is_update_enabled ?? one.is_updatable,
    })),
    ...materializedViews.map((one) => ({ ...one, isTable: false, canInsert: false, canUpdate: false })),
  ].sort((a, b) => byName(a.name, b.name));
}

function renderSchema(schema: PostgresSchema, context: Context): string {
  const { metadata, relations, routines } = context;
  const own = <T extends { readonly schema: string }>(list: readonly T[]) =>
    list.filter((one) => one.schema === schema.name);
  const types = own(metadata.types).toSorted((a, b) => byName(a.name, b.name));
  const fields = (isTable: boolean) =>
    own(relations)
      .filter((relation) => relation.isTable === isTable)
      .map((relation) => named(relation.name, renderRelation(relation, schema, context)));
  const functions = own(routines).map(({ name, overloads }) =>
    named(name, overloads.map((overload) => renderOverload(overload, schema, context)).join(' |\n')),
  );
  const enums = types
    .filter((type) => type.enums.length > 0)
    .map(({ name, enums: labels }) => named(name, labels.map(quote).join(' | ')));
  const composites = types
    .filter((type) => type.attributes.length > 0)
    .map((type) => named(type.name, renderComposite(type, schema, context)));
  return block([
    `Tables: ${blockOrNever(fields(true))}`,
    `Views: ${blockOrNever(fields(false))}`,
    `Functions: ${blockOrNever(functions)}`,
    `Enums: ${blockOrNever(enums)}`,
    `CompositeTypes: ${blockOrNever(composites)}`,
  ]);
}

function renderRelation(relation: Relation, schema: PostgresSchema, context: Context): string {
  const columns = context.columns.get(relation.id) ?? [];
  const computed = context.routines
    .filter((routine) => routine.schema === schema.name)
    .flatMap(({ name, overloads }) => {
      const overload = overloads.find(({ computedFieldOf }) => computedFieldOf === relation.id);
      return overload === undefined ? [] : [{ name, overload }];
    });
  const row = [
    ...columns.map((column) => columnOf(column, schema, context, column.is_nullable, false)),
    ...computed.map(
      ({ name, overload }) => `${quote(name)}: ${orNull(returnsOf(overload, schema, context), true)}`,
    ),
  ];
  const write = (isUpdate: boolean) =>
    block(withCommas(columns.map((column) => writtenColumn(column, relation, schema, context, isUpdate))));
  const names = computed.map(({ name }) => quote(name)).join(' | ');
  return block([
    `Row: ${block(withCommas(row))}`,
    `ComputedFields: ${names === '' ? 'never' : names}`,
    ...(relation.canInsert ? [`Insert: ${write(false)}`] : []),
    ...(relation.canUpdate ? [`Update: ${write(true)}`] : []),
    `Relationships: ${list(relationshipsOf(relation, context).map((one) => renderRelationship(one, context)))}`,
  ]);
}

function columnOf(
  column: PostgresColumn,
  schema: PostgresSchema,
  { types }: Context,
  isNullable: boolean,
  isOptional: boolean,
): string {
  const type = pgTypeToTsType(schema, column.format, types, column.type_schema);
  return `${quote(column.name)}${isOptional ? '?' : ''}: ${orNull(type, isNullable)}`;
}

function writtenColumn(
  column: PostgresColumn,
  { isTable }: Relation,
  schema: PostgresSchema,
  context: Context,
  isUpdate: boolean,
): string {
  const isFixed = isTable
    ? column.identity_generation === 'ALWAYS' || column.is_generated
    : !column.is_updatable;
  if (isFixed) return `${quote(column.name)}?: never`;
  if (!isTable) return columnOf(column, schema, context, true, true);
  const hasValue = column.is_nullable || column.is_identity || column.default_value !== null;
  return columnOf(column, schema, context, column.is_nullable, isUpdate || hasValue);
}

/** Those to relations of its own schema: a client cannot embed across schemas. */
function relationshipsOf(relation: Relation, { metadata }: Context): readonly PostgresRelationship[] {
  return metadata.relationships.filter(
    (one) =>
      one.schema === relation.schema &&
      one.relation === relation.name &&
      one.referenced_schema === relation.schema,
  );
}

function renderRelationship(one: PostgresRelationship, { oneToOne }: Context): string {
  return block([
    `foreignKeyName: ${quote(one.foreign_key_name)}`,
    `columns: ${JSON.stringify(one.columns)}`,
    ...(oneToOne ? [`isOneToOne: ${one.is_one_to_one}`] : []),
    `referencedRelation: ${quote(one.referenced_relation)}`,
    `referencedColumns: ${JSON.stringify(one.referenced_columns)}`,
  ]);
}

function renderOverload(overload: Overload, schema: PostgresSchema, context: Context): string {
  const { args, error, isSet, setof } = overload;
  const given =
    args.length === 0
      ? 'Record<PropertyKey, never>'
      : `{ ${args.map((arg) => `${quote(arg.name)}${arg.hasDefault ? '?' : ''}: ${argumentType(arg.name, arg.type, schema, context)}`).join(', ')} }`;
  const returned =
    error === null ? returnsOf(overload, schema, context) : `{ error: true } & ${quote(error)}`;
  const rows = error === null && isSet && setof?.isOneToOne !== true ? '[]' : '';
  if (setof === null) return `{ Args: ${given}; Returns: ${returned}${rows} }`;
  const options = block([
    `from: ${quote(setof.from)}`,
    `to: ${quote(setof.to)}`,
    `isOneToOne: ${setof.isOneToOne}`,
    `isSetofReturn: ${setof.isSetofReturn}`,
  ]);
  return `{ Args: ${given}; Returns: ${returned}${rows}\n  SetofOptions: ${indent(options)} }`;
}

/** A row that is handed in has no computed fields. */
function argumentType(name: string, type: TypeName | null, schema: PostgresSchema, context: Context): string {
  const text = typeOf(type, schema, context);
  if (name === '' || type === null || !text.endsWith("['Row']")) return text;
  const relation = text.slice(0, -"['Row']".length);
  return `Omit<${text}, ${relation}['ComputedFields']>`;
}

function returnsOf(overload: Overload, schema: PostgresSchema, context: Context): string {
  const { returns, returnsColumns, returnsRelation } = overload;
  if (returnsColumns !== null) {
    return block(
      withCommas(returnsColumns.map(({ name, type }) => `${quote(name)}: ${typeOf(type, schema, context)}`)),
    );
  }
  const relation = context.relations.find(({ id }) => id === returnsRelation);
  if (relation === undefined || relation.schema !== schema.name) return typeOf(returns, schema, context);
  const columns = context.columns.get(relation.id) ?? [];
  return block(
    withCommas(columns.map((column) => columnOf(column, schema, context, column.is_nullable, false))),
  );
}

function typeOf(type: TypeName | null, schema: PostgresSchema, { types }: Context): string {
  return type === null ? 'unknown' : pgTypeToTsType(schema, type.name, types, type.schema);
}

function renderComposite(type: PostgresType, schema: PostgresSchema, context: Context): string {
  const fields = type.attributes.map(({ name, type_id }) => {
    const found = context.metadata.types.find(({ id }) => id === type_id);
    return `${quote(name)}: ${found === undefined ? 'unknown' : orNull(typeOf(found, schema, context), true)}`;
  });
  return block(withCommas(fields));
}

function renderConstants(schema: PostgresSchema, { metadata }: Context): string {
  const enums = metadata.types
    .filter((type) => type.schema === schema.name && type.enums.length > 0)
    .toSorted((a, b) => byName(a.name, b.name))
    .map(({ name, enums: labels }) => named(name, `[${labels.map(quote).join(', ')}]`));
  return named(schema.name, block([`Enums: ${block(withCommas(enums))}`]));
}

/** `Json` holds null already; `unknown` holds everything. */
function orNull(type: string, isNullable: boolean): string {
  if (type === 'Json' && !isNullable) return 'NonNullable<Json>';
  return type === 'unknown' || type === 'any' || !isNullable ? type : `${type} | null`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function named(name: string, text: string): string {
  return `${quote(name)}: ${text}`;
}

function withCommas(fields: readonly string[]): readonly string[] {
  return fields.map((field, at) => (at === fields.length - 1 ? field : `${field},`));
}

function block(lines: readonly string[]): string {
  return lines.length === 0 ? '{}' : `{\n${lines.map((line) => `  ${indent(line)}`).join('\n')}\n}`;
}

function blockOrNever(fields: readonly string[]): string {
  return block(fields.length === 0 ? ['[_ in never]: never'] : withCommas(fields));
}

function list(items: readonly string[]): string {
  return items.length === 0
    ? '[]'
    : `[\n${withCommas(items)
        .map((item) => `  ${indent(item)}`)
        .join('\n')}\n]`;
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n  ');
}
