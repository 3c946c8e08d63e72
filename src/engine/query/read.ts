// In charge of: planning what is read: the tree of embeds, with filters, orders and ranges hung where they belong.
// Source: PostgREST 14.12, src/PostgREST/Plan.hs (readPlan); docs/references/api/resource_embedding.rst, aggregate_functions.rst.
import { type Catalog, isToOne, keyOf, type Name, type Relationship } from '../catalog/catalog.ts';
import type {
  EmbedOutput,
  PlannedColumn,
  PlannedCondition,
  PlannedOrder,
  PlannedRange,
  ReadNode,
  SpreadColumn,
} from './ast.ts';
import { findRelationship } from './embed.ts';
import { aggregatesNotAllowed, notEmbedded, relatedOrder } from './errors.ts';
import {
  hasOutputRepresentation,
  orderField,
  outputColumn,
  outputField,
  planCondition,
  unknownField,
} from './fields.ts';
import type { Condition, OrderTerm, Range, SelectItem, Selection } from './query.ts';
import { finishSpreads } from './spread.ts';

export interface ReadOptions {
  readonly aggregates: boolean;
  /** No node gives more rows than this. */
  readonly maxRows: number | undefined;
  /** Filters, orders and ranges may name an embed by its relation even when it has an alias. */
  readonly legacyTargetNames: boolean;
}

/** What the root reads from: a relation itself, or the CTE that holds the rows of a write or a call on it. */
export type Source = { readonly kind: 'relation' } | { readonly kind: 'cte'; readonly name: string };

type EmbedItem = SelectItem & { readonly kind: 'embed' };
type FieldItem = SelectItem & { readonly kind: 'field' };

/** A node while it is planned: what was asked of it, not yet resolved. */
interface Draft {
  readonly item: EmbedItem | undefined;
  readonly fields: readonly FieldItem[];
  readonly embeds: readonly Draft[];
  readonly conditions: Condition[];
  order: readonly OrderTerm[] | undefined;
  range: Range | undefined;
  namedByRelation: boolean;
}

/**
 * Plans a read of `relation`. Pure.
 * @throws PGRST108 when a filter, order or range names a relation that is not embedded; PGRST118 for an order by a to-many embed;
 * PGRST123 for an aggregate when they are off; PGRST200 and PGRST201 when an embed has no one relationship.
 */
export function planRead(
  catalog: Catalog,
  relation: Name,
  source: Source,
  selection: Selection,
  options: ReadOptions,
): ReadNode {
  const draft = toDraft(undefined, selection.select);
  const { legacyTargetNames } = options;
  const at = (path: readonly string[]) => draftAt(draft, path, legacyTargetNames);
  for (const { path, item } of selection.filters) at(path).conditions.push({ kind: 'filter', filter: item });
  for (const { path, item } of selection.conditions) at(path).conditions.push(item);
  for (const { path, item } of selection.orders) at(path).order ??= item;
  for (const { path, item } of selection.ranges) at(path).range = item;
  if (!options.aggregates && hasAggregate(draft, true)) throw aggregatesNotAllowed();
  const context: Context = { catalog, schema: relation.schema, options };
  return finishSpreads(planNode(context, draft, { relation, source }, 0, false));
}

function toDraft(item: EmbedItem | undefined, select: readonly SelectItem[]): Draft {
  return {
    item,
    fields: select.filter((selected) => selected.kind === 'field'),
    embeds: select
      .filter((selected) => selected.kind === 'embed')
      .map((embed) => toDraft(embed, embed.select)),
    conditions: [],
    order: undefined,
    range: undefined,
    namedByRelation: false,
  };
}

