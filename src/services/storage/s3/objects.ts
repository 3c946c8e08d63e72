// In charge of: objects over S3, one at a time, and several to be deleted.
// Source: supabase/storage src/storage/protocols/s3/s3-handler.ts; src/http/routes/s3/commands/{put,get,head,copy,delete}-object.ts.
import type { Answer, Headers } from '../../../engine/service/http.ts';
import { findBucketRules, loadBucket } from '../buckets.ts';
import { asService } from '../context.ts';
import { copyInto } from '../copy.ts';
import { download, isUnchanged } from '../download.ts';
import {
  accessDenied,
  invalidBucketName,
  invalidParameter,
  invalidRequest,
  missingParameter,
  noSuchBucket,
  StorageFault,
} from '../errors.ts';
import { checkBucketName, checkKey } from '../names.ts';
import {
  deleteObject as deleteRow,
  deleteObjects as deleteRows,
  findNames,
  findObject,
  loadObject,
  type ObjectRow,
} from '../objects.ts';
import { checkFile, upload } from '../upload.ts';
import { openS3Body, readS3Body } from './body.ts';
import { checkIsWanted, checkSourceIsWanted } from './conditions.ts';
import { notImplemented, preconditionFailed } from './faults.ts';
import {
  emptyAnswer,
  isHeaderValue,
  metadataHeaders,
  metadataOfVisit,
  type S3Handle,
  type S3Visit,
} from './visit.ts';
import { listOf, parseXml, textOf, xmlAnswer } from './xml.ts';

const folderPlaceholder = '.emptyFolderPlaceholder';

export const putObject: S3Handle = async (visit) => {
  const { storage, request, asking, known, bucket, key } = visit;
  const { headers } = request;
  if (headers['if-match'] !== undefined) throw notImplemented('If-Match for PutObject');
  checkBucketName(bucket);
  const body = openS3Body(request, known);
  try {
    // What stands for an empty folder has that name in the other API.
    const name = key.endsWith('/') && body.sizeBytes === 0 ? key + folderPlaceholder : key;
    checkKey(name);
    const rules = await findBucketRules(storage.db, asService(asking), bucket);
    if (rules === undefined) throw noSuchBucket();
    const facts = {
      mimeType: headers['content-type'] || 'application/octet-stream',
      cacheControl: headers['cache-control'] ?? 'no-cache',
      userMetadata: metadataOfVisit(visit),
      declaredBytes: body.sizeBytes,
    };
    const maxBytes = checkFile(storage, rules, name, facts);
    const isUpsert = headers['if-none-match'] !== '*';
    const target = { bucket, name, owner: asking.caller.subject, isUpsert };
    const { metadata } = await upload(storage, asking, target, facts, body.stream, maxBytes, request).catch(
      (error: unknown) => {
        const isThere = error instanceof StorageFault && error.code === 'KeyAlreadyExists';
        throw isThere ? preconditionFailed() : error;
      },
    );
    return emptyAnswer(200, [['etag', metadata.eTag!]]);
  } finally {
    body.stream.destroy();
  }
};

export const getObject: S3Handle = async ({ storage, request, asking, bucket, key, query }) => {
  let object: ObjectRow | undefined;
  const own = overrides(query);
  const answer = await download(storage, request, async () => {
    object = await loadObject(storage.db, asking, bucket, key);
    checkIsWanted(object, request.headers);
    return object;
  });
  const headers = new Map(answer.headers);
  // No page of ours shows it: it is what it was uploaded as.
  if (object?.metadata?.mimetype) headers.set('content-type', object.metadata.mimetype);
  for (const [name, value] of own) headers.set(name, value);
  return { ...answer, headers: [...headers, ...metadataHeaders(object?.user_metadata ?? null)] };
};

/** Headers that whoever signs the request wants in the answer. */
function overrides(query: S3Visit['query']): Headers {
  const found = overridable.flatMap((name) => {
    const value = query.get(`response-${name}`);
    return value === undefined || value === '' || !isHeaderValue(value) ? [] : [[name, value] as const];
  });
  return found.map(([name, value]) => {
    if (name !== 'expires') return [name, value];
    const time = new Date(value);
    if (Number.isNaN(time.getTime())) throw invalidParameter('response-expires');
    return [name, time.toUTCString()];
  });
}

const overridable = [
  'content-disposition',
  'content-type',
  'cache-control',
  'content-encoding',
  'content-language',
  'expires',
] as const;

export const headObject: S3Handle = async ({ storage, request, asking, bucket, key }) => {
  const object = await loadObject(storage.db, asking, bucket, key);
  checkIsWanted(object, request.headers);
  const { metadata } = object;
  const headers: (readonly [string, string | undefined])[] = [
    ['accept-ranges', 'bytes'],
    ['created-at', object.created_at],
    ['cache-control', metadata?.cacheControl],
    ['content-length', String(metadata?.size ?? 0)],
    ['content-type', metadata?.mimetype],
    ['etag', metadata?.eTag],
    ['last-modified', new Date(object.updated_at).toUTCString()],
    ...metadataHeaders(object.user_metadata),
  ];
  const told = headers.filter((header): header is readonly [string, string] => !!header[1]);
  return emptyAnswer(isUnchanged(object, request.headers) ? 304 : 200, told);
};

