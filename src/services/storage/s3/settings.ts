// In charge of: the settings of the S3 protocol. Its access key stands with the project's other keys.
// Source: supabase/cli apps/cli-go/pkg/config/{storage,config}.go; supabase/storage src/config.ts.
import { flag, text, wholeNumber } from '../../../base/settings.ts';

const live = true;

export const s3Settings = {
  s3Enabled: flag({
    key: 'storage.s3_protocol.enabled',
    env: ['S3_PROTOCOL_ENABLED'],
    default: true,
    live,
    sentence: 'Whether clients of S3 are answered, under /storage/v1/s3.',
  }),
  s3Region: text({
    key: 'storage.s3_protocol.region',
    env: ['S3_PROTOCOL_REGION', 'REGION'],
    default: 'local',
    live,
    sentence: 'The region that the S3 protocol says it is in. `us-east-1` and `auto` are taken beside it.',
  }),
  s3EnforceRegion: flag({
    key: 'storage.s3_protocol.enforce_region',
    env: ['S3_PROTOCOL_ENFORCE_REGION'],
    default: false,
    live,
    sentence: 'Whether a signature for another region than this one is refused.',
  }),
  s3UploadSeconds: wholeNumber({
    key: 'storage.s3_protocol.upload_expiry',
    env: ['MILLRACE_S3_UPLOAD_EXPIRY'],
    default: 7 * 24 * 60 * 60,
    min: 60,
    unit: 'seconds',
    live,
    sentence:
      'A multipart upload that got no part for this long is aborted, and its parts are removed. It is looked for every ten minutes.',
  }),
} as const;
