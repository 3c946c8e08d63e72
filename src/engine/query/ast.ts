// In charge of: the plan: one tree with every name resolved, which `compile/` turns into one SQL statement without asking anything more.
import type { Name, Relationship, Routine } from '../catalog/catalog.ts';
import type { Aggregate, JsonStep, Operation, Value } from './query.ts';

/** A column (or what is used as one), with what its use here needs to know. */
export interface PlannedField {
  readonly name: string;
  readonly path: readonly JsonStep[];
  /** Not JSON by itself: `to_jsonb` comes before a path. */
  readonly toJson: boolean;
  /** Searched as text: `to_tsvector`, perhaps in a language, comes around it. */
  readonly searched: { readonly language: string | undefined } | undefined;
  /** As declared; empty when unknown. */
  readonly type: string;
  /** A domain representation's function, as SQL text from the catalog. */
  readonly transform: string | undefined;
  readonly default: string | undefined;
  /** Stands for the whole row: what `count()` counts in a spread. */
  readonly wholeRow: boolean;
}

export interface PlannedColumn {
  readonly field: PlannedField;
  readonly aggregate: Aggregate | undefined;
  readonly aggregateCast: string | undefined;
  readonly cast: string | undefined;
  readonly alias: string | undefined;
}

export type PlannedCondition =
  | {
      readonly kind: 'filter';
      readonly field: PlannedField;
      readonly negated: boolean;
      readonly operation: Operation;
    }
  /** Whether an embed has rows: `negated` is `not.is.null`. */
  | { readonly kind: 'embed'; readonly negated: boolean; readonly embed: string }
  | {
      readonly kind: 'and' | 'or';
      readonly negated: boolean;
      readonly conditions: readonly PlannedCondition[];
    };

export interface PlannedOrder {
  /** The alias of the embed whose column orders; undefined for an own column. */
  readonly embed: string | undefined;
  readonly field: PlannedField;
  readonly direction: 'asc' | 'desc' | undefined;
  readonly nulls: 'first' | 'last' | undefined;
}

export interface PlannedRange {
  readonly limit: Value | undefined;
  readonly offset: Value | undefined;
  /** No more rows than this, whatever is asked for (`max_rows`). */
  readonly cap: number | undefined;
}

/** A column that a spread lends its parent; an aggregate is computed there, over the parent's groups. */
export interface SpreadColumn {
  readonly name: string;
  readonly aggregate: Aggregate | undefined;
  readonly aggregateCast: string | undefined;
  readonly alias: string | undefined;
}

/** What an embed adds to its parent's columns. `embed` is the alias of the embedded subquery. */
export type EmbedOutput =
  | {
      readonly kind: 'json';
      readonly embed: string;
      readonly name: string;
      readonly toOne: boolean;
      /** Selected without any column, only to filter by: joined, but not shown. */
      readonly hidden: boolean;
    }
  | { readonly kind: 'spread'; readonly embed: string; readonly columns: readonly SpreadColumn[] };

export type Spread =
  | { readonly kind: 'to-one' }
  /** The rows become arrays; their order needs columns of its own inside. */
  | {
      readonly kind: 'to-many';
      readonly orderColumns: readonly {
        readonly embed: string | undefined;
        readonly column: PlannedColumn;
      }[];
      readonly order: readonly PlannedOrder[];
    };

export interface ReadNode {
  /** What is read from: a relation, or the CTE that holds a write's or a call's rows. */
  readonly from: Name;
  readonly fromAlias: string | undefined;
  /** The relation whose columns these are. */
  readonly relation: Name;
  readonly relationship: Relationship | undefined;
  /** What the parent's columns are qualified with. */
  readonly parent: Name | undefined;
  /** As in the request. */
  readonly name: string;
  readonly alias: string | undefined;
  /** A filter, order or range named it by its relation though it has an alias. */
  readonly namedByRelation: boolean;
  /** The alias of this node's subquery in its parent's. */
  readonly embedAlias: string;
  readonly inner: boolean;
  readonly spread: Spread | undefined;
  readonly columns: readonly PlannedColumn[];
  readonly outputs: readonly EmbedOutput[];
  readonly where: readonly PlannedCondition[];
  readonly order: readonly PlannedOrder[];
  readonly range: PlannedRange;
  readonly embeds: readonly ReadNode[];
  readonly depth: number;
}

export interface ReadPlan {
  readonly kind: 'read';
  readonly relation: Name;
  readonly read: ReadNode;
}

/** The body of a write: JSON text, and whether it is one object or an array of them. */
export interface Body {
  readonly json: Value;
  readonly isObject: boolean;
}

interface Write {
  readonly relation: Name;
  readonly returning: readonly string[];
  readonly read: ReadNode;
}

export interface InsertPlan extends Write {
  readonly kind: 'insert';
  readonly columns: readonly PlannedField[];
  readonly body: Body;
  readonly conflict:
    | { readonly resolution: 'merge' | 'ignore'; readonly columns: readonly string[] }
    | undefined;
  /** An upsert of the one row that the filters name: the body has to agree with them. */
  readonly only: readonly PlannedCondition[];
  readonly primaryKey: readonly string[];
  readonly applyDefaults: boolean;
}

export interface UpdatePlan extends Write {
  readonly kind: 'update';
  readonly columns: readonly PlannedField[];
  readonly body: Body;
  readonly where: readonly PlannedCondition[];
  readonly applyDefaults: boolean;
}

export interface DeletePlan extends Write {
  readonly kind: 'delete';
  readonly where: readonly PlannedCondition[];
}

export type Arguments =
  | { readonly kind: 'none' }
  /** Each from a value of its own; a variadic one from several. */
  | {
      readonly kind: 'values';
      readonly values: readonly {
        readonly name: string;
        readonly castType: string;
        readonly variadic: boolean;
        readonly value: Value | readonly Value[];
      }[];
    }
  /** Named keys of a JSON body. */
  | {
      readonly kind: 'body';
      readonly parameters: readonly {
        readonly name: string;
        readonly castType: string;
        readonly variadic: boolean;
      }[];
      readonly body: Body;
    }
  /** The whole body as the one unnamed parameter. */
  | { readonly kind: 'single'; readonly type: string; readonly value: Value };

export interface CallPlan {
  readonly kind: 'call';
  readonly routine: Routine;
  readonly arguments: Arguments;
  readonly returning: readonly string[];
  readonly read: ReadNode;
}

export type WritePlan = InsertPlan | UpdatePlan | DeletePlan;
export type Plan = ReadPlan | WritePlan | CallPlan;

/** A routine's result is a single value or a set of them, without columns. */
export function returnsScalar(routine: Routine): boolean {
  return !routine.returns.set && !routine.returns.composite;
}

export function returnsSetOfScalar(routine: Routine): boolean {
  return routine.returns.set && !routine.returns.composite;
}

export function returnsVoid(routine: Routine): boolean {
  return (
    returnsScalar(routine) &&
    routine.returns.type.schema === 'pg_catalog' &&
    routine.returns.type.name === 'void'
  );
}
