// In charge of: buckets over S3. Source: supabase/storage src/storage/protocols/s3/s3-handler.ts; src/http/routes/s3/commands/*-bucket*.ts.
import { errorCode } from '../../../base/errors.ts';
import { askCount } from '../ask.ts';
import { checkBucketIsEmpty } from '../bucket-contents.ts';
import { insertBucket, listBuckets as listRows, loadBucket } from '../buckets.ts';
import { asService } from '../context.ts';
import { bucketAlreadyExists, noSuchBucket } from '../errors.ts';
import { checkNewBucketName } from '../names.ts';
import { emptyAnswer, type S3Handle } from './visit.ts';
import { xmlAnswer } from './xml.ts';

export const listBuckets: S3Handle = async ({ storage, asking }) => {
  const buckets = await listRows(storage.db, asking, { sortColumn: 'name' });
  return xmlAnswer('ListAllMyBucketsResult', {
    Buckets: { Bucket: buckets.map(({ name, created_at }) => ({ Name: name, CreationDate: created_at })) },
  });
};

export const createBucket: S3Handle = async ({ storage, asking, bucket, request }) => {
  checkNewBucketName(bucket);
  const isPublic = request.headers['x-amz-acl'] === 'public-read';
  const row = {
    id: bucket,
    name: bucket,
    owner: asking.caller.subject,
    public: isPublic,
    fileSizeLimit: undefined,
    allowedMimeTypes: undefined,
  };
  await insertBucket(storage.db, asking, row).catch((error: unknown) => {
    throw errorCode(error) === '23505' ? bucketAlreadyExists(error) : error;
  });
  return emptyAnswer(200, [['location', `/${encodeURIComponent(bucket)}`]]);
};

export const headBucket: S3Handle = async ({ storage, asking, bucket }) => {
  await loadBucket(storage.db, asking, bucket);
  return emptyAnswer(200, [['x-amz-bucket-region', storage.config.now().s3Region]]);
};

export const deleteBucket: S3Handle = async ({ storage, asking, bucket }) => {
  await loadBucket(storage.db, asService(asking), bucket);
  await checkBucketIsEmpty(storage.db, asService(asking), bucket);
  const text = 'delete from storage.buckets where id = $1';
  // A file that came meanwhile keeps it, by its foreign key.
  if ((await askCount(storage.db, asking, { text, params: [bucket] })) === 0) throw noSuchBucket();
  return emptyAnswer(204);
};

export const getBucketLocation: S3Handle = async ({ storage, asking, bucket }) => {
  await loadBucket(storage.db, asking, bucket);
  return xmlAnswer('LocationConstraint', storage.config.now().s3Region);
};

export const getBucketVersioning: S3Handle = async ({ storage, asking, bucket }) => {
  await loadBucket(storage.db, asking, bucket);
  return xmlAnswer('VersioningConfiguration', { Status: 'Suspended', MfaDelete: 'Disabled' });
};
