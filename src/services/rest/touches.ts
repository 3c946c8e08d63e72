// In charge of: the names that a request touches: every relation and function that it makes Postgres look at because it says so. Pure.
import { type Catalog, keyOf, type Name } from '../../engine/catalog/catalog.ts';
import type { Plan, PlannedCondition, PlannedField, PlannedOrder, ReadNode } from '../../engine/query/ast.ts';
import type { Output } from '../../engine/query/compile/output.ts';

export interface Touched extends Name {
  /** `field`: what is asked for like a column and is none of a relation's, so a function of a row. Its schema is the search path's to find: empty. */
  readonly kind: 'relation' | 'function' | 'field';
}

/**
 * Each name once. A relation counts wherever it stands: at the path, embedded, spread, or as the junction between two. Rows that
 * a function gives are the function's own, whatever type they have. What a view, a policy, a trigger or a function reads inside is not
 * the request's to say.
 */
export function touchesOf(plan: Plan, output: Output, catalog: Catalog): readonly Touched[] {
  const found = new Map<string, Touched>();
  const add = (kind: Touched['kind'], { schema, name }: Name) =>
    found.set(`${kind}\0${schema}\0${name}`, { kind, schema, name });

  if (plan.kind === 'call') add('function', plan.routine);
  else add('relation', plan.relation);
  if (plan.kind === 'insert') visitConditions(plan.read, plan.only);
  if (plan.kind === 'update' || plan.kind === 'delete') visitConditions(plan.read, plan.where);
  visit(plan.read);
  if (output.kind === 'custom') add('function', output.function);
  return [...found.values()];

  function visit(node: ReadNode): void {
    const { relationship } = node;
    if (relationship !== undefined) {
      add('relation', relationship.target);
      if (relationship.kind === 'computed') add('function', relationship.function);
      if (relationship.kind === 'many-to-many') add('relation', relationship.junction);
    }
    for (const { field } of node.columns) visitField(node, field);
    visitConditions(node, node.where);
    for (const term of node.order) visitOrder(node, term);
    if (node.spread?.kind === 'to-many') {
      for (const term of node.spread.order) visitOrder(node, term);
      for (const { embed, column } of node.spread.orderColumns)
        visitField(embedded(node, embed), column.field);
    }
    for (const embed of node.embeds) visit(embed);
  }

  function visitConditions(node: ReadNode, conditions: readonly PlannedCondition[]): void {
    for (const condition of conditions) {
      if (condition.kind === 'filter') visitField(node, condition.field);
      else if (condition.kind !== 'embed') visitConditions(node, condition.conditions);
    }
  }

  function visitOrder(node: ReadNode, { embed, field }: PlannedOrder): void {
    visitField(embedded(node, embed), field);
  }

  /**
   * `books.title_length` calls the function with the row when there is no such column. Of rows that are no relation's the columns are not
   * known, so each name may be a function's. Source: PostgREST 14 docs/references/api/computed_fields.rst.
   */
  function visitField(node: ReadNode, { name }: PlannedField): void {
    if (name === '*' || catalog.relations.get(keyOf(rowsOf(node)))?.columns.has(name)) return;
    add('field', { schema: '', name });
  }

  /** What kind of rows a node has: those of a call are of its result's type, which need not be the one that planning went by. */
  function rowsOf(node: ReadNode): Name {
    return plan.kind === 'call' && node === plan.read ? plan.routine.returns.type : node.relation;
  }
}

/** The node that an order by a related column is about. */
function embedded(node: ReadNode, alias: string | undefined): ReadNode {
  return node.embeds.find(({ embedAlias }) => embedAlias === alias) ?? node;
}
