// In charge of: objects that come in parts. Each part is a blob of its own; at the end they are put together into one, whose row is written under the
// caller's rights as any upload's. A crash on the way leaves the upload as it was, to be completed, aborted, or found too old.
// Source: supabase/storage src/storage/protocols/s3/s3-handler.ts; Amazon S3 API Reference, "CompleteMultipartUpload".
import { createHash, randomUUID } from 'node:crypto';
import type { Answer } from '../../../engine/service/http.ts';
import { BlobMissing, type ByteRange, type Written } from '../blobs/blobs.ts';
import { findBucketRules, loadBucket } from '../buckets.ts';
import { asService } from '../context.ts';
import { withBytes } from '../download.ts';
import { entityTooLarge, invalidParameter, invalidRequest, noSuchBucket } from '../errors.ts';
import { checkBucketName, checkKey } from '../names.ts';
import type { ObjectRow } from '../objects.ts';
import { isVirusFound } from '../scan/faults.ts';
import { checkFile, checkMayUpload, completeUpload, metadataOf as describe } from '../upload.ts';
import { openS3Body, readS3Body } from './body.ts';
import { refuseS3 } from './errors.ts';
import {
  invalidCopyRange,
  invalidPart,
  invalidPartOrder,
  invalidUploadId,
  missingContentLength,
} from './faults.ts';
import { encoderOf, encodingOf, wholeNumberOf } from './lists.ts';
import { copyResult, sourceFinder } from './objects.ts';
import { keepPart, roomFor } from './parts.ts';
import { slowAnswer } from './slow-answer.ts';
import {
  deleteUpload,
  insertUpload,
  listPartRows,
  listUploadRows,
  loadUpload,
  type PartRow,
  type UploadPlace,
  type UploadRow,
} from './upload-rows.ts';
import { emptyAnswer, metadataOfVisit, type S3Handle, type S3Visit } from './visit.ts';
import { listOf, parseXml, textOf, type XmlValue, xmlAnswer } from './xml.ts';

/** Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits". */
const maxParts = 10_000;
/** So many parts, each with a checksum. */
const maxCompleteBytes = 4 * 1024 * 1024;
const maxPage = 1000;

const defaultType = 'application/octet-stream';

export const createUpload: S3Handle = async (visit) => {
  const { storage, asking, bucket, key, request } = visit;
  checkBucketName(bucket);
  checkKey(key);
  const rules = await findBucketRules(storage.db, asService(asking), bucket);
  if (rules === undefined) throw noSuchBucket();
  const { headers } = request;
  const mimeType = headers['content-type'] || defaultType;
  const userMetadata = metadataOfVisit(visit);
  checkFile(storage, rules, key, { mimeType });
  const target = { bucket, name: key, owner: asking.caller.subject, isUpsert: true };
  await checkMayUpload(storage, asking, target, { mimeType, userMetadata });
  const id = randomUUID();
  await insertUpload(
    storage.db,
    asService(asking),
    { id, bucket, key },
    {
      owner: asking.caller.subject,
      userMetadata,
      metadata: { mimetype: mimeType, cacheControl: headers['cache-control'] ?? 'no-cache' },
    },
  );
  return xmlAnswer('InitiateMultipartUploadResult', { Bucket: bucket, Key: key, UploadId: id });
};

/** The upload that the request names, and that its caller may write there. @throws NoSuchUpload, AccessDenied */
async function openUpload({ storage, asking, bucket, key, query }: S3Visit) {
  checkBucketName(bucket);
  checkKey(key);
  const id = query.get('uploadId');
  if (!id) throw invalidUploadId();
  const place: UploadPlace = { id, bucket, key };
  const upload = await loadUpload(storage.db, asService(asking), place);
  const target = { bucket, name: key, owner: asking.caller.subject, isUpsert: true };
  const facts = factsOf(upload);
  await checkMayUpload(storage, asking, target, facts);
  return { place, target, facts };
}

const factsOf = ({ metadata, user_metadata }: UploadRow) => ({
  mimeType: metadata?.mimetype ?? defaultType,
  cacheControl: metadata?.cacheControl ?? 'no-cache',
  userMetadata: user_metadata ?? {},
});

const slowly = ({ storage, request }: S3Visit, work: () => Promise<Answer>) =>
  slowAnswer(work, (error) => refuseS3(storage, request, error));

const partNumberOf = ({ query }: S3Visit) => wholeNumberOf(query, 'partNumber', 1, maxParts)!;

