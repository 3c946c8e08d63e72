// In charge of: blobs in a container of Azure Blob Storage.
import type { Readable } from 'node:stream';
import type { BlockBlobClient } from '@azure/storage-blob';
import { errorMessage } from '../../../base/errors.ts';
import type { Egress } from '../../../engine/egress/egress.ts';
import { BlobMissing, type Blobs, BlobsUnavailable, blobIdPattern, NoRoom } from './blobs.ts';
import { guardedAgents } from './guarded-agents.ts';
import { joinByBytes, openSlots, type PartTarget, writeInParts } from './in-parts.ts';

export interface AzurePlace {
  readonly connectionString: string;
  readonly container: string;
  readonly prefix: string;
  readonly egress: Pick<Egress, 'connect'>;
}

const partBytes = 8 * 1024 * 1024;
/** Source: learn.microsoft.com, "Scalability and performance targets for Blob storage". */
const maxParts = 50_000;
const maxBuffered = 16;
const maxSockets = 200;
const maxTries = 4;
/** For one request without its body's bytes. */
const tryMs = 60_000;
const parallelDeletes = 16;
const copyPollMs = 200;

export async function openAzureBlobs({
  connectionString,
  container,
  prefix,
  egress,
}: AzurePlace): Promise<Blobs> {
  const sdk = await import('@azure/storage-blob');
  const account = sdk.BlobServiceClient.fromConnectionString(connectionString);
  const agents = guardedAgents(egress, account.url, maxSockets);
  const options = {
    retryOptions: { maxTries, tryTimeoutInMs: tryMs },
    // Goes to the pipeline below as it is. Source: @azure/core-rest-pipeline createPipelineFromOptions.
    agent: account.url.startsWith('https:') ? agents.https : agents.http,
  };
  const client = new sdk.ContainerClient(connectionString, container, options);
  const slots = openSlots(maxBuffered);
  const blobOf = (id: string): BlockBlobClient => {
    if (!blobIdPattern.test(id)) throw new BlobMissing(id);
    return client.getBlockBlobClient(prefix + id);
  };

  function targetOf(id: string): PartTarget<string> {
    const blob = blobOf(id);
    return {
      async whole(bytes, abortSignal) {
        await blob.upload(bytes, bytes.length, { abortSignal });
      },
      async begin() {
        return {
          async part(number, bytes, abortSignal) {
            const name = Buffer.from(String(number).padStart(6, '0')).toString('base64');
            await blob.stageBlock(name, bytes, bytes.length, { abortSignal });
            return name;
          },
          async finish(names, abortSignal) {
            await blob.commitBlockList([...names], { abortSignal });
          },
          // Blocks that nobody commits go by themselves after a week. Source: learn.microsoft.com, "Put Block".
          async abort() {},
        };
      },
    };
  }

  const blobs: Blobs = {
    async write(id, body, options) {
      const size = Number.isFinite(options.maxBytes)
        ? Math.max(partBytes, Math.ceil(options.maxBytes / maxParts))
        : partBytes;
      return slots
        .run(() => writeInParts(body, options, size, targetOf(id)))
        .catch((error: unknown) => {
          throw isSdkError(error) ? asOurs(error, id) : error;
        });
    },
    async read(id, range) {
      const found = await blobOf(id)
        .download(range?.from ?? 0, range && range.to - range.from + 1)
        .catch(failed(id));
      // Sound: on Node it is a stream of Node.
      return found.readableStreamBody as Readable;
    },
    async find(id) {
      if (!blobIdPattern.test(id)) return undefined;
      try {
        const { contentLength = 0, lastModified = new Date(0) } = await blobOf(id).getProperties();
        return { id, sizeBytes: contentLength, writtenAt: lastModified };
      } catch (error) {
        const ours = asOurs(error, id);
        if (ours instanceof BlobMissing) return undefined;
        throw ours;
      }
    },
    async copy(from, to) {
      try {
        const poller = await blobOf(to).beginCopyFromURL(blobOf(from).url, { intervalInMs: copyPollMs });
        await poller.pollUntilDone();
      } catch (error) {
        throw asOurs(error, from);
      }
    },
    join: (parts, to, signal) => joinByBytes(blobs, parts, to, signal),
    async remove(ids) {
      const left = ids.filter((id) => blobIdPattern.test(id));
      const work = async () => {
        for (let id = left.pop(); id !== undefined; id = left.pop())
          await blobOf(id).deleteIfExists().catch(failed(id));
      };
      await Promise.all(Array.from({ length: parallelDeletes }, work));
    },
    async *list(abortSignal) {
      try {
        for await (const { name, properties } of client.listBlobsFlat({ prefix, abortSignal })) {
          const id = name.slice(prefix.length);
          if (blobIdPattern.test(id))
            yield { id, sizeBytes: properties.contentLength ?? 0, writtenAt: properties.lastModified };
        }
      } catch (error) {
        throw asOurs(error, '');
      }
    },
    // Azure discards blocks that nothing has put together for a week. Source: learn.microsoft.com, "Put Block".
    removeUnfinished: async () => 0,
    async close() {
      agents.destroy();
    },
  };
  return blobs;
}

interface SdkError {
  readonly name: string;
  readonly code?: string;
  readonly statusCode?: number;
}

const isSdkError = (error: unknown): boolean => error instanceof Error && error.name === 'RestError';

function failed(id: string) {
  return (error: unknown): never => {
    throw asOurs(error, id);
  };
}

/** Source: learn.microsoft.com, "Blob Storage error codes". */
function asOurs(error: unknown, id: string): unknown {
  if (error instanceof BlobMissing || error instanceof BlobsUnavailable) return error;
  // Sound: every field may be absent.
  const { code, statusCode: status } = error as SdkError;
  if (status === 404 && code !== 'ContainerNotFound') return new BlobMissing(id, error);
  if (code === 'AccountLimitExceeded' || code === 'InsufficientStorage') return new NoRoom(error);
  const reason = status !== undefined && status >= 400 && status < 500 && status !== 429 ? 'refused' : 'away';
  return new BlobsUnavailable(
    reason,
    `the container does not answer as it should: ${code ?? errorMessage(error)}`,
    error,
  );
}
