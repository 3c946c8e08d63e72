// In charge of: what a request asks of the data, in no wire language: REST and GraphQL both parse into this, `plan.ts` resolves it.

/**
 * A value that a client sent. `at` is its place in the request's list of values, so that a compiled statement can run again
 * with another request's; -1 when it is part of the request's shape.
 */
export interface Value {
  readonly text: string;
  readonly at: number;
}

/** `->` or `->>` with a key or an index (signed, as text). */
export interface JsonStep {
  readonly asText: boolean;
  readonly kind: 'key' | 'index';
  readonly operand: string;
}

export interface Field {
  readonly name: string;
  readonly path: readonly JsonStep[];
}

export type Aggregate = 'sum' | 'avg' | 'max' | 'min' | 'count';

export type SelectItem =
  | {
      readonly kind: 'field';
      readonly field: Field;
      readonly aggregate: Aggregate | undefined;
      readonly aggregateCast: string | undefined;
      readonly cast: string | undefined;
      readonly alias: string | undefined;
    }
  | {
      readonly kind: 'embed';
      readonly relation: string;
      readonly alias: string | undefined;
      readonly hint: string | undefined;
      readonly join: 'inner' | 'left' | undefined;
      /** The embedded columns stand beside the parent's own. */
      readonly spread: boolean;
      readonly select: readonly SelectItem[];
    };

export type Comparison = '=' | '>=' | '>' | '<=' | '<' | 'like' | 'ilike' | '~' | '~*';
export type PlainOperator = '<>' | '@>' | '<@' | '&&' | '<<' | '>>' | '&<' | '&>' | '-|-';
export type TextSearch = 'to_tsquery' | 'plainto_tsquery' | 'phraseto_tsquery' | 'websearch_to_tsquery';

export type Operation =
  | {
      readonly kind: 'compare';
      readonly operator: Comparison;
      readonly quantifier: 'any' | 'all' | undefined;
      readonly value: Value;
    }
  | { readonly kind: 'plain'; readonly operator: PlainOperator; readonly value: Value }
  | { readonly kind: 'in'; readonly list: Value; readonly values: readonly string[] }
  | { readonly kind: 'is'; readonly value: 'null' | 'not null' | 'true' | 'false' | 'unknown' }
  | { readonly kind: 'distinct'; readonly value: Value }
  | {
      readonly kind: 'search';
      readonly operator: TextSearch;
      readonly language: string | undefined;
      readonly value: Value;
    };

export interface Filter {
  readonly field: Field;
  readonly negated: boolean;
  readonly operation: Operation;
}

export type Condition =
  | { readonly kind: 'filter'; readonly filter: Filter }
  | {
      readonly kind: 'and' | 'or';
      readonly negated: boolean;
      readonly conditions: readonly Condition[];
    };

export interface OrderTerm {
  /** The embedded relation whose column orders; undefined for an own column. */
  readonly relation: string | undefined;
  readonly field: Field;
  readonly direction: 'asc' | 'desc' | undefined;
  readonly nulls: 'first' | 'last' | undefined;
}

/** A number of rows, or none; both are resolved values, in text. */
export interface Range {
  readonly limit: Value | undefined;
  readonly offset: Value | undefined;
}

/** Where in the tree of embeds something belongs; empty for the root. */
export type EmbedPath = readonly string[];

export interface At<T> {
  readonly path: EmbedPath;
  readonly item: T;
}

/** What of a read, or of what a write or a call gives back, is wanted. */
export interface Selection {
  readonly select: readonly SelectItem[];
  readonly filters: readonly At<Filter>[];
  readonly conditions: readonly At<Condition>[];
  readonly orders: readonly At<readonly OrderTerm[]>[];
  readonly ranges: readonly At<Range>[];
}