/** Source of the name that an alias hides: PostgREST 16, src/library/PostgREST/Plan.hs `updateNode`. */
function draftAt(root: Draft, path: readonly string[], legacyTargetNames: boolean): Draft {
  let node = root;
  for (const name of path) {
    const byEither = node.embeds.find(({ item }) => item!.relation === name || item!.alias === name);
    const next = legacyTargetNames
      ? byEither
      : node.embeds.find(({ item }) => (item!.alias ?? item!.relation) === name);
    if (!next) throw notEmbedded(name, byEither?.item?.alias);
    const { relation, alias } = next.item!;
    if (relation === name && alias !== undefined && alias !== name) next.namedByRelation = true;
    node = next;
  }
  return node;
}

function hasAggregate(draft: Draft, deep: boolean): boolean {
  return (
    draft.fields.some(({ aggregate }) => aggregate !== undefined) ||
    (deep && draft.embeds.some((embed) => hasAggregate(embed, true)))
  );
}

interface Context {
  readonly catalog: Catalog;
  readonly schema: string;
  readonly options: ReadOptions;
}

/** Where a node reads: the root from its source, an embed by its relationship to the parent. */
type Place =
  | { readonly relation: Name; readonly source: Source }
  | { readonly relationship: Relationship; readonly parent: Name };

function planNode(
  context: Context,
  draft: Draft,
  place: Place,
  depth: number,
  aggregated: boolean,
): ReadNode {
  const { catalog, options } = context;
  const { item } = draft;
  const relationship = 'relationship' in place ? place.relationship : undefined;
  const relation = 'relationship' in place ? place.relationship.target : place.relation;
  const fromCte = 'source' in place && place.source.kind === 'cte' ? place.source.name : undefined;
  const fromAlias =
    relationship !== undefined
      ? `${relation.name}_${depth}`
      : fromCte === undefined
        ? undefined
        : relation.name;
  const name = item?.relation ?? relation.name;
  const isSpread = item?.spread ?? false;
  const toOne = relationship !== undefined && isToOne(relationship);
  const withAggregate = aggregated || hasAggregate(draft, false) || (isSpread && !toOne);

  const self: Name = fromAlias === undefined ? relation : { schema: '', name: fromAlias };
  const embeds = draft.embeds.map((embed) => {
    const wanted = embed.item!;
    const found = findRelationship(catalog, context.schema, relation.name, wanted.relation, wanted.hint);
    return planNode(context, embed, { relationship: found, parent: self }, depth + 1, withAggregate);
  });
  const columns = planColumns(context, relation, draft.fields, isSpread, withAggregate);
  return {
    from: fromCte === undefined ? relation : { schema: '', name: fromCte },
    fromAlias,
    relation,
    relationship,
    parent: 'parent' in place ? place.parent : undefined,
    name,
    alias: item?.alias,
    namedByRelation: draft.namedByRelation,
    embedAlias:
      relationship === undefined ? '' : `${relationship.table.name}_${item?.alias ?? name}_${depth}`,
    inner: item?.join === 'inner',
    spread: isSpread ? { kind: toOne ? 'to-one' : 'to-many', orderColumns: [], order: [] } : undefined,
    columns,
    outputs: embeds.map(toOutput),
    where: draft.conditions.map((condition) =>
      planNullFilters(planCondition(catalog, relation, condition), embeds),
    ),
    order: (draft.order ?? []).map((term) => planOrder(catalog, relation, term, embeds)),
    // One row needs no cap, and a limit would keep Postgres from joining instead of looping.
    range: planRange(draft.range, toOne ? undefined : options.maxRows),
    embeds,
    depth,
  };
}

function planRange(range: Range | undefined, cap: number | undefined): PlannedRange {
  return { limit: range?.limit, offset: range?.offset, cap };
}

