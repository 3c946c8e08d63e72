// In charge of: what a spread embed changes around it. An aggregate in a to-one spread is computed over the parent's groups, so it is hoisted
// there; the order of a to-many spread, whose rows become arrays, is moved into the arrays.
// Source: PostgREST 14.12, src/PostgREST/Plan.hs (hoistSpreadAggFunctions, addToManyOrderSelects).
import type { EmbedOutput, PlannedColumn, PlannedOrder, ReadNode, SpreadColumn } from './ast.ts';
import { notImplemented } from './errors.ts';
import { unknownField } from './fields.ts';

/** @throws PGRST127 for an aggregate in a to-many spread. */
export function finishSpreads(root: ReadNode): ReadNode {
  return orderToMany(hoist(root).node);
}

/** An aggregate on its way up: which column of which embed it is about. */
interface Hoisted extends Pick<SpreadColumn, 'aggregate' | 'aggregateCast' | 'alias'> {
  readonly embed: string;
  readonly name: string;
}

function hoist(node: ReadNode): { readonly node: ReadNode; readonly hoisted: readonly Hoisted[] } {
  const below = node.embeds.map(hoist);
  const fromBelow = below.flatMap(({ hoisted }) => hoisted);
  const embeds = below.map((child) => child.node);
  if (node.spread?.kind !== 'to-one') {
    const outputs = node.outputs.map((output) => takeIn(output, fromBelow));
    return { node: { ...node, embeds, outputs }, hoisted: [] };
  }
  const embed = node.embedAlias;
  const own = node.columns
    .filter((column) => column.aggregate !== undefined)
    .map(
      (column): Hoisted => ({
        embed,
        name: column.alias ?? column.field.name,
        aggregate: column.aggregate,
        aggregateCast: column.aggregateCast,
        alias: column.alias,
      }),
    );
  const columns = node.columns.map(
    (column): PlannedColumn => ({ ...column, aggregate: undefined, aggregateCast: undefined }),
  );
  return {
    node: { ...node, embeds, columns },
    hoisted: [...own, ...fromBelow.map((one) => ({ ...one, embed }))],
  };
}

function takeIn(output: EmbedOutput, hoisted: readonly Hoisted[]): EmbedOutput {
  if (output.kind !== 'spread') return output;
  return {
    ...output,
    columns: output.columns.map((column) => {
      const found = hoisted.find(({ embed, name }) => embed === output.embed && name === column.name);
      if (!found) return column;
      const { aggregate, aggregateCast, alias } = found;
      return { ...column, aggregate, aggregateCast, alias };
    }),
  };
}

function orderToMany(node: ReadNode): ReadNode {
  const embeds = node.embeds.map(orderToMany);
  if (node.spread?.kind !== 'to-many') return { ...node, embeds };
  const hasAggregate =
    node.columns.some(({ aggregate }) => aggregate !== undefined) ||
    node.outputs.some(
      (output) => output.kind === 'spread' && output.columns.some(({ aggregate }) => aggregate !== undefined),
    );
  if (hasAggregate) {
    throw notImplemented('Aggregates are not implemented for one-to-many or many-to-many spreads.');
  }
  // The number keeps two columns of one name, from different embeds, apart.
  const terms = node.order.map((term, index) => ({
    term,
    alias: `${node.embedAlias}_${term.field.name}_${index + 1}`,
  }));
  return {
    ...node,
    embeds,
    order: [],
    spread: {
      kind: 'to-many',
      orderColumns: terms.map(({ term, alias }) => ({
        embed: term.embed,
        column: { field: term.field, aggregate: undefined, aggregateCast: undefined, cast: undefined, alias },
      })),
      order: terms.map(
        ({ term, alias }): PlannedOrder => ({
          embed: undefined,
          field: unknownField({ name: alias, path: [] }),
          direction: term.direction,
          nulls: term.nulls,
        }),
      ),
    },
  };
}
