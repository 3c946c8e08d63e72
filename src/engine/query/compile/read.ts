// In charge of: a read in SQL. Each embed is a lateral subquery: one row for to-one, an array of rows for to-many.
import { isToOne, type Name } from '../../catalog/catalog.ts';
import type { EmbedOutput, PlannedColumn, ReadNode, SpreadColumn } from '../ast.ts';
import { compileCondition } from './condition.ts';
import { compileAggregate, compileAlias, compileColumn, compileGroup, compileOrder } from './field.ts';
import { column, ident, limitOf, param, qualified, type Writer } from './writer.ts';

/** The column of a to-many subquery that holds the array of rows. */
const rowsColumn = 'rows';

export function compileRead(writer: Writer, node: ReadNode): string {
  const table = tableOf(node);
  const columns = [
    ...selectedColumns(node).map((selected) => compileColumn(writer, table, selected)),
    ...compileOrderColumns(writer, table, node),
    ...node.outputs.flatMap((output) => compileOutput(writer, output)),
  ];
  const from = compileFrom(node);
  const joins = node.outputs.map((output) =>
    compileJoin(writer, output, node.embeds.find(({ embedAlias }) => embedAlias === output.embed)!),
  );
  return [
    `select ${columns.join(', ')} from ${from}`,
    ...joins,
    compileWhere(writer, table, node),
    compileGroupBy(writer, table, node),
    compileOrder(writer, table, node.order),
    compileLimit(writer, node),
  ].join('');
}

/** What columns of the node are qualified with. */
export function tableOf(node: ReadNode): Name {
  return node.fromAlias === undefined ? node.from : { schema: '', name: node.fromAlias };
}

export function compileFrom(node: ReadNode): string {
  const { relationship, parent } = node;
  const alias = compileAlias(node.fromAlias);
  if (relationship?.kind === 'computed') {
    // The cast tells overloads apart, as rows of a CTE are of no relation's type. Source: PostgREST issue 2963.
    const row = `${ident(parent!.name)}::${qualified(relationship.table)}`;
    return `${qualified(relationship.function)}(${row})${alias}`;
  }
  const junction =
    relationship?.kind === 'many-to-many'
      ? `, ${qualified(relationship.junction)} as ${ident(junctionAlias(node))}`
      : '';
  return qualified(node.from) + alias + junction;
}

function junctionAlias(node: ReadNode): string {
  return `${node.embedAlias}_junction`;
}

/** How the node's rows belong to the parent's row. */
export function compileJoinConditions(node: ReadNode): readonly string[] {
  const { relationship, parent } = node;
  if (!relationship || !parent || relationship.kind === 'computed') return [];
  const self = tableOf(node);
  if (relationship.kind === 'many-to-many') {
    const junction: Name = { schema: '', name: junctionAlias(node) };
    return [
      ...relationship.targetColumns.map(
        ([own, other]) => `${column(self, own)} = ${column(junction, other)}`,
      ),
      ...relationship.sourceColumns.map(
        ([own, other]) => `${column(parent, own)} = ${column(junction, other)}`,
      ),
    ];
  }
  return relationship.columns.map(([near, far]) => `${column(self, far)} = ${column(parent, near)}`);
}

function selectedColumns(node: ReadNode): readonly PlannedColumn[] {
  if (node.columns.length > 0 || node.embeds.length > 0) return node.columns;
  // Nothing selected: what is shown of the rows is decided by who renders them.
  const all = { name: '*', path: [], toJson: false, searched: undefined, type: '', transform: undefined };
  return [
    {
      field: { ...all, default: undefined, wholeRow: false },
      aggregate: undefined,
      aggregateCast: undefined,
      cast: undefined,
      alias: undefined,
    },
  ];
}

function compileOrderColumns(writer: Writer, table: Name, node: ReadNode): readonly string[] {
  if (node.spread?.kind !== 'to-many') return [];
  return node.spread.orderColumns.map(({ embed, column: ordered }) =>
    compileColumn(writer, embed === undefined ? table : { schema: '', name: embed }, ordered),
  );
}

function compileOutput(writer: Writer, output: EmbedOutput): readonly string[] {
  const embed = ident(output.embed);
  if (output.kind === 'spread') {
    return output.columns.map(
      (spread) =>
        compileAggregate(spreadColumn(output.embed, spread), spread.aggregate, spread.aggregateCast) +
        compileAlias(spread.alias),
    );
  }
  if (output.hidden) return [];
  const cast = writer.embedsAs === 'jsonb' ? '::jsonb' : '';
  return [
    output.toOne
      ? `row_to_json(${embed}.*)${cast} as ${ident(output.name)}`
      : `coalesce(${embed}.${rowsColumn}, '[]') as ${ident(output.name)}`,
  ];
}

