// In charge of: columns in SQL: JSON paths, casts, aggregates, domain representations.
import assert from 'node:assert/strict';
import type { Name } from '../../catalog/catalog.ts';
import type { PlannedColumn, PlannedField, PlannedOrder } from '../ast.ts';
import type { Aggregate } from '../query.ts';
import { column, constant, ident, type Writer } from './writer.ts';

/** A column of `table`, along its JSON path, as a text vector where it is searched. */
export function compileField(writer: Writer, table: Name, field: PlannedField): string {
  if (field.wholeRow) return ident(table.name);
  let sql = column(table, field.name);
  if (field.path.length > 0 && field.toJson) sql = `to_jsonb(${sql})`;
  for (const step of field.path) {
    const operand = constant(writer, step.operand);
    sql += `${step.asText ? '->>' : '->'}${step.kind === 'index' ? `${operand}::int` : operand}`;
  }
  if (!field.searched) return sql;
  const { language } = field.searched;
  return `to_tsvector(${language === undefined ? '' : `${constant(writer, language)}, `}${sql})`;
}

/** A selected column with its alias. */
export function compileColumn(writer: Writer, table: Name, selected: PlannedColumn): string {
  const { field } = selected;
  const plain = compileField(writer, table, field);
  const shown = field.transform === undefined ? plain : `${field.transform}(${plain})`;
  const sql = compileAggregate(compileCast(shown, selected.cast), selected.aggregate, selected.aggregateCast);
  return sql + compileAlias(selected.alias);
}

export function compileAggregate(
  sql: string,
  aggregate: Aggregate | undefined,
  cast: string | undefined,
): string {
  return aggregate === undefined ? sql : compileCast(`${aggregate}(${sql})`, cast);
}

export function compileAlias(alias: string | undefined): string {
  return alias === undefined ? '' : ` as ${ident(alias)}`;
}

/**
 * A cast. The type is not quoted, as `"int"` would not be found: the parser lets only letters, digits, `_`, `$` and spaces through,
 * so it can be nothing but a type's name.
 */
function compileCast(sql: string, cast: string | undefined): string {
  if (cast === undefined) return sql;
  assert(/^[\p{L}\p{N}_$ ]*$/u.test(cast), `"${cast}" is not the name of a type`);
  return `cast(${sql} as ${cast})`;
}

export function compileOrder(writer: Writer, table: Name, order: readonly PlannedOrder[]): string {
  if (order.length === 0) return '';
  const terms = order.map((term) => {
    const of = term.embed === undefined ? table : { schema: '', name: term.embed };
    const direction = term.direction === undefined ? '' : ` ${term.direction}`;
    const nulls = term.nulls === undefined ? '' : ` nulls ${term.nulls}`;
    return compileField(writer, of, term.field) + direction + nulls;
  });
  return ` order by ${terms.join(', ')}`;
}

/** The columns that rows are grouped by when others are aggregated. */
export function compileGroup(
  writer: Writer,
  table: Name,
  columns: readonly PlannedColumn[],
): readonly string[] {
  return columns
    .filter(({ aggregate }) => aggregate === undefined)
    .map(({ alias, field }) => (alias === undefined ? compileField(writer, table, field) : ident(alias)));
}
