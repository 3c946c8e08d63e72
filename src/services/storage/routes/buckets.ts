// In charge of: /bucket. Source: supabase/storage src/http/routes/bucket, src/storage/storage.ts.
import { errorCode } from '../../../base/errors.ts';
import { askCount } from '../ask.ts';
import { checkBucketIsEmpty, emptyBucket as emptyAll } from '../bucket-contents.ts';
import { updateBucket as change, insertBucket, listBuckets as list, loadBucket } from '../buckets.ts';
import { asService, type Handle, type Visit } from '../context.ts';
import {
  bucketAlreadyExists,
  entityTooLarge,
  featureNotEnabled,
  invalidShape,
  noContentProvided,
  noSuchBucket,
} from '../errors.ts';
import { json, messageAnswer } from '../json.ts';
import {
  flagOf,
  type JsonObject,
  numberOf,
  oneOfWords,
  readObject,
  requiredText,
  textOf,
  textsOf,
} from '../json-body.ts';
import { checkMimePatterns } from '../mime-types.ts';
import { checkBucketName, checkNewBucketName } from '../names.ts';
import { parseFileSize } from '../sizes.ts';

export const createBucket: Handle = async (visit) => {
  const { storage, asking, request } = visit;
  const body = await readObject(request);
  const name = requiredText(body, 'name');
  const id = textOf(body, 'id') || name;
  checkNewBucketName(name);
  checkNewBucketName(id);
  if (oneOfWords(body.type, 'body/type', ['STANDARD', 'ANALYTICS']) === 'ANALYTICS') {
    throw featureNotEnabled('Iceberg buckets are not enabled for this tenant');
  }
  const bucket = {
    id,
    name,
    owner: asking.caller.subject,
    public: flagOf(body, 'public') ?? false,
    fileSizeLimit: fileSizeLimitOf(visit, body),
    allowedMimeTypes: mimeTypesOf(body),
  };
  await insertBucket(storage.db, asking, bucket).catch((error: unknown) => {
    throw errorCode(error) === '23505' ? bucketAlreadyExists(error) : error;
  });
  return json({ name });
};

/** @throws EntityTooLarge for more than all files together may have */
function fileSizeLimitOf({ storage }: Visit, body: JsonObject): number | null | undefined {
  const given = body.file_size_limit;
  if (given === undefined || given === null) return given;
  const limit = typeof given === 'string' && !/^\d+$/.test(given) ? parseFileSize(given) : Number(given);
  if (!Number.isSafeInteger(limit) || limit < 0) throw invalidShape('body/file_size_limit must be integer');
  if (limit > storage.config.now().fileSizeLimitBytes) throw entityTooLarge();
  return limit;
}

function mimeTypesOf(body: JsonObject): readonly string[] | null | undefined {
  if (body.allowed_mime_types === null) return null;
  const types = textsOf(body, 'allowed_mime_types')?.filter((type) => type !== '');
  if (types !== undefined) checkMimePatterns(types);
  return types;
}

export const listBuckets: Handle = async ({ storage, asking, query, request }) => {
  const given = Object.fromEntries(query);
  const where = 'querystring';
  const buckets = await list(storage.db, asking, {
    limit: numberOf(given, 'limit', 1, where),
    offset: numberOf(given, 'offset', 0, where),
    sortColumn: oneOfWords(given.sortColumn, 'querystring/sortColumn', [
      'id',
      'name',
      'created_at',
      'updated_at',
    ]),
    sortOrder: oneOfWords(given.sortOrder, 'querystring/sortOrder', ['asc', 'desc']),
    search: given.search,
  });
  return json(isOldPython(request.headers) ? buckets.map(({ type: _, ...bucket }) => bucket) : buckets);
};

/** Its older releases break on a member that they do not know. Source: supabase/storage src/http/routes/bucket/getAllBuckets.ts. */
function isOldPython(headers: Readonly<Record<string, string>>): boolean {
  const isBefore = (text: string | undefined, pattern: RegExp, minor: number, major: number) => {
    const [, first, second] = pattern.exec(text ?? '') ?? [];
    if (first === undefined) return false;
    return Number(first) < major || (Number(first) === major && Number(second) < minor);
  };
  return (
    isBefore(headers['x-client-info'], /supabase-py\/(\d+)\.(\d+)\.(\d+)/i, 18, 2) ||
    isBefore(headers['user-agent'], /supabase-py\/storage3 v(\d+)\.(\d+)\.(\d+)/i, 12, 0)
  );
}

export const getBucket: Handle = async ({ storage, asking, params }) =>
  json(await loadBucket(storage.db, asking, params.bucketId!));

export const updateBucket: Handle = async (visit) => {
  const { storage, asking, params, request } = visit;
  checkBucketName(params.bucketId!);
  const body = await readObject(request);
  const changes = {
    public: flagOf(body, 'public'),
    fileSizeLimit: fileSizeLimitOf(visit, body),
    allowedMimeTypes: mimeTypesOf(body),
  };
  if (Object.values(changes).every((value) => value === undefined)) throw noContentProvided();
  await change(storage.db, asking, params.bucketId!, changes);
  return messageAnswer('Successfully updated');
};

export const deleteBucket: Handle = async ({ storage, asking, params }) => {
  const id = params.bucketId!;
  await loadBucket(storage.db, asService(asking), id);
  await checkBucketIsEmpty(storage.db, asService(asking), id);
  const text = 'delete from storage.buckets where id = $1';
  // A file that came meanwhile keeps it, by its foreign key.
  if ((await askCount(storage.db, asking, { text, params: [id] })) === 0) throw noSuchBucket();
  return messageAnswer('Successfully deleted');
};

export const emptyBucket: Handle = async ({ storage, asking, params }) => {
  const id = params.bucketId!;
  await loadBucket(storage.db, asking, id);
  await emptyAll(storage, asking, id);
  return messageAnswer('Empty bucket has been queued. Completion may take up to an hour.');
};
