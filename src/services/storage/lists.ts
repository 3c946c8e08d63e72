// In charge of: what is in a bucket, a page at a time: by folder and offset (v1), and by cursor (v2, and S3).
// Source: supabase/storage src/storage/database/pg.ts `searchObjects`, `listObjectsV2`; src/storage/object.ts `listObjectsV2`.
import type { Db } from '../../engine/db/db.ts';
import { askRows, escapeLike, isoTime } from './ask.ts';
import type { Asking } from './context.ts';
import { type Cursor, decodeCursor, encodeCursor } from './cursor.ts';

type AsOne = Pick<Db, 'as'>;

export interface SearchOptions {
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly search?: string | undefined;
  readonly column?: string | undefined;
  readonly order?: string | undefined;
}

/** An entry: an object, or a folder, which has no id. */
export interface Entry {
  readonly name: string;
  readonly id: string | null;
  readonly updated_at: string | null;
  readonly created_at: string | null;
  readonly last_accessed_at: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

const times = ['updated_at', 'created_at', 'last_accessed_at'].map(isoTime).join(', ');

export async function searchObjects(
  db: AsOne,
  asking: Asking,
  bucket: string,
  prefix: string,
  { limit = 100, offset = 0, search = '', column = 'name', order = 'asc' }: SearchOptions,
): Promise<readonly Entry[]> {
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  const text = `
    select name, id, ${times}, metadata
    from storage.search($1, $2, $3::int, $4::int, $5::int, $6, $7, $8) with ordinality order by ordinality`;
  const levels = folder.split('/').length;
  const params = [folder, bucket, limit, levels, offset, search, column, order].map(String);
  return askRows<Entry>(db, asking, { text, params });
}

export interface ListOptions {
  readonly prefix?: string | undefined;
  readonly delimiter?: string | undefined;
  readonly cursor?: string | undefined;
  readonly startAfter?: string | undefined;
  readonly maxKeys?: number | undefined;
  readonly sortBy?: { readonly column: string; readonly order?: string | undefined } | undefined;
}

export interface ListPage {
  readonly hasNext: boolean;
  readonly nextCursor: string | undefined;
  /** The name that the next page begins behind. */
  readonly nextCursorKey: string | undefined;
  readonly folders: readonly Partial<Entry>[];
  readonly objects: readonly Partial<Entry>[];
}

const maxPage = 1000;

/** @throws InvalidParameter for a cursor that is none */
export async function listObjects(
  db: AsOne,
  asking: Asking,
  bucket: string,
  options: ListOptions,
): Promise<ListPage> {
  const { prefix = '', delimiter } = options;
  const limit = Math.min(options.maxKeys ?? maxPage, maxPage);
  const cursor = options.cursor === undefined ? undefined : decodeCursor(options.cursor);
  const page = {
    prefix,
    limit: limit + 1,
    startAfter: cursor?.startAfter ?? options.startAfter ?? '',
    order: (cursor?.sortOrder ?? options.sortBy?.order) === 'desc' ? 'desc' : 'asc',
    column: cursor?.sortColumn ?? options.sortBy?.column ?? 'name',
    after: cursor?.sortColumnAfter,
  };
  const found = delimiter
    ? asFolders(await listFolder(db, asking, bucket, delimiter, page), prefix, delimiter)
    : await listAll(db, asking, bucket, page, cursor !== undefined);
  const shown = found.slice(0, limit);
  const last = found.length > limit ? shown.at(-1) : undefined;
  return {
    hasNext: last !== undefined,
    nextCursor: last && encodeCursor(cursorBehind(last, page)),
    nextCursorKey: last?.name,
    folders: shown
      .filter(({ id }) => id === null)
      .map((entry) => ({ ...entry, name: asFolder(entry.name, delimiter) })),
    objects: shown.filter(({ id }) => id !== null),
  };
}

/** The database tells a folder without what it ends with. */
const asFolder = (name: string, delimiter = '/') => (name.endsWith(delimiter) ? name : name + delimiter);

interface Page {
  readonly prefix: string;
  readonly limit: number;
  readonly startAfter: string;
  readonly order: string;
  readonly column: string;
  readonly after: string | undefined;
}

function cursorBehind(last: Entry, { order, column }: Page): Cursor {
  const time = column === 'created_at' || column === 'updated_at' ? last[column] : null;
  return {
    startAfter: last.name,
    sortOrder: order,
    sortColumn: column,
    sortColumnAfter: time ?? undefined,
  };
}

async function listFolder(
  db: AsOne,
  asking: Asking,
  bucket: string,
  delimiter: string,
  { prefix, limit, startAfter, order, column, after }: Page,
): Promise<readonly Entry[]> {
  if (delimiter === '/') {
    const text = `
      select key, name, id, ${times}, metadata
      from storage.search_v2($1, $2, $3::int, $4::int, $5, $6, $7, $8) with ordinality order by ordinality`;
    const levels = String(prefix.split('/').length);
    const params = [prefix, bucket, String(limit), levels, startAfter, order, column, after ?? null];
    return askRows<Entry>(db, asking, { text, params });
  }
  const text = `
    select name, id, ${times}, metadata
    from storage.list_objects_with_delimiter($1, $2, $3, $4::int, $5, '', $6) with ordinality order by ordinality`;
  return askRows<Entry>(db, asking, {
    text,
    params: [bucket, prefix, delimiter, String(limit), startAfter, order],
  });
}

/** Every object below the prefix, through all folders. */
async function listAll(
  db: AsOne,
  asking: Asking,
  bucket: string,
  { prefix, limit, startAfter, order, column, after }: Page,
  isBehind: boolean,
): Promise<readonly Entry[]> {
  const time = column === 'created_at' || column === 'updated_at' ? column : undefined;
  const beyond = order === 'desc' ? '<' : '>';
  const behind =
    time !== undefined && after !== undefined
      ? `(date_trunc('milliseconds', object.${time}), object.name collate "C") ${beyond} ($5::timestamptz, $4)`
      : `object.name collate "C" ${isBehind ? beyond : '>'} $4`;
  const text = `
    select name, id, ${times}, metadata from storage.objects as object
    where bucket_id = $1 and name like $2 and ($4 = '' or ${behind}) and ($5::text is null or true)
    order by ${time === undefined ? '' : `date_trunc('milliseconds', object.${time}) ${order}, `}object.name collate "C" ${order}
    limit $3::int`;
  const params = [bucket, `${escapeLike(prefix)}%`, String(limit), startAfter, after ?? null];
  return askRows<Entry>(db, asking, { text, params });
}

/** Names with the delimiter behind the prefix are one folder each, wherever the database has not made them so. */
function asFolders(entries: readonly Entry[], prefix: string, delimiter: string): readonly Entry[] {
  const found: Entry[] = [];
  for (const entry of entries) {
    const at = entry.name.startsWith(prefix) ? entry.name.indexOf(delimiter, prefix.length) : -1;
    const name = at < 0 ? entry.name : entry.name.slice(0, at + delimiter.length);
    if (at < 0) found.push(entry);
    else if (found.at(-1)?.name !== name)
      found.push({
        ...entry,
        name,
        id: null,
        updated_at: null,
        created_at: null,
        last_accessed_at: null,
        metadata: null,
      });
  }
  return found;
}
