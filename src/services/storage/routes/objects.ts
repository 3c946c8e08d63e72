// In charge of: what is done with files that are there: listed, moved, copied, deleted.
// Source: supabase/storage src/http/routes/object/{listObjects,listObjectsV2,moveObject,copyObject,deleteObject,deleteObjects}.ts.
import { asService, type Handle } from '../context.ts';
import { copyInto } from '../copy.ts';
import { accessDenied, invalidRequest, invalidShape, noSuchKey } from '../errors.ts';
import { json, messageAnswer } from '../json.ts';
import {
  flagOf,
  memberObject,
  numberOf,
  oneOfWords,
  readObject,
  requiredText,
  textOf,
  textsOf,
} from '../json-body.ts';
import { listObjects as listPage, searchObjects } from '../lists.ts';
import { moveInto } from '../move.ts';
import { checkBucketName, checkKey } from '../names.ts';
import { deleteObject as deleteRow, deleteObjects as deleteRows, loadObject } from '../objects.ts';
import { userMetadataOf } from '../user-metadata.ts';

export const listObjects: Handle = async ({ storage, asking, params, request }) => {
  checkBucketName(params.bucket!);
  const body = await readObject(request);
  const sortBy = memberObject(body, 'sortBy');
  const columns = ['name', 'updated_at', 'created_at', 'last_accessed_at'] as const;
  const entries = await searchObjects(storage.db, asking, params.bucket!, requiredText(body, 'prefix'), {
    limit: numberOf(body, 'limit', 1),
    offset: numberOf(body, 'offset', 0),
    search: textOf(body, 'search'),
    column: oneOfWords(sortBy?.column, 'body/sortBy/column', columns),
    order: oneOfWords(sortBy?.order, 'body/sortBy/order', ['asc', 'desc']),
  });
  return json(entries);
};

export const listObjectsV2: Handle = async ({ storage, asking, params, request }) => {
  checkBucketName(params.bucket!);
  const body = await readObject(request);
  const sortBy = memberObject(body, 'sortBy');
  const column = oneOfWords(sortBy?.column, 'body/sortBy/column', ['name', 'updated_at', 'created_at']);
  if (sortBy !== undefined && column === undefined)
    throw invalidShape("body/sortBy must have required property 'column'");
  const page = await listPage(storage.db, asking, params.bucket!, {
    prefix: textOf(body, 'prefix'),
    maxKeys: numberOf(body, 'limit', 1),
    delimiter: flagOf(body, 'with_delimiter') ? '/' : undefined,
    cursor: textOf(body, 'cursor'),
    sortBy: column && {
      column,
      order: oneOfWords(sortBy?.order, 'body/sortBy/order', ['asc', 'desc']),
    },
  });
  return json(page);
};

export const moveObject: Handle = async (visit) => {
  const { asking, request } = visit;
  const body = await readObject(request);
  const from = { bucket: requiredText(body, 'bucketId'), name: requiredText(body, 'sourceKey') };
  const to = {
    bucket: textOf(body, 'destinationBucket') || from.bucket,
    name: requiredText(body, 'destinationKey'),
    owner: asking.caller.subject,
  };
  checkBucketName(from.bucket);
  checkBucketName(to.bucket);
  checkKey(from.name);
  checkKey(to.name);
  const moved = await moveInto(visit, from, to);
  return json({ message: 'Successfully moved', Id: moved.id, Key: moved.name });
};

export const copyObject: Handle = async (visit) => {
  const { asking, request } = visit;
  const body = await readObject(request);
  const from = { bucket: requiredText(body, 'bucketId'), name: requiredText(body, 'sourceKey') };
  const to = {
    bucket: textOf(body, 'destinationBucket') || from.bucket,
    name: requiredText(body, 'destinationKey'),
    owner: asking.caller.subject,
    isUpsert: request.headers['x-upsert'] === 'true',
  };
  checkBucketName(from.bucket);
  checkBucketName(to.bucket);
  checkKey(to.name);
  const metadata = memberObject(body, 'metadata');
  const changes =
    flagOf(body, 'copyMetadata') === false
      ? {
          cacheControl: metadata && textOf(metadata, 'cacheControl'),
          mimeType: metadata && textOf(metadata, 'mimetype'),
          userMetadata: userMetadataOf(request.headers),
        }
      : undefined;
  const find = () => loadObject(visit.storage.db, asking, from.bucket, from.name);
  const copied = await copyInto(visit, find, to, changes);
  return json({ Id: copied.id, Key: `${to.bucket}/${to.name}`, ...copied });
};

export const deleteObject: Handle = async ({ storage, asking, params }) => {
  const bucket = params.bucket!;
  checkBucketName(bucket);
  const find = () => loadObject(storage.db, asService(asking), bucket, params.rest!);
  const { id } = await find();
  if (!(await deleteRow(storage.db, asking, bucket, params.rest!))) {
    // Where it is gone by now, or another has its name, nobody was refused.
    throw (await find()).id === id ? accessDenied() : noSuchKey();
  }
  storage.garbage.wake();
  return messageAnswer('Successfully deleted');
};

/** Source: supabase/storage src/storage/limits.ts `MAX_OBJECTS_PER_REQUEST`. */
const maxDeleted = 1000;

export const deleteObjects: Handle = async ({ storage, asking, params, request }) => {
  checkBucketName(params.bucket!);
  const names = textsOf(await readObject(request), 'prefixes');
  if (names === undefined) throw invalidShape("body must have required property 'prefixes'");
  if (names.length === 0) throw invalidShape('body/prefixes must NOT have fewer than 1 items');
  if (names.length > maxDeleted)
    throw invalidRequest(`Bulk object requests are limited to ${maxDeleted} objects per request.`);
  const deleted = await deleteRows(storage.db, asking, params.bucket!, names);
  storage.garbage.wake();
  return json(deleted);
};