export const uploadPart: S3Handle = async (visit) => {
  const { request, known } = visit;
  const number = partNumberOf(visit);
  const body = openS3Body(request, known);
  try {
    if (body.sizeBytes === undefined) throw missingContentLength();
    const { place } = await openUpload(visit);
    const bounds = await roomFor(visit, place.id, number);
    const declaredBytes = body.sizeBytes;
    if (declaredBytes > bounds.room) throw entityTooLarge();
    const etag = await keepPart(visit, place, number, body.stream, { ...bounds, declaredBytes });
    return emptyAnswer(200, [
      ['etag', etag],
      ['access-control-expose-headers', 'etag'],
    ]);
  } finally {
    body.stream.destroy();
  }
};

export const uploadPartCopy: S3Handle = async (visit) => {
  const number = partNumberOf(visit);
  const find = sourceFinder(visit);
  return slowly(visit, async () => {
    const etag = await withBytes(find, (original) => copyPart(visit, number, original));
    return copyResult('CopyPartResult', etag, new Date(visit.storage.now()).toISOString());
  });
};

async function copyPart(visit: S3Visit, number: number, { metadata, version }: ObjectRow): Promise<string> {
  const { storage, request } = visit;
  const size = metadata?.size ?? 0;
  const range = copyRangeOf(request.headers['x-amz-copy-source-range'], size);
  const { place } = await openUpload(visit);
  const bounds = await roomFor(visit, place.id, number);
  const declaredBytes = range === undefined ? size : range.to - range.from + 1;
  if (declaredBytes > bounds.room) throw entityTooLarge();
  const source = await storage.blobs.read(version ?? '', range);
  try {
    return await keepPart(visit, place, number, source, { ...bounds, declaredBytes });
  } finally {
    source.destroy();
  }
}

/** @throws InvalidRange for one that does not lie within the source, whole */
function copyRangeOf(header: string | undefined, size: number): ByteRange | undefined {
  if (header === undefined) return undefined;
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(header) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || to < from || to >= size)
    throw invalidCopyRange();
  return { from, to };
}

export const completeMultipart: S3Handle = async (visit) => {
  const { storage, asking, request, known, bucket, key } = visit;
  const wanted = await wantedParts(await readS3Body(request, known, maxCompleteBytes));
  const { place, target, facts } = await openUpload(visit);
  const service = asService(asking);
  const there = await listPartRows(storage.db, service, place.id, { after: 0, limit: maxParts });
  const parts = wanted === undefined ? there : choose(there, wanted);
  if (parts.length === 0) throw invalidRequest('There is no part to complete the upload with');
  const rules = await findBucketRules(storage.db, service, bucket);
  if (rules === undefined) throw noSuchBucket();
  const sum = parts.reduce((total, { size }) => total + size, 0);
  checkFile(storage, rules, key, { mimeType: facts.mimeType, declaredBytes: sum });
  return slowly(visit, async () => {
    const version = await storage.newBlobId(bucket);
    const { sizeBytes } = await storage.transfers.run(() => join(visit, parts, version));
    const eTag = eTagOf(parts);
    const metadata = describe(facts, { sizeBytes, eTag, at: new Date(storage.now()) });
    try {
      await completeUpload(storage, asking, target, facts, { version, metadata }, request);
    } catch (error) {
      // Its parts, too: nothing of it is kept.
      if (isVirusFound(error)) {
        await deleteUpload(storage.db, service, place.id);
        storage.garbage.wake();
      }
      throw error;
    }
    await deleteUpload(storage.db, service, place.id);
    storage.garbage.wake();
    const Location = `${bucket}/${key}`;
    return xmlAnswer('CompleteMultipartUploadResult', { Location, Bucket: bucket, Key: key, ETag: eTag });
  });
};

async function join(
  { storage }: S3Visit,
  parts: readonly PartRow[],
  version: string,
): Promise<Pick<Written, 'sizeBytes'>> {
  try {
    return await storage.blobs.join(
      parts.map((part) => part.version),
      version,
      storage.signal,
    );
  } catch (error) {
    // Somebody has put another part in its place just now.
    if (error instanceof BlobMissing) throw invalidPart(parts[0]!.part_number);
    throw error;
  }
}

interface WantedPart {
  readonly number: number;
  readonly etag: string;
}

/** Undefined: all that are there. @throws MalformedXML, InvalidParameter, InvalidPartOrder */
async function wantedParts(text: string): Promise<readonly WantedPart[] | undefined> {
  if (text.trim() === '') return undefined;
  const document = await parseXml(text, 'CompleteMultipartUpload', ['Part']);
  const parts = listOf(document, 'Part').map((part) => {
    const number = Number(textOf(part, 'PartNumber'));
    const etag = textOf(part, 'ETag');
    if (!Number.isInteger(number) || number < 1 || number > maxParts) throw invalidParameter('PartNumber');
    if (etag === undefined) throw invalidParameter('ETag');
    return { number, etag };
  });
  if (parts.some(({ number }, at) => at > 0 && number <= parts[at - 1]!.number)) throw invalidPartOrder();
  return parts.length === 0 ? undefined : parts;
}

