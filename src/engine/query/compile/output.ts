// In charge of: how Postgres renders the rows of an answer: JSON, CSV, GeoJSON, or by a function of the project's.
// Source: PostgREST 14.12, src/PostgREST/Query/SqlFragment.hs (handlerF); docs/references/api/media_type_handlers.rst.
import type { Name, Routine } from '../../catalog/catalog.ts';
import { returnsScalar, returnsSetOfScalar } from '../ast.ts';
import { scalarName } from './call.ts';
import { qualified } from './writer.ts';

export type Output =
  | { readonly kind: 'array'; readonly stripNulls: boolean }
  | { readonly kind: 'object'; readonly stripNulls: boolean }
  | { readonly kind: 'csv' }
  | { readonly kind: 'geojson' }
  /** `target` is the relation that its rows are cast to; undefined for any. */
  | {
      readonly kind: 'custom';
      readonly function: Name;
      readonly target: Name | undefined;
      /** What it gives are bytes, which come as `\\x` and hexadecimal digits. */
      readonly isBytes: boolean;
      readonly isBinaryJson: boolean;
    }
  | { readonly kind: 'none' };

/** The alias of the answer's rows. It is not a name that a column would have, which would hide it. */
export const rowName = '_pgrst_row';

export function compileOutput(output: Output, routine: Routine | undefined): string {
  const isScalar = routine !== undefined && returnsScalar(routine);
  const isScalarSet = routine !== undefined && returnsSetOfScalar(routine);
  const isSingle = routine !== undefined && !routine.returns.set;
  switch (output.kind) {
    case 'none':
      return `''::text`;
    case 'array': {
      const row = isScalar || isScalarSet ? `${rowName}.${scalarName}` : rowName;
      if (isSingle) return oneObject(isScalar, output.stripNulls);
      return `coalesce(${stripped(`json_agg(${row})`, output.stripNulls)}, '[]')`;
    }
    case 'object':
      return oneObject(isScalar, output.stripNulls);
    case 'csv':
      return csv;
    case 'geojson':
      return `json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(ST_AsGeoJSON(${rowName})::json), '[]'))`;
    case 'custom': {
      const cast = output.target === undefined || isScalar ? '' : `::${qualified(output.target)}`;
      const call = `${qualified(output.function)}(${isScalar ? `${rowName}.${scalarName}` : rowName + cast})`;
      // PostgREST passes on the bytes that Postgres sends, and jsonb is sent with the number of its format before it: people who want
      // plain JSON take a domain over json. Source: PostgREST 14.12, test/spec/Feature/Query/CustomMediaSpec.hs; jsonb_send().
      return output.isBinaryJson ? `E'\\x01' || (${call})::text` : call;
    }
  }
}

/** The first row as it is; that there is no second one is checked by its count. */
function oneObject(isScalar: boolean, strip: boolean): string {
  const row = isScalar ? `${rowName}.${scalarName}` : rowName;
  return `coalesce(${stripped(`json_agg(${row})`, strip)} -> 0, 'null')`;
}

function stripped(json: string, strip: boolean): string {
  return strip ? `json_strip_nulls(${json})` : json;
}

/** A line of the columns' names, and the rows as Postgres writes records, without their parentheses. */
const csv = `coalesce((select string_agg(k, ',') from json_object_keys((array_agg(row_to_json(${rowName})))[1]) k), '') || E'\\n' || coalesce(string_agg(substring(${rowName}::text, 2, length(${rowName}::text) - 2), E'\\n'), '')`;
