// In charge of: the settings of file storage: `[storage]` of config.toml under the names that the Supabase CLI gives them, and upstream's variables.
// Source: supabase/cli apps/cli-go/pkg/config/storage.go, templates/config.toml; supabase/storage src/config.ts.
import { parseSizeBytes } from '../../base/bytes.ts';
import { list, parsed, text, type ValuesOf, wholeNumber } from '../../base/settings.ts';
import { blobSettings } from './blobs/settings.ts';
import { bucketSettings } from './bucket-settings.ts';
import { imageSettings } from './images/settings.ts';
import { s3Settings } from './s3/settings.ts';
import { scanSettings } from './scan/settings.ts';

const live = true;
const aSize = 'a number of bytes, or a size such as "50MiB"';
const size = (raw: unknown) => parseSizeBytes(typeof raw === 'string' ? raw.trim() : raw);

const isWebAddress = (raw: unknown): raw is string =>
  typeof raw === 'string' && URL.canParse(raw) && /^https?:$/.test(new URL(raw).protocol);

export const settings = {
  fileSizeLimitBytes: parsed(
    {
      key: 'storage.file_size_limit',
      env: ['UPLOAD_FILE_SIZE_LIMIT', 'FILE_SIZE_LIMIT'],
      default: 50 * 1024 * 1024,
      unit: 'bytes',
      live,
      sentence: 'The largest file of all; a bucket may have a smaller limit of its own.',
    },
    aSize,
    size,
  ),
  signedUploadSeconds: wholeNumber({
    key: 'storage.signed_upload_url_expiry',
    env: ['UPLOAD_SIGNED_URL_EXPIRATION_TIME', 'SIGNED_UPLOAD_URL_EXPIRATION_TIME'],
    default: 7200,
    min: 1,
    unit: 'seconds',
    live,
    sentence: 'How long a signed URL for an upload is good for.',
  }),
  resumableSeconds: wholeNumber({
    key: 'storage.resumable_upload_expiry',
    env: ['MILLRACE_RESUMABLE_UPLOAD_EXPIRY'],
    default: 86_400,
    min: 1,
    unit: 'seconds',
    live,
    sentence: 'How long a resumable upload may take from its beginning to its end.',
  }),
  emptyBucketMaxObjects: wholeNumber({
    key: 'storage.empty_bucket_max',
    env: ['STORAGE_EMPTY_BUCKET_MAX'],
    default: 200_000,
    min: 1,
    unit: 'objects',
    live,
    sentence: 'A bucket with more objects is not emptied by one request.',
  }),
  maxTransfers: wholeNumber({
    key: 'storage.max_transfers',
    env: ['MILLRACE_STORAGE_MAX_TRANSFERS'],
    default: 1000,
    min: 1,
    unit: 'transfers',
    live,
    sentence: 'Uploads that this process takes at once; one more is told to come back with 503.',
  }),
  embeddingHosts: list({
    key: 'storage.embedding_hosts',
    env: ['MILLRACE_STORAGE_EMBEDDING_HOSTS'],
    default: [],
    live,
    sentence:
      'Hosts whose pages may show files of public buckets, with all hosts below them: `example.com`. Empty: all may. This server’s own may always.',
  }),
  ...s3Settings,
  cdnPurgeUrl: parsed(
    {
      key: 'storage.cdn.purge_url',
      env: ['CDN_PURGE_ENDPOINT_URL'],
      default: '',
      live,
      sentence: 'Where `POST …/purge` lets a network of caches forget a file. Empty: there is none.',
    },
    'an http or https URL',
    (raw) => (raw === '' || isWebAddress(raw) ? raw : undefined),
  ),
  cdnPurgeKey: text({
    key: 'storage.cdn.purge_key',
    env: ['CDN_PURGE_ENDPOINT_KEY'],
    default: '',
    live,
    secret: true,
    sentence: 'What is sent there as the bearer.',
  }),
  tenantId: text({
    key: 'storage.tenant_id',
    env: ['PROJECT_REF', 'TENANT_ID'],
    default: 'stub',
    live,
    sentence: 'What this project is called there.',
  }),
  ...bucketSettings,
  ...scanSettings,
  ...imageSettings,
  ...blobSettings,
} as const;

export type StorageSettings = ValuesOf<typeof settings>;