function spreadColumn(embed: string, spread: SpreadColumn): string {
  return column({ schema: '', name: embed }, spread.name);
}

function compileJoin(writer: Writer, output: EmbedOutput, node: ReadNode): string {
  const alias = ident(output.embed);
  const join = node.inner ? ' inner' : ' left';
  const rows = compileRead(writer, node);
  const isArray =
    output.kind === 'json' ? !output.toOne : node.spread?.kind === 'to-many' && !isToOne(node.relationship!);
  if (!isArray) return `${join} join lateral (${rows}) as ${alias} on true`;
  const cast = writer.embedsAs === 'jsonb' ? '::jsonb' : '';
  const columns = [
    `json_agg(${alias})${cast} as ${rowsColumn}`,
    ...(output.kind === 'spread'
      ? output.columns.map((spread) => compileSpreadArray(writer, node, output.embed, spread))
      : []),
  ];
  const on = node.inner ? `${alias}.${rowsColumn} is not null` : 'true';
  return `${join} join lateral (select ${columns.join(', ')} from (${rows}) as ${alias}) as ${alias} on ${on}`;
}

/** A column of a to-many spread: an array of the rows' values, in the rows' order. */
function compileSpreadArray(writer: Writer, node: ReadNode, embed: string, spread: SpreadColumn): string {
  const order =
    node.spread?.kind === 'to-many'
      ? compileOrder(writer, { schema: '', name: embed }, node.spread.order)
      : '';
  const name = ident(spread.alias ?? spread.name);
  return `coalesce(json_agg(${spreadColumn(embed, spread)}${order}), '[]')::jsonb as ${name}`;
}

function compileWhere(writer: Writer, table: Name, node: ReadNode): string {
  const conditions = [
    ...node.where.map((condition) =>
      compileCondition(writer, table, condition, (embed, isNull) => embedTest(node, embed, isNull)),
    ),
    ...compileJoinConditions(node),
  ];
  return conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`;
}

/** Whether an embed has rows: an aggregated one always has its one row, so there the array is asked. */
function embedTest(node: ReadNode, embed: string, isNull: boolean): string {
  const output = node.outputs.find((one) => one.embed === embed);
  const child = node.embeds.find(({ embedAlias }) => embedAlias === embed);
  const isArray = output?.kind === 'json' ? !output.toOne : child?.spread?.kind === 'to-many';
  if (isArray) return `${ident(embed)}.${rowsColumn} is ${isNull ? '' : 'not '}null`;
  return `${ident(embed)} is ${isNull ? 'not ' : ''}distinct from null`;
}

function compileGroupBy(writer: Writer, table: Name, node: ReadNode): string {
  const spreads = node.outputs.flatMap((output) => (output.kind === 'spread' ? [output] : []));
  const aggregated =
    node.columns.some(({ aggregate }) => aggregate !== undefined) ||
    spreads.some(({ columns }) => columns.some(({ aggregate }) => aggregate !== undefined));
  if (!aggregated) return '';
  const terms = [
    ...compileGroup(writer, table, node.columns),
    ...node.outputs.flatMap((output) =>
      output.kind === 'json'
        ? output.hidden
          ? []
          : [ident(output.name)]
        : output.columns
            .filter(({ aggregate }) => aggregate === undefined)
            .map((spread) => column({ schema: '', name: output.embed }, spread.alias ?? spread.name)),
    ),
  ];
  return terms.length === 0 ? '' : ` group by ${terms.join(', ')}`;
}

function compileLimit(writer: Writer, { range }: ReadNode): string {
  const { limit, offset, cap } = range;
  // The cap alone is a setting: in the text the planner sees it, as a parameter it would guess.
  const limited = limit === undefined ? cap : limitOf(writer, limit, cap);
  return (
    (limited === undefined ? '' : ` limit ${limited}`) +
    (offset === undefined ? '' : ` offset ${param(writer, offset)}`)
  );
}

/** Whether anything in the tree is aggregated; then embedded rows are grouped by, for which Postgres needs jsonb. */
export function isAggregated(node: ReadNode): boolean {
  return (
    node.columns.some(({ aggregate }) => aggregate !== undefined) ||
    node.outputs.some(
      (output) => output.kind === 'spread' && output.columns.some(({ aggregate }) => aggregate !== undefined),
    ) ||
    node.embeds.some(isAggregated)
  );
}