export const getObjectTagging: S3Handle = async ({ storage, asking, bucket, key }) => {
  await loadObject(storage.db, asking, bucket, key);
  return xmlAnswer('Tagging', { TagSet: null });
};

/** Deleting what is not there is no mistake, as long as its bucket is. */
export const deleteObject: S3Handle = async ({ storage, asking, bucket, key }) => {
  checkBucketName(bucket);
  const find = () => findObject(storage.db, asService(asking), bucket, key);
  const found = await find();
  if (found === undefined) await loadBucket(storage.db, asService(asking), bucket);
  // Where it is gone by now, or another has its name, nobody was refused.
  else if (!(await deleteRow(storage.db, asking, bucket, key)) && (await find())?.id === found.id)
    throw accessDenied();
  storage.garbage.wake();
  return emptyAnswer(204);
};

/** Source: supabase/storage src/storage/limits.ts `MAX_OBJECTS_PER_REQUEST`. */
const maxDeleted = 1000;
/** So many names of 1 KB, and what stands around them. */
const maxDeleteBytes = 4 * 1024 * 1024;

export const deleteObjects: S3Handle = async ({ storage, asking, bucket, request, known }) => {
  checkBucketName(bucket);
  const document = await parseXml(await readS3Body(request, known, maxDeleteBytes), 'Delete', ['Object']);
  const names = listOf(document, 'Object').map((object) => textOf(object, 'Key'));
  if (names.length > maxDeleted)
    throw invalidRequest(`Bulk object requests are limited to ${maxDeleted} objects per request.`);
  const keys = names.filter((name) => name !== undefined);
  if (keys.length !== names.length) throw missingParameter('Key');
  const deleted = new Set(
    keys.length === 0 ? [] : (await deleteRows(storage.db, asking, bucket, keys)).map(({ name }) => name),
  );
  storage.garbage.wake();
  const left = keys.filter((key) => !deleted.has(key));
  const there = left.length === 0 ? new Set() : await findNames(storage.db, asService(asking), bucket, left);
  if (deleted.size === 0 && there.size === 0) await loadBucket(storage.db, asService(asking), bucket);
  const isQuiet = textOf(document, 'Quiet') === 'true';
  return xmlAnswer('DeleteResult', {
    Deleted: isQuiet ? undefined : keys.filter((key) => !there.has(key)).map((Key) => ({ Key })),
    Error: left
      .filter((key) => there.has(key))
      .map((Key) => ({ Key, Code: 'AccessDenied', Message: 'Access Denied' })),
  });
};

export const copyObject: S3Handle = async (visit) => {
  const { request, asking, bucket, key } = visit;
  const { headers } = request;
  checkBucketName(bucket);
  const find = sourceFinder(visit);
  const directive = headers['x-amz-metadata-directive'] ?? 'COPY';
  if (directive !== 'COPY' && directive !== 'REPLACE') throw invalidParameter('x-amz-metadata-directive');
  const changes = {
    cacheControl: headers['cache-control'] ?? '',
    mimeType: headers['content-type'] || replacedType,
    userMetadata: metadataOfVisit(visit),
  };
  const to = { bucket, name: key, owner: asking.caller.subject, isUpsert: true };
  const copied = await copyInto(visit, find, to, directive === 'REPLACE' ? changes : undefined);
  return copyResult('CopyObjectResult', copied.metadata?.eTag, copied.metadata?.lastModified);
};

export const copyResult = (root: string, eTag: string | undefined, at: string | undefined): Answer =>
  xmlAnswer(root, { ETag: eTag, LastModified: at });

/** What a copy whose headers say nothing of its type is. Source: Amazon S3 API Reference, "CopyObject"; supabase/storage src/test/s3-protocol.test.ts. */
const replacedType = 'binary/octet-stream';

/** Finds what a copy is made of, each time under the conditions that the request names. @throws InvalidBucketName, MissingParameter */
export function sourceFinder({ storage, asking, request }: S3Visit): () => Promise<ObjectRow> {
  const { bucket, name } = copySourceOf(request.headers['x-amz-copy-source']!);
  return async () => {
    const original = await loadObject(storage.db, asking, bucket, name);
    checkSourceIsWanted(original, request.headers);
    return original;
  };
}

/** `/bucket/folder/name`, escaped. */
function copySourceOf(header: string): { readonly bucket: string; readonly name: string } {
  const path = unescaped(header.replace(/\?versionId=.*$/, '')).replace(/^\//, '');
  const at = path.indexOf('/');
  const bucket = at < 0 ? path : path.slice(0, at);
  const name = at < 0 ? '' : path.slice(at + 1);
  if (bucket === '') throw invalidBucketName();
  if (name === '') throw missingParameter('CopySource');
  return { bucket, name };
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not every client escapes it.
    return text;
  }
}
