// In charge of: the settings of where bytes are kept. Source: supabase/storage src/config.ts; the AWS SDKs for the names of credentials.
import { parseSizeBytes } from '../../../base/bytes.ts';
import { flag, oneOf, parsed, text, wholeNumber } from '../../../base/settings.ts';

const aSize = 'a number of bytes, or a size such as "16MiB"';
const mebibyte = 1024 * 1024;

/** `file`: upstream's word for a disk. */
const kinds = ['file', 's3', 'azure'] as const;
export type BackendKind = (typeof kinds)[number];

export const blobSettings = {
  backend: oneOf<BackendKind>(
    {
      key: 'storage.backend',
      env: ['STORAGE_BACKEND'],
      default: 'file',
      sentence:
        'Where the bytes of files are kept: `file` on this machine’s disk, `s3` in AWS S3 or what speaks its protocol (MinIO, R2, Google Cloud Storage), `azure` in Azure Blob Storage.',
    },
    kinds,
  ),
  path: text({
    key: 'storage.path',
    env: ['STORAGE_FILE_BACKEND_PATH', 'FILE_STORAGE_BACKEND_PATH'],
    default: '',
    sentence: 'The folder that holds the bytes. Empty: `files` in the state folder.',
  }),
  storeBucket: text({
    key: 'storage.s3.bucket',
    env: ['STORAGE_S3_BUCKET', 'GLOBAL_S3_BUCKET'],
    default: '',
    sentence: 'The bucket that holds all bytes.',
  }),
  storePrefix: text({
    key: 'storage.s3.prefix',
    env: ['MILLRACE_STORAGE_S3_PREFIX'],
    default: '',
    sentence:
      'What the keys of all bytes begin with, so that several databases share a bucket: `production/`.',
  }),
  storeEndpoint: text({
    key: 'storage.s3.endpoint',
    env: ['STORAGE_S3_ENDPOINT', 'GLOBAL_S3_ENDPOINT'],
    default: '',
    sentence:
      'The URL of the store, unless it is AWS. It may be on a private network: who sets it vouches for it, and for the names of buckets below it.',
  }),
  storeRegion: text({
    key: 'storage.s3.region',
    env: ['STORAGE_S3_REGION', 'REGION', 'AWS_REGION'],
    default: 'us-east-1',
    sentence: 'The region of the bucket; `auto` for R2.',
  }),
  storeForcePathStyle: flag({
    key: 'storage.s3.force_path_style',
    env: ['STORAGE_S3_FORCE_PATH_STYLE', 'GLOBAL_S3_FORCE_PATH_STYLE'],
    default: false,
    sentence:
      'Whether the bucket stands in the path and not in the host name, as MinIO and Millrace want it.',
  }),
  storeAccessKeyId: text({
    key: 'storage.s3.access_key_id',
    env: ['AWS_ACCESS_KEY_ID'],
    default: '',
    sentence:
      'The access key. Empty: what the AWS SDK finds by itself, such as the role of the machine that this runs on.',
  }),
  storeSecretAccessKey: text({
    key: 'storage.s3.secret_access_key',
    env: ['AWS_SECRET_ACCESS_KEY'],
    default: '',
    secret: true,
    sentence: 'The secret of the access key.',
  }),
  storeSessionToken: text({
    key: 'storage.s3.session_token',
    env: ['AWS_SESSION_TOKEN'],
    default: '',
    secret: true,
    sentence: 'The token that belongs to a temporary access key.',
  }),
  storePartBytes: parsed(
    {
      key: 'storage.s3.upload_part_size',
      env: ['STORAGE_S3_UPLOAD_PART_SIZE'],
      default: 16 * mebibyte,
      unit: 'bytes',
      sentence:
        'Larger files go up in parts of this size, each of which is held in memory; 10,000 parts at the most, after which they grow. At least 5 MiB.',
    },
    aSize,
    (raw) => {
      const size = parseSizeBytes(typeof raw === 'string' ? raw.trim() : raw);
      return size === undefined ? undefined : Math.max(size, 5 * mebibyte);
    },
  ),
  storeMaxSockets: wholeNumber({
    key: 'storage.s3.max_sockets',
    env: ['STORAGE_S3_MAX_SOCKETS', 'GLOBAL_S3_MAX_SOCKETS'],
    default: 200,
    min: 1,
    unit: 'connections',
    sentence: 'Connections to the store that there are at once; one more request waits.',
  }),
  azureConnection: text({
    key: 'storage.azure.connection_string',
    env: ['AZURE_STORAGE_CONNECTION_STRING'],
    default: '',
    secret: true,
    sentence: 'The connection string of the storage account, as the Azure portal shows it.',
  }),
  azureContainer: text({
    key: 'storage.azure.container',
    env: ['AZURE_STORAGE_CONTAINER'],
    default: '',
    sentence: 'The container that holds all bytes.',
  }),
  azurePrefix: text({
    key: 'storage.azure.prefix',
    env: ['MILLRACE_STORAGE_AZURE_PREFIX'],
    default: '',
    sentence: 'What the names of all blobs begin with.',
  }),
  previousBackend: oneOf<BackendKind | 'none'>(
    {
      key: 'storage.previous_backend',
      env: ['MILLRACE_STORAGE_PREVIOUS_BACKEND'],
      default: 'none',
      sentence:
        'Where the bytes were kept before. What is not in the new place yet is read there, and copied in the background until `millrace storage move` says that all is.',
    },
    ['none', ...kinds],
  ),
  orphanGraceSeconds: wholeNumber({
    key: 'storage.orphan_grace',
    env: ['MILLRACE_STORAGE_ORPHAN_GRACE'],
    default: 3600,
    min: 60,
    unit: 'seconds',
    live: true,
    sentence:
      'Bytes that no row names are removed when a sweep has seen them so long ago and one sees them still.',
  }),
  sweepEverySeconds: wholeNumber({
    key: 'storage.sweep_every',
    env: ['MILLRACE_STORAGE_SWEEP_EVERY'],
    default: 6 * 3600,
    min: 60,
    unit: 'seconds',
    sentence: 'How often all bytes and all rows are compared.',
  }),
} as const;
