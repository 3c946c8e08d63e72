// In charge of: what a resumable upload is called: the bucket, the object's name, and a version that makes it one of a kind; in its URL as base64url.
// Source: supabase/storage src/storage/protocols/tus/upload-id.ts, src/http/routes/tus/lifecycle.ts. Its tenant, which no URL shows, is left out.
import { invalidUploadId } from '../errors.ts';
import { checkBucketName, checkKey } from '../names.ts';

export interface UploadId {
  readonly bucket: string;
  readonly name: string;
  readonly version: string;
}

export const renderUploadId = ({ bucket, name, version }: UploadId) => `${bucket}/${name}/${version}`;

/** @throws InvalidUploadId, InvalidBucketName, InvalidKey */
export function parseUploadId(id: string): UploadId {
  const pieces = id.split('/');
  const bucket = pieces.shift();
  const version = pieces.pop();
  if (bucket === undefined || version === undefined) throw invalidUploadId();
  const name = pieces.join('/');
  if (version === '') throw invalidUploadId('Version not provided');
  checkUploadId({ bucket, name, version });
  return { bucket, name, version };
}

/** @throws InvalidBucketName, InvalidKey */
export function checkUploadId({ bucket, name }: UploadId): void {
  checkBucketName(bucket);
  checkKey(name);
}

/** What a URL ends with. */
export const encodeUploadId = (id: string) => Buffer.from(id, 'utf8').toString('base64url');
export const decodeUploadId = (piece: string) => Buffer.from(piece, 'base64url').toString('utf8');