function choose(there: readonly PartRow[], wanted: readonly WantedPart[]): readonly PartRow[] {
  const byNumber = new Map(there.map((part) => [part.part_number, part]));
  const bare = (etag: string) => etag.trim().replace(/^"|"$/g, '');
  return wanted.map(({ number, etag }) => {
    const part = byNumber.get(number);
    if (part === undefined || bare(part.etag) !== bare(etag)) throw invalidPart(number);
    return part;
  });
}

/** Source: what every client of S3 computes: the MD5 of the parts' MD5s, and how many they are. */
function eTagOf(parts: readonly PartRow[]): string {
  const digest = createHash('md5');
  for (const { etag } of parts) digest.update(Buffer.from(etag.replaceAll('"', ''), 'hex'));
  return `"${digest.digest('hex')}-${parts.length}"`;
}

export const abortUpload: S3Handle = async (visit) => {
  const { storage, asking } = visit;
  const { place } = await openUpload(visit);
  await deleteUpload(storage.db, asService(asking), place.id);
  storage.garbage.wake();
  return emptyAnswer(204);
};

export const listParts: S3Handle = async ({ storage, asking, bucket, key, query }): Promise<Answer> => {
  const id = query.get('uploadId')!;
  await loadUpload(storage.db, asService(asking), { id, bucket, key });
  const max = wholeNumberOf(query, 'max-parts', 1, maxPage) ?? maxPage;
  const marker = wholeNumberOf(query, 'part-number-marker', 0, maxParts) ?? 0;
  const found = await listPartRows(storage.db, asking, id, { after: marker, limit: max + 1 });
  const shown = found.slice(0, max);
  const isTruncated = found.length > max;
  return xmlAnswer('ListPartsResult', {
    Bucket: bucket,
    Key: key,
    UploadId: id,
    PartNumberMarker: marker,
    NextPartNumberMarker: isTruncated ? shown.at(-1)?.part_number : undefined,
    MaxParts: max,
    IsTruncated: isTruncated,
    Part: shown.map((part) => ({
      PartNumber: part.part_number,
      LastModified: part.created_at,
      ETag: part.etag,
      Size: part.size,
    })),
    StorageClass: 'STANDARD',
  });
};

export const listUploads: S3Handle = async ({ storage, asking, bucket, query }) => {
  const max = wholeNumberOf(query, 'max-uploads', 1, maxPage) ?? maxPage;
  const encoding = encodingOf(query);
  const encoded = encoderOf(encoding);
  await loadBucket(storage.db, asService(asking), bucket);
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') || undefined;
  const keyMarker = query.get('key-marker') || undefined;
  const idMarker = query.get('upload-id-marker') || undefined;
  const found = await listUploadRows(storage.db, asking, bucket, {
    prefix,
    afterKey: keyMarker && markerOf(keyMarker),
    afterId: idMarker && markerOf(idMarker),
    limit: max + 1,
  });
  const shown = found.slice(0, max);
  const isTruncated = found.length > max;
  const last = isTruncated ? shown.at(-1) : undefined;
  const lastFolder = last && folderOf(last.key, prefix, delimiter);
  const uploads: XmlValue[] = [];
  const folders = new Set<string>();
  for (const { id, key, created_at } of shown) {
    const folder = folderOf(key, prefix, delimiter);
    if (folder !== undefined) folders.add(folder);
    else uploads.push({ Key: encoded(key), UploadId: id, Initiated: created_at, StorageClass: 'STANDARD' });
  }
  return xmlAnswer('ListMultipartUploadsResult', {
    Bucket: bucket,
    // Upstream calls it so.
    Name: bucket,
    Prefix: encoded(prefix),
    KeyMarker: keyMarker,
    UploadIdMarker: idMarker,
    // Behind everything of a folder, which is told of once.
    NextKeyMarker: last && asMarker(lastFolder === undefined ? last.key : lastFolder + lastCharacter),
    NextUploadIdMarker: last && asMarker(last.id),
    Upload: uploads,
    IsTruncated: isTruncated,
    MaxUploads: max,
    Delimiter: delimiter,
    EncodingType: encoding,
    KeyCount: uploads.length + folders.size,
    CommonPrefixes: [...folders].map((folder) => ({ Prefix: encoded(folder) })),
  });
};

const lastCharacter = '\u{10ffff}';

function folderOf(key: string, prefix: string, delimiter: string | undefined): string | undefined {
  const at = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter!.length);
}

/** As upstream's: `l:<name>` in base64. */
const asMarker = (text: string) => Buffer.from(`l:${text}`).toString('base64');

/** @throws InvalidParameter */
function markerOf(marker: string): string {
  const text = Buffer.from(marker, 'base64').toString();
  if (!text.startsWith('l:')) throw invalidParameter('continuation token');
  return text.slice(2);
}
