// In charge of: counting all rows that a read would find without its range. Only conditions matter, so nothing is selected or embedded:
// an inner embed is an EXISTS. Source: PostgREST 14.12, src/PostgREST/Query/QueryBuilder.hs (readPlanToCountQuery).
import type { ReadNode } from '../ast.ts';
import { compileCondition } from './condition.ts';
import { compileFrom, compileJoinConditions, tableOf } from './read.ts';
import type { Writer } from './writer.ts';

/** `atMost` rows are enough to know. */
export function compileCount(writer: Writer, node: ReadNode, atMost?: number): string {
  const table = tableOf(node);
  const exists = (embed: ReadNode) => `exists (${compileCount(writer, embed)})`;
  const conditions = [
    ...node.where.map((condition) =>
      compileCondition(writer, table, condition, (alias, isNull) => {
        const embed = node.embeds.find(({ embedAlias }) => embedAlias === alias)!;
        return `${isNull ? 'not ' : ''}${exists(embed)}`;
      }),
    ),
    ...compileJoinConditions(node),
    ...node.embeds.filter(({ inner }) => inner).map(exists),
  ];
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`;
  const limit = atMost === undefined ? '' : ` limit ${atMost}`;
  return `select 1 from ${compileFrom(node)}${where}${limit}`;
}
