// In charge of: blobs in a bucket of S3: AWS, or what speaks its protocol. Small ones in one request; larger ones, and those of unknown length, in parts.
import type { Readable } from 'node:stream';
import type {
  S3Client as Client,
  CompletedPart,
  DeleteObjectsCommandOutput,
  ListMultipartUploadsCommandOutput,
  ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { errorMessage } from '../../../base/errors.ts';
import type { Egress } from '../../../engine/egress/egress.ts';
import { BlobMissing, type Blobs, BlobsUnavailable, blobIdPattern, NoRoom, TooManyBytes } from './blobs.ts';
import { guardedAgents } from './guarded-agents.ts';
import { joinByBytes, openSlots, type PartTarget, writeInParts } from './in-parts.ts';

export interface S3Place {
  readonly bucket: string;
  readonly prefix: string;
  /** Empty: AWS. */
  readonly endpoint: string;
  readonly region: string;
  readonly forcePathStyle: boolean;
  /** Undefined: what the SDK finds by itself. */
  readonly credentials:
    | { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string }
    | undefined;
  readonly partBytes: number;
  readonly maxSockets: number;
  readonly egress: Pick<Egress, 'connect'>;
}

/** Bodies that are buffered at once. */
const maxBuffered = 16;
/** Without a byte for so long a connection is given up. */
const idleMs = 60_000;
const maxAttempts = 4;
/** What one CopyObject takes. Source: docs.aws.amazon.com, "CopyObject". */
const maxCopyBytes = 5 * 1024 ** 3;
const copyPartBytes = 1024 ** 3;
/** Source: docs.aws.amazon.com, "Amazon S3 multipart upload limits", "DeleteObjects". */
const maxParts = 10_000;
const maxDeletes = 1_000;
/** Nothing tells when the last part came to an upload: one may go on for so long. */
const longestUploadSeconds = 7 * 24 * 3600;

export async function openS3Blobs(place: S3Place): Promise<Blobs> {
  // Loaded by whoever keeps files there: it takes as long as a start.
  const sdk = await import('@aws-sdk/client-s3');
  const { bucket: Bucket, prefix, endpoint, region, forcePathStyle, credentials, partBytes } = place;
  const agents = guardedAgents(place.egress, endpoint, place.maxSockets);
  const client: Client = new sdk.S3Client({
    region,
    forcePathStyle,
    maxAttempts,
    // What AWS alone understands of checksums is left out where the protocol does not demand it.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { httpAgent: agents.http, httpsAgent: agents.https, socketTimeout: idleMs },
    ...(endpoint !== '' && { endpoint }),
    ...(credentials !== undefined && { credentials }),
  });
  const slots = openSlots(maxBuffered);
  const keyOf = (id: string): string => {
    if (!blobIdPattern.test(id)) throw new BlobMissing(id);
    return prefix + id;
  };

  function targetOf(id: string): PartTarget<CompletedPart> {
    const Key = keyOf(id);
    return {
      async whole(Body, abortSignal) {
        await client.send(new sdk.PutObjectCommand({ Bucket, Key, Body, ContentLength: Body.length }), {
          abortSignal,
        });
      },
      async begin(abortSignal) {
        const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key }), {
          abortSignal,
        });
        return {
          async part(PartNumber, Body, signal) {
            const { ETag } = await client.send(
              new sdk.UploadPartCommand({
                Bucket,
                Key,
                UploadId,
                PartNumber,
                Body,
                ContentLength: Body.length,
              }),
              { abortSignal: signal },
            );
            return { PartNumber, ETag };
          },
          async finish(Parts, signal) {
            await client.send(
              new sdk.CompleteMultipartUploadCommand({
                Bucket,
                Key,
                UploadId,
                MultipartUpload: { Parts: [...Parts] },
              }),
              { abortSignal: signal },
            );
          },
          async abort() {
            await client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
          },
        };
      },
    };
  }

  const blobs: Blobs = {
    async write(id, body, options) {
      return slots
        .run(() => writeInParts(body, options, partBytesFor(partBytes, options.maxBytes), targetOf(id)))
        .catch((error: unknown) => {
          throw isSdkError(error) ? asOurs(error, id) : error;
        });
    },
    async read(id, range) {
      const Key = keyOf(id);
      const Range = range && `bytes=${range.from}-${range.to}`;
      const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket, Key, Range })).catch(failed(id));
      // Sound: on Node it is the answer itself.
      return Body as Readable;
    },
    async find(id) {
      if (!blobIdPattern.test(id)) return undefined;
      try {
        const found = await client.send(new sdk.HeadObjectCommand({ Bucket, Key: keyOf(id) }));
        return {
          id,
          sizeBytes: found.ContentLength ?? 0,
          writtenAt: found.LastModified ?? new Date(0),
        };
      } catch (error) {
        const ours = asOurs(error, id);
        if (ours instanceof BlobMissing) return undefined;
        throw ours;
      }
    },
    async copy(from, to) {
      const source = await blobs.find(from);
      if (source === undefined) throw new BlobMissing(from);
      const CopySource = `${Bucket}/${keyOf(from).split('/').map(encodeURIComponent).join('/')}`;
      const Key = keyOf(to);
      if (source.sizeBytes <= maxCopyBytes) {
        await client.send(new sdk.CopyObjectCommand({ Bucket, Key, CopySource })).catch(failed(from));
        return;
      }
      const { UploadId } = await client
        .send(new sdk.CreateMultipartUploadCommand({ Bucket, Key }))
        .catch(failed(from));
      try {
        const Parts: CompletedPart[] = [];
        for (let at = 0; at < source.sizeBytes; at += copyPartBytes) {
          const last = Math.min(at + copyPartBytes, source.sizeBytes) - 1;
          const PartNumber = Parts.length + 1;
          const CopySourceRange = `bytes=${at}-${last}`;
          const { CopyPartResult } = await client.send(
            new sdk.UploadPartCopyCommand({ Bucket, Key, UploadId, PartNumber, CopySource, CopySourceRange }),
          );
          Parts.push({ PartNumber, ETag: CopyPartResult?.ETag });
        }
        const MultipartUpload = { Parts };
        await client.send(new sdk.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }));
      } catch (error) {
        await client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => {});
        throw asOurs(error, from);
      }
    },
    join: (parts, to, signal) => joinByBytes(blobs, parts, to, signal),
    async remove(ids) {
      const ours = ids.filter((id) => blobIdPattern.test(id));
      for (let at = 0; at < ours.length; at += maxDeletes) {
        const Objects = ours.slice(at, at + maxDeletes).map((id) => ({ Key: keyOf(id) }));
        const { Errors = [] }: DeleteObjectsCommandOutput = await client
          .send(new sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }))
          .catch(failed(''));
        const refused = Errors.find(({ Code }) => Code !== 'NoSuchKey');
        if (refused !== undefined)
          throw new BlobsUnavailable('refused', `"${refused.Key}" was not removed: ${refused.Message}`);
      }
    },
    async *list(abortSignal) {
      let ContinuationToken: string | undefined;
      do {
        const page: ListObjectsV2CommandOutput = await client
          .send(new sdk.ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken }), { abortSignal })
          .catch(failed(''));
        for (const { Key = '', Size = 0, LastModified = new Date(0) } of page.Contents ?? []) {
          const id = Key.slice(prefix.length);
          if (blobIdPattern.test(id)) yield { id, sizeBytes: Size, writtenAt: LastModified };
        }
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },
    async removeUnfinished(stillForSeconds) {
      const before = Date.now() - Math.max(stillForSeconds, longestUploadSeconds) * 1000;
      let removed = 0;
      let more:
        | { readonly KeyMarker?: string | undefined; readonly UploadIdMarker?: string | undefined }
        | undefined = {};
      while (more !== undefined) {
        const page: ListMultipartUploadsCommandOutput = await client
          .send(new sdk.ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...more }))
          .catch(failed(''));
        for (const { Key = '', UploadId, Initiated } of page.Uploads ?? []) {
          const isOurs = blobIdPattern.test(Key.slice(prefix.length));
          if (!isOurs || Initiated === undefined || Initiated.getTime() > before) continue;
          await client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(failed(''));
          removed += 1;
        }
        more = page.IsTruncated
          ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
          : undefined;
      }
      return removed;
    },
    async close() {
      client.destroy();
      agents.destroy();
    },
  };
  return blobs;
}

