// In charge of: what is in the database, as values. Loaded once, looked up by every request, replaced as a whole when the schema changes.

/** A schema-qualified name, as it stands in Postgres (unquoted). An empty schema means: as the search path finds it. */
export interface Name {
  readonly schema: string;
  readonly name: string;
}

export interface Column {
  readonly name: string;
  readonly description: string | null;
  readonly nullable: boolean;
  /** The type without modifiers; for a domain over a built-in type its base type. */
  readonly type: string;
  /** The type as declared: `character varying(10)`, `app.email`. */
  readonly nominalType: string;
  readonly maxLength: number | null;
  /** SQL text of the default, also of identity columns and domains. */
  readonly default: string | null;
  /** The labels when the type is an enum. */
  readonly enum: readonly string[];
}

/** A table, view, materialized view, foreign table or partitioned table. */
export interface Relation extends Name {
  readonly description: string | null;
  readonly isView: boolean;
  readonly insertable: boolean;
  readonly updatable: boolean;
  readonly deletable: boolean;
  /** In the key's order; a view inherits the key of the table whose key it selects. */
  readonly primaryKey: readonly string[];
  readonly uniques: readonly (readonly string[])[];
  readonly columns: ReadonlyMap<string, Column>;
}

/** A pair of columns that a join compares. */
export type ColumnPair = readonly [near: string, far: string];

/** By a foreign key, seen from one of its ends. */
export interface KeyRelationship {
  readonly kind: 'one-to-many' | 'many-to-one' | 'one-to-one';
  readonly table: Name;
  readonly target: Name;
  readonly isSelf: boolean;
  readonly constraint: string;
  readonly columns: readonly ColumnPair[];
  /** Seen from the table that the foreign key points at. */
  readonly isReferenced: boolean;
  readonly tableIsView: boolean;
  readonly targetIsView: boolean;
}

/** Over a junction table whose primary key holds both foreign keys. */
export interface JunctionRelationship {
  readonly kind: 'many-to-many';
  readonly table: Name;
  readonly target: Name;
  readonly isSelf: boolean;
  readonly junction: Name;
  readonly sourceConstraint: string;
  readonly targetConstraint: string;
  /** Column of the table, column of the junction. */
  readonly sourceColumns: readonly ColumnPair[];
  /** Column of the target, column of the junction. */
  readonly targetColumns: readonly ColumnPair[];
  readonly tableIsView: boolean;
  readonly targetIsView: boolean;
}

/** By a function from a row of one relation to rows of another. */
export interface ComputedRelationship {
  readonly kind: 'computed';
  readonly table: Name;
  readonly target: Name;
  readonly isSelf: boolean;
  readonly function: Name;
  readonly toOne: boolean;
}

export type Relationship = KeyRelationship | JunctionRelationship | ComputedRelationship;

export interface Parameter {
  /** Empty for an unnamed one. */
  readonly name: string;
  readonly type: string;
  /** The type without a length that would cut what is passed: `bit` → `bit varying`. */
  readonly castType: string;
  readonly required: boolean;
  readonly variadic: boolean;
}

/** One function; overloads stand beside each other under one name. */
export interface Routine extends Name {
  readonly oid: string;
  readonly description: string | null;
  readonly parameters: readonly Parameter[];
  readonly returns: {
    readonly type: Name;
    readonly set: boolean;
    /** A row type, or OUT and TABLE columns. */
    readonly composite: boolean;
  };
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  readonly hasVariadic: boolean;
  readonly isolation: Isolation | undefined;
  /** The function's own settings that hold for the whole transaction (`statement_timeout`). */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

/** A function of the project's that renders rows as a media type: an aggregate, or a function whose result is that type. */
export interface MediaHandler {
  readonly function: Name;
  /** The relation or function that it is for; undefined for any rows. */
  readonly target: Name | undefined;
  /** Lower case; the wildcard stands for itself. */
  readonly mediaType: string;
  readonly contentType: string;
  /** The domain is over bytea: what it gives are bytes, not text. */
  readonly isBytes: boolean;
  /** The domain is over jsonb: what it gives is what Postgres sends of one in binary. */
  readonly isBinaryJson: boolean;
}

export interface RoleSettings {
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly isolation: Isolation | undefined;
}

export interface Catalog {
  /** By `keyOf(name)`; of the exposed schemas only. */
  readonly relations: ReadonlyMap<string, Relation>;
  /** By `keyOf(table)` and the schema of the target, see `relationshipsOf`. */
  readonly relationships: ReadonlyMap<string, readonly Relationship[]>;
  /** Overloads by `keyOf(name)`, those with fewer parameters first. */
  readonly routines: ReadonlyMap<string, readonly Routine[]>;
  /** Casting functions to and from domains, by `source → target`, see `representationOf`. */
  readonly representations: ReadonlyMap<string, string>;
  readonly mediaHandlers: readonly MediaHandler[];
  readonly roles: ReadonlyMap<string, RoleSettings>;
}

/** The key of a qualified name in the catalog's maps. A NUL cannot stand in a Postgres name. */
export function keyOf(name: Name): string {
  return `${name.schema}\0${name.name}`;
}

export function relationshipKey(table: Name, targetSchema: string): string {
  return `${table.schema}\0${table.name}\0${targetSchema}`;
}

/** The relationships of a table whose targets are in `targetSchema`. */
export function relationshipsOf(
  catalog: Pick<Catalog, 'relationships'>,
  table: Name,
  targetSchema: string,
): readonly Relationship[] {
  return catalog.relationships.get(relationshipKey(table, targetSchema)) ?? [];
}

export function representationKey(source: string, target: string): string {
  return `${source}\0${target}`;
}

/** The function (SQL text, quoted) that turns `source` into `target`; undefined when the plain value is used. */
export function representationOf(
  catalog: Pick<Catalog, 'representations'>,
  source: string,
  target: string,
): string | undefined {
  return catalog.representations.get(representationKey(source, target));
}

export function isToOne(relationship: Relationship): boolean {
  switch (relationship.kind) {
    case 'many-to-one':
    case 'one-to-one':
      return true;
    case 'computed':
      return relationship.toOne;
    case 'one-to-many':
    case 'many-to-many':
      return false;
  }
}

export function sameName(a: Name, b: Name): boolean {
  return a.schema === b.schema && a.name === b.name;
}
