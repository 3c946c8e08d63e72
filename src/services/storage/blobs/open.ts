// In charge of: which store of bytes there is, by the settings.
import { resolve } from 'node:path';
import { OperatorError } from '../../../base/errors.ts';
import type { ValuesOf } from '../../../base/settings.ts';
import type { Egress } from '../../../engine/egress/egress.ts';
import type { Blobs } from './blobs.ts';
import { openDiskBlobs } from './disk.ts';
import { openMovingBlobs } from './moving.ts';
import type { BackendKind, blobSettings } from './settings.ts';

export interface BlobPlace {
  /** The folder where nobody has named another. */
  readonly ownFolder: string;
  /** What a relative path is relative to. */
  readonly projectFolder: string;
  readonly egress: Pick<Egress, 'connect'>;
}

export interface OpenedStore extends OpenedBlobs {
  /** What files are moving from; undefined when they are not. */
  readonly move:
    | { readonly current: Blobs; readonly previous: Blobs; readonly previousName: string }
    | undefined;
}

interface OpenedBlobs {
  readonly blobs: Blobs;
  /** For sentences: `the folder "/srv/files"`. */
  readonly name: string;
}

/** The store by the settings; with the one that files are moving from, both as one. */
export async function openStore(
  config: ValuesOf<typeof blobSettings>,
  place: BlobPlace,
): Promise<OpenedStore> {
  const { blobs: current, name } = await openBlobs(config.backend, config, place);
  const { previousBackend: kind } = config;
  if (kind === 'none' || kind === config.backend) return { blobs: current, name, move: undefined };
  const { blobs: previous, name: previousName } = await openBlobs(kind, config, place);
  return { blobs: openMovingBlobs(current, previous), name, move: { current, previous, previousName } };
}

async function openBlobs(
  kind: BackendKind,
  config: ValuesOf<typeof blobSettings>,
  { ownFolder, projectFolder, egress }: BlobPlace,
): Promise<OpenedBlobs> {
  switch (kind) {
    case 's3': {
      const { storeBucket: bucket, storeAccessKeyId: accessKeyId, storeSessionToken: sessionToken } = config;
      if (bucket === '') throw missing('s3', 'storage.s3.bucket');
      const place = {
        bucket,
        prefix: config.storePrefix,
        endpoint: config.storeEndpoint,
        region: config.storeRegion,
        forcePathStyle: config.storeForcePathStyle,
        credentials:
          accessKeyId === ''
            ? undefined
            : {
                accessKeyId,
                secretAccessKey: config.storeSecretAccessKey,
                ...(sessionToken !== '' && { sessionToken }),
              },
        partBytes: config.storePartBytes,
        maxSockets: config.storeMaxSockets,
        egress,
      };
      const { openS3Blobs } = await import('./s3.ts');
      return { blobs: await openS3Blobs(place), name: `the bucket "${bucket}/${config.storePrefix}"` };
    }
    case 'azure': {
      const { azureConnection: connectionString, azureContainer: container, azurePrefix: prefix } = config;
      if (connectionString === '') throw missing('azure', 'storage.azure.connection_string');
      if (container === '') throw missing('azure', 'storage.azure.container');
      const { openAzureBlobs } = await import('./azure.ts');
      const blobs = await openAzureBlobs({ connectionString, container, prefix, egress });
      return { blobs, name: `the container "${container}/${prefix}"` };
    }
    case 'file': {
      const folder = config.path === '' ? ownFolder : resolve(projectFolder, config.path);
      return { blobs: await openDiskBlobs(folder), name: `the folder "${folder}"` };
    }
  }
}

function missing(kind: BackendKind, key: string): OperatorError {
  return new OperatorError(
    `Files are to be kept in ${kind}, and ${key} is not set.`,
    `Set it in config.toml or in the environment; docs/settings.md has its names. Or keep files on this machine's disk: storage.backend = "file".`,
  );
}
