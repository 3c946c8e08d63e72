// In charge of: the rows of a JSON body in SQL: parsed by Postgres into the columns' types, with domain representations and defaults.
// Source: docs/references/api/tables_views.rst "Bulk Insert with Default Values", domain_representations.rst.
import type { Body, PlannedField } from '../ast.ts';
import { ident, literal, param, type Writer } from './writer.ts';

/** The alias of the body's rows. It shows in Postgres's messages. */
export const bodyName = 'pgrst_body';

type Wanted = Pick<PlannedField, 'name' | 'type' | 'transform' | 'default'>;

/** A FROM item with a row for each object of the body and a column for each of `fields`. */
export function compileBody(
  writer: Writer,
  body: Body,
  fields: readonly Wanted[],
  applyDefaults: boolean,
): string {
  const json = param(writer, body.json);
  if (fields.length === 0) return emptyRows(json, body.isObject);
  if (applyDefaults) return rowsWithDefaults(json, body.isObject, fields);
  const types = typed(fields);
  const source = body.isObject ? `json_to_record(${json}::json)` : `json_to_recordset(${json}::json)`;
  if (fields.every(({ transform }) => transform === undefined)) return `${source} as ${bodyName}(${types})`;
  return `(select ${fields.map(parsed).join(', ')} from ${source} as _(${types})) ${bodyName}`;
}

/** As many rows as the body has objects, without a column. */
function emptyRows(json: string, isObject: boolean): string {
  return isObject
    ? `(select from json_typeof(${json}::json)) ${bodyName}`
    : `(select from json_array_elements(${json}::json)) ${bodyName}`;
}

/**
 * Where an object lacks a key its column's default stands. It is computed for the others as well, so that sequences go on
 * as they do with PostgREST: who has numbers of one kind from both finds them alike.
 */
function rowsWithDefaults(json: string, isObject: boolean, fields: readonly Wanted[]): string {
  const defaults = fields.flatMap(({ name, default: value }) =>
    value === undefined ? [] : [`${literal(name)}, ${value}`],
  );
  const whole = (given: string) => `jsonb_build_object(${defaults.join(', ')}) || ${given} as object`;
  const elements = isObject
    ? `(select ${whole(`${json}::jsonb`)}) _e`
    : `(select ${whole('_given')} from jsonb_array_elements(${json}::jsonb) _given) _e`;
  const columns = fields.map(parsed).join(', ');
  return `(select ${columns} from ${elements}, jsonb_to_record(_e.object) as _(${typed(fields)})) ${bodyName}`;
}

function typed(fields: readonly Wanted[]): string {
  return fields.map(({ name, type }) => `${ident(name)} ${type}`).join(', ');
}

function parsed({ name, transform }: Wanted): string {
  return transform === undefined ? ident(name) : `${transform}(${ident(name)}) as ${ident(name)}`;
}
