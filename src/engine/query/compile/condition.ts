// In charge of: conditions in SQL.
// Source: PostgREST 14.12, src/PostgREST/Query/SqlFragment.hs (pgFmtFilter); docs/references/api/tables_views.rst "Operators".
import type { Name } from '../../catalog/catalog.ts';
import type { PlannedCondition } from '../ast.ts';
import { compileField } from './field.ts';
import { constant, ident, param, type Writer } from './writer.ts';

type Filter = PlannedCondition & { readonly kind: 'filter' };

/** How a filter on an embed's rows is written: by the joined subquery, or by a subquery of its own where nothing is joined. */
export type EmbedTest = (embed: string, isNull: boolean) => string;

/** Over the joined embed. "distinct from null" is about the row itself, not about its columns. */
export const joinedEmbed: EmbedTest = (embed, isNull) =>
  `${ident(embed)} is ${isNull ? 'not ' : ''}distinct from null`;

export function compileCondition(
  writer: Writer,
  table: Name,
  condition: PlannedCondition,
  embedTest: EmbedTest = joinedEmbed,
): string {
  switch (condition.kind) {
    case 'filter':
      return compileFilter(writer, table, condition);
    case 'embed':
      return embedTest(condition.embed, !condition.negated);
    case 'and':
    case 'or': {
      const inner = condition.conditions.map((one) => compileCondition(writer, table, one, embedTest));
      return `${condition.negated ? 'not ' : ''}(${inner.join(` ${condition.kind} `)})`;
    }
  }
}

function compileFilter(writer: Writer, table: Name, filter: Filter): string {
  const sql = `${compileField(writer, table, filter.field)} ${compileOperation(writer, filter)}`;
  return filter.negated ? `not ${sql}` : sql;
}

function compileOperation(writer: Writer, { field, operation }: Filter): string {
  const { transform } = field;
  const parsed = (value: string) => (transform === undefined ? value : `${transform}(${value})`);
  switch (operation.kind) {
    case 'compare': {
      const isPattern = operation.operator === 'like' || operation.operator === 'ilike';
      const value = isPattern
        ? param(writer, operation.value, { kind: 'pattern' })
        : parsed(param(writer, operation.value));
      const { quantifier } = operation;
      return `${operation.operator} ${quantifier === undefined ? value : `${quantifier}(${value})`}`;
    }
    case 'plain':
      return `${operation.operator} ${parsed(param(writer, operation.value))}`;
    case 'in': {
      // One array instead of a list, so that the statement is the same for any number of values, none included.
      const list = param(writer, operation.list, { kind: 'list', values: operation.values });
      return transform === undefined
        ? `= any (${list})`
        : `= any (select ${transform}(pg_catalog.unnest(${list}::text[])))`;
    }
    case 'is':
      return `is ${operation.value}`;
    case 'distinct':
      return `is distinct from ${param(writer, operation.value)}`;
    case 'search': {
      const language = operation.language === undefined ? '' : `${constant(writer, operation.language)}, `;
      return `@@ ${operation.operator}(${language}${param(writer, operation.value)})`;
    }
  }
}
