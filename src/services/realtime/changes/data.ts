// In charge of: what a client is told of a change, as JSON text. Source: supabase/realtime realtime.apply_rls (output), replications.ex
// list_changes, adapters/changes.ex; `columns` is what SDKs convert the values by.
import type { Change } from '../../../engine/db/replication/change.ts';
import type { ColumnFacts, RoleFacts, TableFacts } from './facts.ts';
import type { Image, Images } from './image.ts';
import { toJsonOf } from './json.ts';
import { smallValueBytes } from './limits.ts';

/** The columns that a subscription is told: what its role may read, and of that what it asked for beside the primary key. */
export interface Selection {
  readonly key: string;
  readonly columns: readonly ColumnFacts[];
  /** `[{"name":…,"type":…}]` */
  readonly described: string;
}

export function selectionOf(
  table: TableFacts,
  role: RoleFacts,
  select: readonly string[] | undefined,
): Selection {
  const columns = table.columns.filter(
    ({ name, isKey }) =>
      role.selectable.has(name) && (select === undefined || isKey || select.includes(name)),
  );
  return {
    key: columns.map(({ name }) => name).join('\0'),
    columns,
    described: JSON.stringify(columns.map(({ name, typeName }) => ({ name, type: typeName }))),
  };
}

export interface Told {
  readonly change: Change;
  readonly table: TableFacts;
  readonly images: Images;
  /** How much of the old row: its primary key, where a policy has not said that all of it may be seen. */
  readonly old: 'all' | 'keys';
  /** Values that only Postgres can turn into JSON, by column. */
  readonly rendered: { readonly row: ReadonlyMap<string, string>; readonly old: ReadonlyMap<string, string> };
  readonly maxRecordBytes: number;
}

export function renderData(told: Told, selection: Selection): string {
  const { change, table, images, rendered } = told;
  const isTooLarge = images.sizeBytes > told.maxRecordBytes;
  const parts = [
    `"schema":${JSON.stringify(table.schema)}`,
    `"table":${JSON.stringify(table.name)}`,
    `"commit_timestamp":${JSON.stringify(change.committedAt)}`,
    `"type":"${change.kind}"`,
    `"columns":${selection.described}`,
  ];
  const record = (
    image: Image | undefined,
    json: ReadonlyMap<string, string>,
    columns: readonly ColumnFacts[],
  ) => renderRecord(image, json, columns, isTooLarge);
  if (change.kind !== 'DELETE') parts.push(`"record":${record(images.row, rendered.row, selection.columns)}`);
  if (change.kind !== 'INSERT') {
    const columns = told.old === 'all' ? selection.columns : selection.columns.filter(({ isKey }) => isKey);
    parts.push(`"old_record":${record(images.old, rendered.old, columns)}`);
  }
  parts.push(`"errors":${isTooLarge ? '["Error 413: Payload Too Large"]' : 'null'}`);
  return `{${parts.join(',')}}`;
}

/** To a role that may not read the primary key. */
export function renderUnauthorized(change: Change, table: TableFacts): string {
  return JSON.stringify({
    schema: table.schema,
    table: table.name,
    commit_timestamp: null,
    type: change.kind,
    columns: [],
    ...(change.kind === 'DELETE' ? {} : { record: {} }),
    ...(change.kind === 'INSERT' ? {} : { old_record: {} }),
    errors: ['Error 401: Unauthorized'],
  });
}

function renderRecord(
  image: Image | undefined,
  rendered: ReadonlyMap<string, string>,
  columns: readonly ColumnFacts[],
  isTooLarge: boolean,
): string {
  const fields: string[] = [];
  for (const column of columns) {
    const value = image?.get(column.name);
    if (value === undefined) continue;
    const json = value === null ? 'null' : (rendered.get(column.name) ?? toJsonOf(column)?.(value));
    if (json === undefined) continue;
    // As upstream: NULL, which has no length, is left out as well.
    if (isTooLarge && (value === null || Buffer.byteLength(json) > smallValueBytes)) continue;
    fields.push(`${JSON.stringify(column.name)}:${json}`);
  }
  return `{${fields.join(',')}}`;
}
