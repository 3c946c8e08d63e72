// In charge of: what a client hears when something is refused, one function for each code.
// Source: supabase/storage src/internal/errors/codes.ts, src/internal/errors/storage-error.ts.
import { Fault } from '../../base/errors.ts';

interface StorageFaultFacts {
  /** What the body calls the status, and what S3 answers. */
  readonly status: number;
  /** Stable API: `NoSuchKey`. */
  readonly code: string;
  readonly message: string;
  /** The word in `error`, which older clients read. Unset: the code. */
  readonly error?: string;
  /** The status on the wire, where it is another than upstream's usual one. */
  readonly wireStatus?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal in the storage API's words. On the wire every one but an error of ours is a 400, and the body says which status is meant. */
export class StorageFault extends Fault {
  readonly error: string;
  readonly wireStatus: number;

  constructor(facts: StorageFaultFacts, cause?: unknown) {
    super(facts, cause);
    this.error = facts.error ?? facts.code;
    this.wireStatus = facts.wireStatus ?? (facts.status === 500 ? 500 : 400);
  }
}

export const noSuchBucket = (cause?: unknown) =>
  new StorageFault(
    { status: 404, code: 'NoSuchBucket', error: 'Bucket not found', message: 'Bucket not found' },
    cause,
  );

export const noSuchKey = (cause?: unknown) =>
  new StorageFault(
    { status: 404, code: 'NoSuchKey', error: 'not_found', message: 'Object not found' },
    cause,
  );

export const noSuchUpload = () =>
  new StorageFault({ status: 404, code: 'NoSuchUpload', message: 'Upload not found' });

export const bucketNotEmpty = () =>
  new StorageFault({
    status: 409,
    code: 'ResourceNotEmpty',
    message: 'The bucket you tried to delete is not empty',
  });

export const invalidBucketName = () =>
  new StorageFault({
    status: 400,
    code: 'InvalidBucketName',
    error: 'Invalid Input',
    message: 'Bucket name invalid',
  });

export const invalidKey = (key: string) =>
  new StorageFault({ status: 400, code: 'InvalidKey', message: `Invalid key: ${key}` });

export const keyAlreadyExists = (cause?: unknown) => alreadyExists('KeyAlreadyExists', cause);
export const bucketAlreadyExists = (cause?: unknown) => alreadyExists('BucketAlreadyExists', cause);
export const resourceAlreadyExists = (cause?: unknown) => alreadyExists('ResourceAlreadyExists', cause);

function alreadyExists(code: string, cause: unknown): StorageFault {
  return new StorageFault(
    { status: 409, code, error: 'Duplicate', message: 'The resource already exists' },
    cause,
  );
}

export const accessDenied = (message = 'Access denied', cause?: unknown) =>
  new StorageFault({ status: 403, code: 'AccessDenied', error: 'Unauthorized', message }, cause);

/** For what the service role alone may do. Source: supabase/storage src/http/plugins/jwt.ts `enforceJwtRole`. */
export const invalidRole = () =>
  new StorageFault({
    status: 403,
    code: 'AccessDenied',
    error: 'Unauthorized',
    message: 'Access denied: Invalid role',
    wireStatus: 403,
  });

/** See hot-links.ts. No cache may give it to a page that may. */
export const embeddedElsewhere = () =>
  new StorageFault({
    status: 403,
    code: 'AccessDenied',
    error: 'Unauthorized',
    message: 'Pages of this site may not show the files of this server',
    wireStatus: 403,
    headers: { 'cache-control': 'no-store' },
  });

export const invalidRequest = (message: string, cause?: unknown) =>
  new StorageFault({ status: 400, code: 'InvalidRequest', message }, cause);

/** What Fastify's own checks of a body's shape say, with their own name. */
export const invalidShape = (message: string) =>
  new StorageFault({ status: 400, code: 'InvalidRequest', error: 'Error', message });

export const invalidParameter = (parameter: string, message = `Invalid Parameter ${parameter}`) =>
  new StorageFault({ status: 400, code: 'InvalidParameter', message });

export const missingParameter = (parameter: string) =>
  new StorageFault({
    status: 400,
    code: 'MissingParameter',
    message: `Missing Required Parameter ${parameter}`,
  });

export const noContentProvided = (message = 'No content provided', cause?: unknown) =>
  new StorageFault({ status: 400, code: 'InvalidRequest', message }, cause);

export const entityTooLarge = (entity = 'object', limit = 'the maximum allowed size') =>
  new StorageFault({
    status: 413,
    code: 'EntityTooLarge',
    error: 'Payload too large',
    message: `The ${entity} exceeded ${limit}`,
  });

export const invalidMimeType = (mimeType: string) =>
  new StorageFault({
    status: 415,
    code: 'InvalidMimeType',
    error: 'invalid_mime_type',
    message: `mime type ${mimeType} is not supported`,
  });

export const invalidFileSizeLimit = () =>
  invalidRequest('Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B');

export const invalidXRobotsTag = (message: string) =>
  new StorageFault({
    status: 400,
    code: 'InvalidRequest',
    error: 'invalid_x_robots_tag',
    message: `Invalid X-Robots-Tag header: ${message}`,
  });

/** A row that somebody wrote by hand says something that no header can. Source: supabase/storage src/http/plugins/header-validator.ts. */
export const invalidHeaderChar = (name: string, value: string) =>
  new StorageFault({
    status: 400,
    code: 'InvalidRequest',
    error: 'invalid_header_char',
    message: `Invalid character in response header "${name}": ${value.slice(0, 50)}`,
  });

export const invalidRange = () =>
  new StorageFault({
    status: 416,
    code: 'InvalidRange',
    error: 'invalid_range',
    message: 'invalid range provided',
    wireStatus: 416,
  });

export const invalidJwt = (message: string, cause?: unknown) =>
  new StorageFault({ status: 400, code: 'InvalidJWT', message }, cause);

export const invalidSignature = (message = 'Invalid signature') =>
  new StorageFault({ status: 400, code: 'InvalidSignature', message });

export const featureNotEnabled = (feature: string) =>
  new StorageFault({
    status: 409,
    code: 'FeatureNotEnabled',
    message: `The feature ${feature} is not enabled for this resource`,
  });

export const invalidUploadId = (message = 'Invalid upload id') =>
  new StorageFault({ status: 400, code: 'InvalidUploadId', message });

export const metadataRequired = () => invalidRequest('Metadata header is required');

/** Another request works on the same upload and did not come to an end. */
export const lockTimeout = () =>
  new StorageFault({
    status: 503,
    code: 'LockTimeout',
    error: 'acquiring_lock_timeout',
    message: 'acquiring lock timeout',
    headers: { 'retry-after': '1' },
  });

/** Source: supabase/storage src/http/plugins/tenant-feature.ts. */
export const notEnabledHere = () =>
  new StorageFault({
    status: 403,
    code: 'FeatureNotEnabled',
    message: 'feature not enabled for this tenant',
    wireStatus: 403,
  });

export const cannotPurge = (cause: unknown) =>
  new StorageFault({ status: 500, code: 'InternalError', message: 'Error purging cache' }, cause);

export const unableToEmptyBucket = (message: string) =>
  new StorageFault({ status: 409, code: 'InvalidRequest', message });

/** The row is there and its bytes are not. Source: supabase/storage src/storage/renderer/renderer.ts. */
export const resourceNotFound = (cause?: unknown) =>
  new StorageFault(
    {
      status: 404,
      code: 'NoSuchKey',
      error: 'Not found',
      message: 'The resource was not found',
      headers: { 'cache-control': 'no-store' },
    },
    cause,
  );

/** This process has as many uploads or downloads as it may have at once. */
export const slowDown = () =>
  new StorageFault({
    status: 503,
    code: 'SlowDown',
    message: 'This server moves as many files as it can at once. Try again in a moment.',
    wireStatus: 503,
    headers: { 'retry-after': '1' },
  });

/** Where the bytes are kept there is no room left. Source for the status: RFC 4918 section 11.5; S3 has no code for it, MinIO calls it XMinioStorageFull. */
export const storageFull = (cause?: unknown) =>
  new StorageFault(
    {
      status: 507,
      code: 'StorageFull',
      message: 'There is no room left for files. Nothing was kept.',
      wireStatus: 507,
      headers: { 'retry-after': '60' },
    },
    cause,
  );

/** Where the bytes are kept does not answer. Source for the code: supabase/storage src/internal/errors/codes.ts. */
export const storeUnavailable = (cause?: unknown) =>
  new StorageFault(
    {
      status: 503,
      code: 'S3Error',
      message: 'The store of files does not answer. Try again in a moment.',
      wireStatus: 503,
      headers: { 'retry-after': '5' },
    },
    cause,
  );

/** The bytes that are kept are not those that were written. */
export const fileDamaged = (cause: unknown) =>
  new StorageFault(
    {
      status: 500,
      code: 'InternalError',
      error: 'Internal',
      message: 'The bytes of this file are damaged. They are not given out.',
    },
    cause,
  );

/** A bucket or a user has as much as there may be. Neither upstream nor Amazon's S3 has a code for that; the status is upstream's for a file that is too large. */
export const quotaExceeded = (message: string, cause?: unknown) =>
  new StorageFault({ status: 413, code: 'QuotaExceeded', error: 'Quota exceeded', message }, cause);
