// In charge of: what is in a bucket, over S3: ListObjects and ListObjectsV2. Who sees which objects the policies say.
// Source: supabase/storage src/storage/protocols/s3/s3-handler.ts `listObjects`, `listObjectsV2`; src/http/routes/s3/commands/list-objects.ts.
import { loadBucket } from '../buckets.ts';
import { asService } from '../context.ts';
import { invalidShape } from '../errors.ts';
import { type Entry, listObjects as listPage } from '../lists.ts';
import type { S3Query } from './query.ts';
import type { S3Handle } from './visit.ts';
import { xmlAnswer } from './xml.ts';

const maxPage = 1000;

export const listObjectsV2: S3Handle = async ({ storage, asking, bucket, query }) => {
  await loadBucket(storage.db, asService(asking), bucket);
  const { prefix, delimiter, maxKeys, encoded, encoding } = pageOf(query);
  const cursor = query.get('continuation-token');
  const startAfter = query.get('start-after');
  const page = await listPage(storage.db, asking, bucket, { prefix, delimiter, maxKeys, cursor, startAfter });
  return xmlAnswer('ListBucketResult', {
    Name: bucket,
    Prefix: encoded(prefix),
    ContinuationToken: cursor,
    NextContinuationToken: page.nextCursor,
    StartAfter: startAfter === undefined ? undefined : encoded(startAfter),
    Contents: contentsOf(page.objects, encoded),
    IsTruncated: page.hasNext,
    MaxKeys: maxKeys,
    Delimiter: delimiter,
    EncodingType: encoding,
    KeyCount: page.objects.length + page.folders.length,
    CommonPrefixes: page.folders.map(({ name }) => ({ Prefix: encoded(name!) })),
  });
};

export const listObjects: S3Handle = async ({ storage, asking, bucket, query }) => {
  await loadBucket(storage.db, asService(asking), bucket);
  const { prefix, delimiter, maxKeys, encoded, encoding } = pageOf(query);
  const marker = query.get('marker') ?? '';
  const page = await listPage(storage.db, asking, bucket, { prefix, delimiter, maxKeys, startAfter: marker });
  return xmlAnswer('ListBucketResult', {
    Name: bucket,
    Prefix: encoded(prefix),
    Marker: encoded(marker),
    // Without a delimiter a client goes on behind the last key. Source: Amazon S3 API Reference, "ListObjects".
    NextMarker: page.hasNext && delimiter ? encoded(page.nextCursorKey!) : undefined,
    Contents: contentsOf(page.objects, encoded),
    IsTruncated: page.hasNext,
    MaxKeys: maxKeys,
    Delimiter: delimiter,
    EncodingType: encoding,
    CommonPrefixes: page.folders.map(({ name }) => ({ Prefix: encoded(name!) })),
  });
};

function pageOf(query: S3Query) {
  const encoding = encodingOf(query);
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') || undefined,
    maxKeys: Math.min(wholeNumberOf(query, 'max-keys', 0) || maxPage, maxPage),
    encoding,
    encoded: encoderOf(encoding),
  };
}

export function encodingOf(query: S3Query): string | undefined {
  const encoding = query.get('encoding-type');
  if (encoding !== undefined && encoding !== 'url')
    throw invalidShape('Querystring, encoding-type must be equal to one of the allowed values');
  return encoding;
}

/** With slashes as they are, as Amazon's. */
export const encoderOf =
  (encoding: string | undefined) =>
  (text: string): string =>
    encoding === 'url' ? text.split('/').map(encodeURIComponent).join('/') : text;

/** @throws InvalidRequest */
export function wholeNumberOf(
  query: S3Query,
  name: string,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value))
    throw invalidShape(`Querystring, ${name} must be integer`);
  if (value < min) throw invalidShape(`Querystring, ${name} must be >= ${min}`);
  if (value > max) throw invalidShape(`Querystring, ${name} must be <= ${max}`);
  return value;
}

function contentsOf(objects: readonly Partial<Entry>[], encoded: (text: string) => string) {
  return objects.map(({ name, updated_at, metadata }) => ({
    Key: encoded(name!),
    LastModified: updated_at ?? undefined,
    ETag: typeof metadata?.eTag === 'string' ? metadata.eTag : undefined,
    Size: typeof metadata?.size === 'number' ? metadata.size : 0,
    StorageClass: 'STANDARD',
  }));
}