/** The selected columns; the star is spelled out where its columns have to be known one by one. */
function planColumns(
  { catalog }: Context,
  relation: Name,
  fields: readonly FieldItem[],
  isSpread: boolean,
  withAggregate: boolean,
): readonly PlannedColumn[] {
  const known = catalog.relations.get(keyOf(relation));
  const spellOut = known !== undefined && (withAggregate || hasOutputRepresentation(catalog, known));
  return fields.flatMap((item): PlannedColumn | PlannedColumn[] => {
    const isStar = item.field.name === '*' && item.field.path.length === 0;
    if (isStar && item.aggregate === undefined && spellOut) {
      return [...known.columns.values()].map((column) =>
        named({ ...item, field: outputColumn(catalog, column) }, isSpread),
      );
    }
    const field = outputField(catalog, relation, item.field);
    // In a spread, rows of other embeds stand beside this one's: count this one's, not all.
    const wholeRow = isStar && item.aggregate === 'count' && isSpread && spellOut;
    return named({ ...item, field: { ...field, wholeRow } }, isSpread);
  });
}

/** Gives a column the name it will have, where Postgres would choose another. */
function named(
  item: Omit<FieldItem, 'field'> & Pick<PlannedColumn, 'field'>,
  isSpread: boolean,
): PlannedColumn {
  const { field, aggregate, aggregateCast, cast } = item;
  const column = { field, aggregate, aggregateCast, cast };
  if (item.alias !== undefined) return { ...column, alias: item.alias };
  if (aggregate !== undefined) return { ...column, alias: isSpread ? aggregate : undefined };
  if (field.path.length > 0) {
    const last = field.path.at(-1)!;
    const lastKey = last.kind === 'key' ? last : field.path.findLast(({ kind }) => kind === 'key');
    return { ...column, alias: lastKey?.operand ?? field.name };
  }
  return { ...column, alias: field.transform === undefined ? undefined : field.name };
}

function toOutput(embed: ReadNode): EmbedOutput {
  if (embed.spread) {
    return { kind: 'spread', embed: embed.embedAlias, columns: spreadColumns(embed) };
  }
  return {
    kind: 'json',
    embed: embed.embedAlias,
    name: embed.alias ?? embed.name,
    toOne: embed.relationship !== undefined && isToOne(embed.relationship),
    hidden: isEmpty(embed),
  };
}

function isEmpty(node: ReadNode): boolean {
  return node.columns.length === 0 && node.embeds.every(isEmpty);
}

function spreadColumns(embed: ReadNode): readonly SpreadColumn[] {
  const plain = (name: string): SpreadColumn => ({
    name,
    aggregate: undefined,
    aggregateCast: undefined,
    alias: undefined,
  });
  return [
    ...embed.columns.map((column) => plain(column.alias ?? column.field.name)),
    ...embed.outputs.flatMap((output) =>
      output.kind === 'spread' ? output.columns : output.hidden ? [] : [plain(output.name)],
    ),
  ];
}

/** A null filter on the name of an embed asks whether the embed has rows. */
function planNullFilters(condition: PlannedCondition, embeds: readonly ReadNode[]): PlannedCondition {
  if (condition.kind === 'embed') return condition;
  if (condition.kind !== 'filter') {
    return { ...condition, conditions: condition.conditions.map((inner) => planNullFilters(inner, embeds)) };
  }
  const { field, operation, negated } = condition;
  if (field.path.length > 0 || operation.kind !== 'is' || operation.value !== 'null') return condition;
  const embed = embeds.find(({ name, alias }) => (alias ?? name) === field.name);
  return embed ? { kind: 'embed', negated, embed: embed.embedAlias } : condition;
}

function planOrder(
  catalog: Catalog,
  relation: Name,
  term: OrderTerm,
  embeds: readonly ReadNode[],
): PlannedOrder {
  const { direction, nulls } = term;
  if (term.relation === undefined) {
    return { embed: undefined, field: orderField(catalog, relation, term.field), direction, nulls };
  }
  const embed = embeds.find(({ name, alias }) => (alias ?? name) === term.relation);
  if (!embed) throw notEmbedded(term.relation);
  if (!embed.relationship || !isToOne(embed.relationship)) {
    throw relatedOrder(relation.name, embed.alias ?? embed.name);
  }
  return { embed: embed.embedAlias, field: unknownField(term.field), direction, nulls };
}
