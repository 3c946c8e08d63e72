// In charge of: inserts, upserts, updates and deletes in SQL: the statement that stands in the CTE from which the answer is read.
// Source: docs/references/api/tables_views.rst; PostgREST 14.12, src/PostgREST/Query/QueryBuilder.hs (mutatePlanToQuery).
import type { Name } from '../../catalog/catalog.ts';
import type { DeletePlan, InsertPlan, PlannedCondition, UpdatePlan, WritePlan } from '../ast.ts';
import { bodyName, compileBody } from './body.ts';
import { compileCondition } from './condition.ts';
import { column, ident, qualified, type Writer } from './writer.ts';

/** The transaction's count of inserted rows, for the status of an upsert: rows are counted as they come and taken off when they turn into updates. */
export const insertedSetting = 'millrace.inserted';

export function compileWrite(writer: Writer, plan: WritePlan): string {
  switch (plan.kind) {
    case 'insert':
      return compileInsert(writer, plan);
    case 'update':
      return compileUpdate(writer, plan);
    case 'delete':
      return compileDelete(writer, plan);
  }
}

/** Whether the statement counts what it inserted. */
export function countsInserted(plan: WritePlan): boolean {
  return plan.kind === 'insert' && plan.conflict?.resolution === 'merge';
}

function compileInsert(writer: Writer, plan: InsertPlan): string {
  const names = plan.columns.map(({ name }) => ident(name));
  const into = names.length === 0 ? '' : `(${names.join(', ')})`;
  const body: Name = { schema: '', name: bodyName };
  const values = plan.columns.map(({ name }) => column(body, name)).join(', ');
  const rows = compileBody(writer, plan.body, plan.columns, plan.applyDefaults);
  const conditions = [...(countsInserted(plan) ? [countRow(1)] : []), ...compileAll(writer, body, plan.only)];
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`;
  return `insert into ${qualified(plan.relation)}${into} select ${values} from ${rows}${where}${compileConflict(plan)}${compileReturning(plan.relation, plan.returning)}`;
}

function compileConflict(plan: InsertPlan): string {
  if (!plan.conflict || plan.conflict.columns.length === 0) return '';
  const target = ` on conflict (${plan.conflict.columns.map(ident).join(', ')})`;
  if (plan.conflict.resolution === 'ignore' || plan.columns.length === 0) return `${target} do nothing`;
  const assignments = plan.columns.map(({ name }) => `${ident(name)} = excluded.${ident(name)}`).join(', ');
  return `${target} do update set ${assignments} where ${countRow(-1)}`;
}

/** A condition that is always true and counts the row it is asked for. */
function countRow(step: 1 | -1): string {
  const count = `coalesce(nullif(current_setting('${insertedSetting}', true), '')::int, 0)`;
  return `set_config('${insertedSetting}', (${count} ${step < 0 ? '-' : '+'} 1)::text, true) is not null`;
}

function compileUpdate(writer: Writer, plan: UpdatePlan): string {
  if (plan.columns.length === 0) {
    // Nothing to set: no row is touched, and the answer has the columns it would have had.
    const table: Name = { schema: '', name: plan.relation.name };
    const columns = plan.returning.map((name) => column(table, name)).join(', ');
    return `select ${columns || 'null'} from ${qualified(plan.relation)} where false`;
  }
  const body: Name = { schema: '', name: bodyName };
  const assignments = plan.columns.map(({ name }) => `${ident(name)} = ${column(body, name)}`).join(', ');
  const rows = compileBody(writer, plan.body, plan.columns, plan.applyDefaults);
  return `update ${qualified(plan.relation)} set ${assignments} from ${rows}${whereAll(writer, plan.relation, plan.where)}${compileReturning(plan.relation, plan.returning)}`;
}

function compileDelete(writer: Writer, plan: DeletePlan): string {
  return `delete from ${qualified(plan.relation)}${whereAll(writer, plan.relation, plan.where)}${compileReturning(plan.relation, plan.returning)}`;
}

function compileAll(writer: Writer, table: Name, conditions: readonly PlannedCondition[]): readonly string[] {
  return conditions.map((condition) => compileCondition(writer, table, condition));
}

function whereAll(writer: Writer, table: Name, conditions: readonly PlannedCondition[]): string {
  return conditions.length === 0 ? '' : ` where ${compileAll(writer, table, conditions).join(' and ')}`;
}

/** Without columns the rows are still counted. */
function compileReturning(relation: Name, returning: readonly string[]): string {
  const columns = returning.map((name) => column(relation, name)).join(', ');
  return ` returning ${columns || '1'}`;
}