/** As many bytes as a body may have fit into the parts that there may be. */
function partBytesFor(partBytes: number, maxBytes: number): number {
  return Number.isFinite(maxBytes) ? Math.max(partBytes, Math.ceil(maxBytes / maxParts)) : partBytes;
}

interface SdkError {
  readonly name: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $fault?: string;
}

const isSdkError = (error: unknown): boolean =>
  error instanceof Error &&
  ('$metadata' in error || networkErrors.has((error as { readonly code?: string }).code ?? ''));
const networkErrors: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
]);

function failed(id: string) {
  return (error: unknown): never => {
    throw asOurs(error, id);
  };
}

function asOurs(error: unknown, id: string): unknown {
  if (error instanceof BlobMissing || error instanceof TooManyBytes || error instanceof BlobsUnavailable)
    return error;
  // Sound: every field may be absent.
  const { name, $metadata } = error as SdkError;
  const status = $metadata?.httpStatusCode;
  if (name === 'NoSuchKey' || name === 'NotFound' || (status === 404 && name !== 'NoSuchBucket'))
    return new BlobMissing(id, error);
  if (status === 507 || name === 'XMinioStorageFull' || name === 'QuotaExceeded') return new NoRoom(error);
  const reason = status !== undefined && status >= 400 && status < 500 && status !== 429 ? 'refused' : 'away';
  return new BlobsUnavailable(
    reason,
    `the bucket does not answer as it should: ${name}: ${errorMessage(error)}`,
    error,
  );
}
