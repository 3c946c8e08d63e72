// In charge of: which operation of S3 a request asks for: by its method, whether it names a bucket and an object, its query and its headers.
// Source: supabase/storage src/http/routes/s3/commands, src/http/routes/operations.ts.

import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
} from './buckets.ts';
import { methodNotAllowed, notImplemented } from './faults.ts';
import { listObjects, listObjectsV2 } from './lists.ts';
import {
  abortUpload,
  completeMultipart,
  createUpload,
  listParts,
  listUploads,
  uploadPart,
  uploadPartCopy,
} from './multipart.ts';
import {
  copyObject,
  deleteObject,
  deleteObjects,
  getObject,
  getObjectTagging,
  headObject,
  putObject,
} from './objects.ts';
import type { S3Query } from './query.ts';
import type { S3Handle } from './visit.ts';

export interface Operation {
  readonly method: string;
  readonly on: 'service' | 'bucket' | 'object';
  /** Members of the query that must be there; with a value, that one. */
  readonly query?: readonly string[];
  readonly header?: string;
  /** What policies read as `storage.operation()`. */
  readonly name: string;
  readonly handle: S3Handle;
}

const operation = (
  method: string,
  on: Operation['on'],
  name: string,
  handle: S3Handle,
  more: Pick<Operation, 'query' | 'header'> = {},
): Operation => ({ method, on, name: `storage.s3.${name}`, handle, ...more });

const copies = { header: 'x-amz-copy-source' };

/** The narrower first. */
const operations: readonly Operation[] = [
  operation('GET', 'service', 'bucket.list', listBuckets),

  operation('PUT', 'bucket', 'bucket.create', createBucket),
  operation('HEAD', 'bucket', 'bucket.head', headBucket),
  operation('DELETE', 'bucket', 'bucket.delete', deleteBucket),
  operation('GET', 'bucket', 'bucket.get_location', getBucketLocation, { query: ['location'] }),
  operation('GET', 'bucket', 'bucket.get_versioning', getBucketVersioning, { query: ['versioning'] }),
  operation('GET', 'bucket', 'upload.list_multipart', listUploads, { query: ['uploads'] }),
  operation('GET', 'bucket', 'object.list', listObjectsV2, { query: ['list-type=2'] }),
  operation('GET', 'bucket', 'object.list', listObjects),
  operation('POST', 'bucket', 'object.delete_many', deleteObjects, { query: ['delete'] }),

  operation('PUT', 'object', 'upload.part_copy', uploadPartCopy, {
    query: ['partNumber', 'uploadId'],
    ...copies,
  }),
  operation('PUT', 'object', 'upload.part', uploadPart, { query: ['partNumber', 'uploadId'] }),
  operation('PUT', 'object', 'object.copy', copyObject, copies),
  operation('PUT', 'object', 'upload', putObject),
  operation('POST', 'object', 'upload.create_multipart', createUpload, { query: ['uploads'] }),
  operation('POST', 'object', 'upload.complete_multipart', completeMultipart, { query: ['uploadId'] }),
  operation('DELETE', 'object', 'upload.abort_multipart', abortUpload, { query: ['uploadId'] }),
  operation('DELETE', 'object', 'object.delete', deleteObject),
  operation('GET', 'object', 'upload.list_parts', listParts, { query: ['uploadId'] }),
  operation('GET', 'object', 'object.get_tagging', getObjectTagging, { query: ['tagging'] }),
  operation('GET', 'object', 'object.get', getObject),
  operation('HEAD', 'object', 'object.info', headObject),
];

/** A file that came by a form. */
export const formOperation = 'storage.s3.upload';

/**
 * Other sides of a bucket or an object than its bytes. They are refused: whoever puts an object's tags must not find that its bytes are gone.
 * Source: Amazon S3 API Reference, "Actions".
 */
const otherSides: ReadonlySet<string> = new Set([
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'logging',
  'metadataTable',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'renameObject',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'session',
  'tagging',
  'torrent',
  'versioning',
  'versions',
  'website',
]);

/** @throws MethodNotAllowed, NotImplemented */
export function findOperation(
  method: string,
  on: Operation['on'],
  query: S3Query,
  headers: Readonly<Record<string, string>>,
): Operation {
  const isMeant = (asked: Operation) =>
    asked.method === method &&
    asked.on === on &&
    (asked.header === undefined || headers[asked.header] !== undefined) &&
    (asked.query ?? []).every((member) => {
      const [name, value] = member.split('=', 2);
      return value === undefined ? query.has(name!) : query.get(name!) === value;
    });
  const found = operations.find(isMeant);
  if (found?.query === undefined) {
    const side = query.pairs().find(([name]) => otherSides.has(name));
    if (side !== undefined) throw notImplemented(`The subresource "${side[0]}" with ${method}`);
  }
  if (found === undefined) throw methodNotAllowed(method);
  return found;
}
