// In charge of: every path of the storage API, what policies read as the operation there, and what answers it.
// Source: supabase/storage src/app.ts, src/http/routes, src/http/routes/operations.ts.
import type { Route } from '../../../engine/service/routes.ts';
import type { Handle } from '../context.ts';
import { health, status, version } from './about.ts';
import { createBucket, deleteBucket, emptyBucket, getBucket, listBuckets, updateBucket } from './buckets.ts';
import { purgeAll, purgeBucket, purgeObject } from './cdn.ts';
import {
  getObject,
  getObjectInfo,
  getPublicObject,
  getPublicObjectInfo,
  getSignedObject,
  headObject,
  headPublicObject,
  headSignedObject,
} from './downloads.ts';
import { signObject, signObjects, signUpload } from './links.ts';
import { notEnabled, routesNotEnabled } from './not-enabled.ts';
import {
  copyObject,
  deleteObject,
  deleteObjects,
  listObjects,
  listObjectsV2,
  moveObject,
} from './objects.ts';
import { renderAuthenticated, renderPublic, renderSigned } from './render.ts';
import { resumableUpload, signedResumableUpload } from './resumable.ts';
import { createObject, updateObject, uploadSignedObject } from './uploads.ts';

/** `open`: whoever comes, with whatever credentials; `judged`: a caller whose token does not hold is nobody, who sees what is public. */
export type Access = 'caller' | 'judged' | 'open';

export interface Endpoint {
  readonly operation: string;
  readonly access: Access;
  readonly handle: Handle;
}

const route = (
  method: string,
  pattern: string,
  operation: string,
  handle: Handle,
  access: Access = 'caller',
): Route<Endpoint> => ({ method, pattern, handle: { operation, access, handle } });

/** The one path for all uploads, and below it a URL for each; in upstream's words what is asked by a link is an operation of its own. */
const resumable = (
  path: string,
  suffix: string,
  answer: Handle,
  access: Access,
): readonly Route<Endpoint>[] => [
  route('OPTIONS', path, `storage.tus.options${suffix}`, answer, 'open'),
  route('POST', path, `storage.tus.upload.create${suffix}`, answer, access),
  route('OPTIONS', `${path}/*`, `storage.tus.options${suffix}`, answer, 'open'),
  route('POST', `${path}/*`, `storage.tus.upload.create${suffix}`, answer, access),
  route('PUT', `${path}/*`, `storage.tus.upload.part${suffix}`, answer, access),
  route('PATCH', `${path}/*`, `storage.tus.upload.part${suffix}`, answer, access),
  route('HEAD', `${path}/*`, `storage.tus.upload.get${suffix}`, answer, access),
  route('DELETE', `${path}/*`, `storage.tus.upload.delete${suffix}`, answer, access),
];

/** Fixed words first: `/object/sign/…` is no bucket called "sign". */
export const routes: readonly Route<Endpoint>[] = [
  route('GET', '/status', '', status, 'open'),
  route('GET', '/version', '', version, 'open'),
  route('GET', '/health', '', health, 'open'),

  route('POST', '/bucket', 'storage.bucket.create', createBucket),
  route('GET', '/bucket', 'storage.bucket.list', listBuckets),
  route('GET', '/bucket/:bucketId', 'storage.bucket.get', getBucket),
  route('PUT', '/bucket/:bucketId', 'storage.bucket.update', updateBucket),
  route('DELETE', '/bucket/:bucketId', 'storage.bucket.delete', deleteBucket),
  route('POST', '/bucket/:bucketId/empty', 'storage.bucket.empty', emptyBucket),

  route('POST', '/object/move', 'storage.object.move', moveObject),
  route('POST', '/object/copy', 'storage.object.copy', copyObject),
  route('POST', '/object/list/:bucket', 'storage.object.list', listObjects),
  route('POST', '/object/list-v2/:bucket', 'storage.object.list_v2', listObjectsV2),

  route('POST', '/object/upload/sign/:bucket/*', 'storage.object.sign_upload_url', signUpload),
  route('PUT', '/object/upload/sign/:bucket/*', 'storage.object.upload_signed', uploadSignedObject, 'open'),
  route('POST', '/object/sign/:bucket', 'storage.object.sign_many', signObjects),
  route('POST', '/object/sign/:bucket/*', 'storage.object.sign', signObject),
  route('GET', '/object/sign/:bucket/*', 'storage.object.get_signed', getSignedObject, 'open'),
  route('HEAD', '/object/sign/:bucket/*', 'storage.object.get_signed', headSignedObject, 'open'),

  route('GET', '/object/info/public/:bucket/*', 'storage.object.info_public', getPublicObjectInfo, 'open'),
  route('GET', '/object/info/authenticated/:bucket/*', 'object.get_authenticated_info', getObjectInfo),
  route('GET', '/object/info/:bucket/*', 'object.get_authenticated_info', getObjectInfo, 'judged'),
  route('HEAD', '/object/info/public/:bucket/*', 'storage.object.info_public', headPublicObject, 'open'),
  route('HEAD', '/object/info/authenticated/:bucket/*', 'object.head_authenticated_info', headObject),
  route('HEAD', '/object/info/:bucket/*', 'object.head_authenticated_info', headObject, 'judged'),

  route('GET', '/object/public/:bucket/*', 'storage.object.get_public', getPublicObject, 'open'),
  route('HEAD', '/object/public/:bucket/*', 'storage.object.info_public', headPublicObject, 'open'),
  route('GET', '/object/authenticated/:bucket/*', 'storage.object.get_authenticated', getObject),
  route('HEAD', '/object/authenticated/:bucket/*', 'object.head_authenticated_info', headObject),

  ...resumable('/upload/resumable/sign', '_signed', signedResumableUpload, 'open'),
  ...resumable('/upload/resumable', '', resumableUpload, 'caller'),

  route(
    'GET',
    '/render/image/authenticated/:bucket/*',
    'storage.render.image_authenticated',
    renderAuthenticated,
  ),
  route(
    'HEAD',
    '/render/image/authenticated/:bucket/*',
    'storage.render.image_authenticated',
    renderAuthenticated,
  ),
  route('GET', '/render/image/public/:bucket/*', 'storage.render.image_public', renderPublic, 'open'),
  route('HEAD', '/render/image/public/:bucket/*', 'storage.render.image_public', renderPublic, 'open'),
  route('GET', '/render/image/sign/:bucket/*', 'storage.render.image_sign', renderSigned, 'open'),
  route('HEAD', '/render/image/sign/:bucket/*', 'storage.render.image_sign', renderSigned, 'open'),

  route('DELETE', '/cdn', 'storage.cdn.purge_tenant_cache', purgeAll),
  route('DELETE', '/cdn/:bucket', 'storage.cdn.purge_bucket_cache', purgeBucket),
  route('DELETE', '/cdn/:bucket/*', 'storage.cdn.purge_object_cache', purgeObject),

  ...routesNotEnabled.map(([method, pattern]) => route(method, pattern, '', notEnabled, 'open')),

  route('DELETE', '/object/:bucket', 'storage.object.delete_many', deleteObjects),
  route('POST', '/object/:bucket/*', 'storage.object.upload', createObject),
  route('PUT', '/object/:bucket/*', 'storage.object.upload_update', updateObject),
  route('DELETE', '/object/:bucket/*', 'storage.object.delete', deleteObject),
  route('GET', '/object/:bucket/*', 'storage.object.get_authenticated', getObject, 'judged'),
  route('HEAD', '/object/:bucket/*', 'object.head_authenticated_info', headObject, 'judged'),
];
