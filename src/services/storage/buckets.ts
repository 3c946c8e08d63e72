// In charge of: the table storage.buckets. Source: supabase/storage src/storage/database/pg.ts.
import type { Db } from '../../engine/db/db.ts';
import { askCount, askRows, escapeLike, isoTime, uuidOrNull } from './ask.ts';
import type { Asking } from './context.ts';
import { noSuchBucket } from './errors.ts';

export interface Bucket {
  readonly id: string;
  readonly name: string;
  readonly owner: string | null;
  readonly public: boolean;
  readonly created_at: string;
  readonly updated_at: string;
  readonly file_size_limit: number | null;
  readonly allowed_mime_types: readonly string[] | null;
  readonly type?: string;
}

/** What decides over a file that comes or goes. */
export interface BucketRules {
  readonly public: boolean;
  readonly file_size_limit: number | null;
  readonly allowed_mime_types: readonly string[] | null;
}

type AsOne = Pick<Db, 'as'>;

const columns = `id, name, owner, public, ${isoTime('created_at')}, ${isoTime('updated_at')}, file_size_limit, allowed_mime_types`;

export async function findBucket(db: AsOne, asking: Asking, id: string): Promise<Bucket | undefined> {
  const text = `select ${columns} from storage.buckets where id = $1`;
  const [found] = await askRows<Bucket>(db, asking, { text, params: [id] });
  return found;
}

/** @throws NoSuchBucket */
export async function loadBucket(db: AsOne, asking: Asking, id: string): Promise<Bucket> {
  const found = await findBucket(db, asking, id);
  if (found === undefined) throw noSuchBucket();
  return found;
}

export async function findBucketRules(
  db: AsOne,
  asking: Asking,
  id: string,
): Promise<BucketRules | undefined> {
  const text = 'select public, file_size_limit, allowed_mime_types from storage.buckets where id = $1';
  const [found] = await askRows<BucketRules>(db, asking, { text, params: [id] });
  return found;
}

export interface BucketPage {
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly sortColumn?: string | undefined;
  readonly sortOrder?: string | undefined;
  readonly search?: string | undefined;
}

const sortColumns: ReadonlySet<string> = new Set(['id', 'name', 'created_at', 'updated_at']);

export async function listBuckets(
  db: AsOne,
  asking: Asking,
  { limit, offset, sortColumn, sortOrder, search }: BucketPage,
): Promise<readonly Bucket[]> {
  const params: (string | null)[] = [
    search === undefined || search === '' ? null : `%${escapeLike(search)}%`,
    limit === undefined ? null : String(limit),
    String(offset ?? 0),
  ];
  const order =
    sortColumn !== undefined && sortColumns.has(sortColumn)
      ? `order by bucket.${sortColumn} ${sortOrder === 'desc' ? 'desc' : 'asc'}`
      : '';
  const text = `
    select ${columns}, type from storage.buckets as bucket
    where $1::text is null or name ilike $1 ${order} limit $2::bigint offset $3::bigint`;
  return askRows<Bucket>(db, asking, { text, params });
}

export interface NewBucket {
  readonly id: string;
  readonly name: string;
  readonly owner: string | undefined;
  readonly public: boolean;
  readonly fileSizeLimit: number | null | undefined;
  readonly allowedMimeTypes: readonly string[] | null | undefined;
}

export async function insertBucket(db: AsOne, asking: Asking, bucket: NewBucket): Promise<void> {
  const text = `
    insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types)
    values ($1, $2, $3::uuid, $4, $5::boolean, $6::bigint, (select array_agg(value) from jsonb_array_elements_text($7::jsonb) as value))`;
  await askCount(db, asking, {
    text,
    params: [
      bucket.id,
      bucket.name,
      uuidOrNull(bucket.owner),
      bucket.owner ?? null,
      String(bucket.public),
      bucket.fileSizeLimit == null ? null : String(bucket.fileSizeLimit),
      bucket.allowedMimeTypes == null ? null : JSON.stringify(bucket.allowedMimeTypes),
    ],
  });
}

export interface BucketChange {
  readonly public?: boolean | undefined;
  readonly fileSizeLimit?: number | null | undefined;
  readonly allowedMimeTypes?: readonly string[] | null | undefined;
}

/** Whether it was public before. @throws NoSuchBucket, also for one that the caller may not change */
export async function updateBucket(
  db: AsOne,
  asking: Asking,
  id: string,
  { public: isPublic, fileSizeLimit, allowedMimeTypes }: BucketChange,
): Promise<{ readonly wasPublic: boolean }> {
  const params: (string | null)[] = [id];
  const set: string[] = [];
  const put = (column: string, expression: (parameter: string) => string, value: string | null) => {
    params.push(value);
    set.push(`${column} = ${expression(`$${params.length}`)}`);
  };
  if (isPublic !== undefined) put('public', (one) => `${one}::boolean`, String(isPublic));
  if (fileSizeLimit !== undefined)
    put('file_size_limit', (one) => `${one}::bigint`, fileSizeLimit === null ? null : String(fileSizeLimit));
  if (allowedMimeTypes !== undefined)
    put(
      'allowed_mime_types',
      (one) => `(select array_agg(value) from jsonb_array_elements_text(${one}::jsonb) as value)`,
      allowedMimeTypes === null ? null : JSON.stringify(allowedMimeTypes),
    );
  const text = `
    update storage.buckets as bucket set ${set.join(', ')} from (select public from storage.buckets where id = $1) as previous
    where bucket.id = $1 returning previous.public as was_public`;
  const [changed] = await askRows<{ was_public: boolean }>(db, asking, { text, params });
  if (changed === undefined) throw noSuchBucket();
  return { wasPublic: changed.was_public };
}
