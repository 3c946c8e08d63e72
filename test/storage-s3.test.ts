// In charge of: files by Amazon's own SDK for S3 over a real socket, as whoever holds the access key and as users under the project's policies; and
// everything that can be wrong with a signature, with its answer.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketAclCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { chunked, type S3Keys, type S3Request, sha256, signS3, timeText } from './harness/s3-signing.ts';
import { personToken } from './harness/tokens.ts';

const ann = '11111111-1111-4111-8111-111111111111';
const bob = '22222222-2222-4222-8222-222222222222';

const migration = `
insert into storage.buckets (id, name) values ('homes', 'homes');
create policy "everybody sees the bucket" on storage.buckets for select to authenticated using (id = 'homes');
create policy "own folder" on storage.objects for all to authenticated
  using (bucket_id = 'homes' and (storage.foldername(name))[1] = (select auth.uid()::text))
  with check (bucket_id = 'homes' and (storage.foldername(name))[1] = (select auth.uid()::text));
create table public.operations (name text);
grant all on public.operations to authenticated, service_role;
create function public.note_operation() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.operations values (storage.operation());
  return new;
end $$;
create trigger note_operation after insert on storage.objects for each row execute function public.note_operation();`;

const config = '[storage]\nfile_size_limit = "16MiB"\n';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let endpoint: string;
let keys: S3Keys;
let client: S3Client;
let database: pg.Client;

beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': config,
    'supabase/migrations/20260101000000_files.sql': migration,
  });
  backend = await startBackend(project.folder);
  const report = backend.report as unknown as Readonly<Record<string, string>>;
  endpoint = report.STORAGE_S3_URL!;
  keys = {
    accessKeyId: report.S3_PROTOCOL_ACCESS_KEY_ID!,
    secretAccessKey: report.S3_PROTOCOL_ACCESS_KEY_SECRET!,
  };
  client = open(keys);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
});
afterAll(async () => {
  client?.destroy();
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function open(credentials: S3ClientConfig['credentials'] & object, region = 'local'): S3Client {
  return new S3Client({ endpoint, region, forcePathStyle: true, credentials });
}

let count = 0;
async function newBucket(): Promise<string> {
  const Bucket = `bucket-${++count}`;
  await client.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

const put = (Bucket: string, Key: string, Body: string | Buffer = Key) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body }));
const get = async (Bucket: string, Key: string) =>
  (await client.send(new GetObjectCommand({ Bucket, Key }))).Body!.transformToString();
const md5 = (data: string | Buffer) => createHash('md5').update(data).digest('hex');

/** The status and the code that an SDK's command is refused with. */
async function refusal(command: Promise<unknown>) {
  const error = (await command.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )) as { name: string; message: string; $metadata: { httpStatusCode: number } };
  return [error.$metadata.httpStatusCode, error.name];
}

/** How many blobs nobody names any more, once those that are written down have been removed. */
async function blobsOf(bucket: string) {
  const { rows } = await database.query(
    `select (select count(*)::int from storage.objects where bucket_id = $1) as objects,
       (select count(*)::int from storage.s3_multipart_uploads where bucket_id = $1) as uploads,
       (select count(*)::int from storage.s3_multipart_uploads_parts where bucket_id = $1) as parts`,
    [bucket],
  );
  return rows[0];
}

describe('buckets', () => {
  it('are made, found, listed and deleted', async () => {
    const Bucket = await newBucket();
    expect(await refusal(client.send(new CreateBucketCommand({ Bucket })))).toEqual([
      409,
      'BucketAlreadyExists',
    ]);
    const head = await client.send(new HeadBucketCommand({ Bucket }));
    expect(head.BucketRegion).toBe('local');
    const { Buckets } = await client.send(new ListBucketsCommand({}));
    expect(Buckets?.find(({ Name }) => Name === Bucket)?.CreationDate).toBeInstanceOf(Date);
    const { LocationConstraint } = await client.send(new GetBucketLocationCommand({ Bucket }));
    expect(LocationConstraint).toBe('local');
    expect((await client.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBe('Suspended');
    await put(Bucket, 'a');
    expect(await refusal(client.send(new DeleteBucketCommand({ Bucket })))).toEqual([
      409,
      'ResourceNotEmpty',
    ]);
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
    await client.send(new DeleteBucketCommand({ Bucket }));
    expect((await refusal(client.send(new HeadBucketCommand({ Bucket }))))[0]).toBe(404);
    expect(await refusal(client.send(new ListObjectsV2Command({ Bucket })))).toEqual([404, 'NoSuchBucket']);
  });

  it('have no other sides, and an object’s tags do not take the place of its bytes', async () => {
    const Bucket = await newBucket();
    await put(Bucket, 'a', 'the bytes');
    expect(await refusal(client.send(new GetBucketAclCommand({ Bucket })))).toEqual([501, 'NotImplemented']);
    const tags = new PutObjectTaggingCommand({
      Bucket,
      Key: 'a',
      Tagging: { TagSet: [{ Key: 'k', Value: 'v' }] },
    });
    expect(await refusal(client.send(tags))).toEqual([501, 'NotImplemented']);
    expect(await get(Bucket, 'a')).toBe('the bytes');
    expect((await client.send(new GetObjectTaggingCommand({ Bucket, Key: 'a' }))).TagSet ?? []).toEqual([]);
  });
});

describe('objects', () => {
  it('keep their bytes, type, cache control and metadata', async () => {
    const Bucket = await newBucket();
    const stored = await client.send(
      new PutObjectCommand({
        Bucket,
        Key: 'folder/page.html',
        Body: '<p>hello</p>',
        ContentType: 'text/html',
        CacheControl: 'max-age=60',
        Metadata: { Colour: 'blue' },
      }),
    );
    expect(stored.ETag).toBe(`"${md5('<p>hello</p>')}"`);
    const read = await client.send(new GetObjectCommand({ Bucket, Key: 'folder/page.html' }));
    expect(await read.Body!.transformToString()).toBe('<p>hello</p>');
    expect(read).toMatchObject({
      ContentType: 'text/html',
      CacheControl: 'max-age=60',
      ContentLength: 12,
      ETag: stored.ETag,
      Metadata: { colour: 'blue' },
    });
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'folder/page.html' }));
    expect(head).toMatchObject({ ContentType: 'text/html', ContentLength: 12, ETag: stored.ETag });
    expect(head.Metadata).toEqual({ colour: 'blue' });
    const { rows } = await database.query('select distinct name from public.operations');
    expect(rows).toContainEqual({ name: 'storage.s3.upload' });
  });

  it('come as streams of unknown chunks with a checksum behind them', async () => {
    const Bucket = await newBucket();
    const bytes = Buffer.alloc(3_000_000, 'abc');
    const pieces = Array.from({ length: 30 }, (_, at) => bytes.subarray(at * 100_000, (at + 1) * 100_000));
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
      const Body = Readable.from(pieces);
      const command = new PutObjectCommand({
        Bucket,
        Key: 's',
        Body,
        ContentLength: bytes.length,
        ChecksumAlgorithm,
      });
      expect((await client.send(command)).ETag).toBe(`"${md5(bytes)}"`);
    }
  });

  it('are read in part, under conditions, and with other headers', async () => {
    const Bucket = await newBucket();
    const { ETag } = await put(Bucket, 'a', '0123456789');
    const part = await client.send(new GetObjectCommand({ Bucket, Key: 'a', Range: 'bytes=2-4' }));
    expect([part.ContentRange, await part.Body!.transformToString()]).toEqual(['bytes 2-4/10', '234']);
    const refused = (more: object) =>
      refusal(client.send(new GetObjectCommand({ Bucket, Key: 'a', ...more })));
    expect((await refused({ IfNoneMatch: ETag }))[0]).toBe(304);
    expect(await refused({ IfMatch: '"other"' })).toEqual([412, 'PreconditionFailed']);
    expect(await refused({ IfUnmodifiedSince: new Date(0) })).toEqual([412, 'PreconditionFailed']);
    expect(await refused({ Range: 'bytes=10-' })).toEqual([416, 'InvalidRange']);
    expect(await refused({ Key: 'b' })).toEqual([404, 'NoSuchKey']);
    const named = await client.send(
      new GetObjectCommand({ Bucket, Key: 'a', ResponseContentDisposition: 'attachment; filename="x"' }),
    );
    expect(named.ContentDisposition).toBe('attachment; filename="x"');
    await named.Body!.transformToString();
  });

  it('are written once where somebody asks for that', async () => {
    const Bucket = await newBucket();
    const once = () => client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', IfNoneMatch: '*' }));
    await once();
    expect(await refusal(once())).toEqual([412, 'PreconditionFailed']);
  });

  it('are copied, with their metadata or with other', async () => {
    const Bucket = await newBucket();
    const Key = "with space & ü's".replace('ü', 'u');
    const { ETag } = await client.send(
      new PutObjectCommand({ Bucket, Key, Body: 'x', ContentType: 'text/plain', Metadata: { a: '1' } }),
    );
    const CopySource = encodeURI(`${Bucket}/${Key}`);
    const copied = await client.send(new CopyObjectCommand({ Bucket, Key: 'b', CopySource }));
    expect(copied.CopyObjectResult?.ETag).toBe(ETag);
    const replaced = { MetadataDirective: 'REPLACE', ContentType: 'text/css', Metadata: { b: '2' } } as const;
    await client.send(new CopyObjectCommand({ Bucket, Key: 'c', CopySource, ...replaced }));
    const headOf = (name: string) => client.send(new HeadObjectCommand({ Bucket, Key: name }));
    expect(await headOf('b')).toMatchObject({ ContentType: 'text/plain', Metadata: { a: '1' } });
    expect(await headOf('c')).toMatchObject({ ContentType: 'text/css', Metadata: { b: '2' } });
    // What is not said anew is gone. Source: supabase/storage src/test/s3-protocol.test.ts, "will not preserve omitted metadata when replacing it".
    const bare = { MetadataDirective: 'REPLACE' } as const;
    await client.send(new CopyObjectCommand({ Bucket, Key: 'bare', CopySource: `${Bucket}/c`, ...bare }));
    const seen = await headOf('bare');
    expect(seen).toMatchObject({ ContentType: 'binary/octet-stream', Metadata: {} });
    expect(seen.CacheControl).toBeUndefined();
    const refused = (more: object) =>
      refusal(client.send(new CopyObjectCommand({ Bucket, Key: 'd', CopySource, ...more })));
    expect(await refused({ CopySourceIfMatch: '"other"' })).toEqual([412, 'PreconditionFailed']);
    expect(await refused({ CopySourceIfNoneMatch: ETag })).toEqual([412, 'PreconditionFailed']);
    expect(await refused({ CopySource: `${Bucket}/nothing` })).toEqual([404, 'NoSuchKey']);
  });

  it('are deleted one by one and together; what is not there is no mistake', async () => {
    const Bucket = await newBucket();
    for (const key of ['a', 'b<&>c'.replace(/[<>]/g, ''), 'd']) await put(Bucket, key);
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'never' }));
    const Objects = ['a', 'b&c', 'never'].map((Key) => ({ Key }));
    const { Deleted, Errors } = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(Deleted?.map(({ Key }) => Key)).toEqual(['a', 'b&c', 'never']);
    expect(Errors).toBeUndefined();
    const quiet = { Objects: [{ Key: 'd' }], Quiet: true };
    expect((await client.send(new DeleteObjectsCommand({ Bucket, Delete: quiet }))).Deleted).toBeUndefined();
    expect(await blobsOf(Bucket)).toMatchObject({ objects: 0 });
    const gone = new DeleteObjectCommand({ Bucket: 'no-such', Key: 'a' });
    expect(await refusal(client.send(gone))).toEqual([404, 'NoSuchBucket']);
  });

  it.each([
    ['a/../b', 400],
    ['x'.repeat(1025), 400],
    ['not\u200bhere', 400],
    ['back\\slash', 400],
  ])('are not called %j', async (Key, status) => {
    const answer = await refusal(client.send(new PutObjectCommand({ Bucket: 'homes', Key, Body: 'x' })));
    // A step up is taken on the way, before the signature is looked at.
    expect([
      [status, 'InvalidKey'],
      [403, 'SignatureDoesNotMatch'],
    ]).toContainEqual(answer);
  });

  it('are no larger than their bucket lets them be', async () => {
    const Bucket = await newBucket();
    await database.query(
      `update storage.buckets set file_size_limit = 10, allowed_mime_types = '{text/*}' where id = $1`,
      [Bucket],
    );
    const send = (Body: string | Readable, more: object) =>
      client.send(new PutObjectCommand({ Bucket, Key: 'a', Body, ...more }));
    expect(await refusal(send('01234567890', { ContentType: 'text/plain' }))).toEqual([
      413,
      'EntityTooLarge',
    ]);
    expect(await refusal(send('0', { ContentType: 'image/png' }))).toEqual([415, 'InvalidMimeType']);
    await send('0123456789', { ContentType: 'text/plain' });
  });
});

describe('lists', () => {
  const names = ['a/1', 'a/2', 'b', 'c/d/1', 'c/d/2', 'e f', 'g'];
  let Bucket: string;
  beforeAll(async () => {
    Bucket = await newBucket();
    for (const name of names) await put(Bucket, name);
  });

  /** All pages: each with its keys and its prefixes. */
  async function pages(more: object) {
    const found: (readonly (string | undefined)[])[] = [];
    for (
      let ContinuationToken: string | undefined, isFirst = true;
      isFirst || ContinuationToken;
      isFirst = false
    ) {
      const page = await client.send(new ListObjectsV2Command({ Bucket, ContinuationToken, ...more }));
      const keysOf = (page.Contents ?? []).map(({ Key }) => Key);
      const prefixes = (page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix);
      expect(page.KeyCount).toBe(keysOf.length + prefixes.length);
      found.push([...keysOf, ...prefixes]);
      ContinuationToken = page.NextContinuationToken;
    }
    return found;
  }

  it('V2: everything, by prefix, behind a name, by folder, by another delimiter, page by page', async () => {
    expect(await pages({})).toEqual([names]);
    expect(await pages({ MaxKeys: 3 })).toEqual([names.slice(0, 3), names.slice(3, 6), names.slice(6)]);
    expect(await pages({ Prefix: 'c/' })).toEqual([['c/d/1', 'c/d/2']]);
    expect(await pages({ StartAfter: 'c/d/1' })).toEqual([['c/d/2', 'e f', 'g']]);
    expect(await pages({ Delimiter: '/' })).toEqual([['b', 'e f', 'g', 'a/', 'c/']]);
    expect(await pages({ Delimiter: '/', MaxKeys: 1 })).toEqual([['a/'], ['b'], ['c/'], ['e f'], ['g']]);
    expect(await pages({ Delimiter: '/', Prefix: 'c/' })).toEqual([['c/d/']]);
    expect(await pages({ Delimiter: ' ', Prefix: 'e' })).toEqual([['e ']]);
  });

  it('V1: by marker', async () => {
    const found: (string | undefined)[] = [];
    for (let Marker: string | undefined, isTruncated: boolean | undefined = true; isTruncated; ) {
      const page = await client.send(new ListObjectsCommand({ Bucket, Marker, MaxKeys: 2, Delimiter: '/' }));
      found.push(
        ...[
          ...(page.Contents ?? []).map(({ Key }) => Key),
          ...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix),
        ].sort(),
      );
      isTruncated = page.IsTruncated;
      Marker = page.NextMarker;
    }
    expect(found).toEqual(['a/', 'b', 'c/', 'e f', 'g']);
  });

  it('escape names where a client asks for that', async () => {
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'e', EncodingType: 'url' }));
    expect([page.EncodingType, page.Contents?.map(({ Key }) => Key)]).toEqual(['url', ['e%20f']]);
  });

  it.each([
    ['list-type=2&max-keys=many', 400, 'InvalidRequest'],
    ['list-type=2&max-keys=-1', 400, 'InvalidRequest'],
    ['list-type=2&encoding-type=xml', 400, 'InvalidRequest'],
    ['list-type=2&continuation-token=eA', 400, 'InvalidParameter'],
  ])('refuse %s', async (query, status, code) => {
    expect(await send({ url: `${endpoint}/${Bucket}?${query}` })).toMatchObject({ status, code });
  });
});

describe('uploads in parts', () => {
  const partOf = (size: number, fill: string) => Buffer.alloc(size, fill);

  it('are put together in their order, and say so in their ETag', async () => {
    const Bucket = await newBucket();
    const Key = 'big';
    const begun = await client.send(
      new CreateMultipartUploadCommand({ Bucket, Key, ContentType: 'text/plain', Metadata: { a: '1' } }),
    );
    const place = { Bucket, Key, UploadId: begun.UploadId };
    const bytes = [partOf(5 * 1024 * 1024, 'a'), partOf(1000, 'b')];
    // The second first, and one part twice: the later one counts.
    const second = await client.send(new UploadPartCommand({ ...place, PartNumber: 2, Body: bytes[1]! }));
    await client.send(new UploadPartCommand({ ...place, PartNumber: 1, Body: 'a mistake' }));
    const first = await client.send(new UploadPartCommand({ ...place, PartNumber: 1, Body: bytes[0]! }));
    expect(await blobsOf(Bucket)).toEqual({ objects: 0, uploads: 1, parts: 2 });
    const { Parts } = await client.send(new ListPartsCommand(place));
    expect(Parts?.map(({ PartNumber, ETag, Size }) => [PartNumber, ETag, Size])).toEqual([
      [1, first.ETag, bytes[0]!.length],
      [2, second.ETag, bytes[1]!.length],
    ]);
    const completed = await client.send(
      new CompleteMultipartUploadCommand({
        ...place,
        MultipartUpload: {
          Parts: [
            { PartNumber: 1, ETag: first.ETag },
            { PartNumber: 2, ETag: second.ETag },
          ],
        },
      }),
    );
    const digests = Buffer.concat(bytes.map((part) => createHash('md5').update(part).digest()));
    expect(completed.ETag).toBe(`"${md5(digests)}-2"`);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    expect(head).toMatchObject({
      ContentLength: 5 * 1024 * 1024 + 1000,
      ContentType: 'text/plain',
      Metadata: { a: '1' },
    });
    expect(md5(await get(Bucket, Key))).toBe(md5(Buffer.concat(bytes)));
    expect(await blobsOf(Bucket)).toEqual({ objects: 1, uploads: 0, parts: 0 });
    // The parts’ bytes are removed: what is left is what some object names.
    await expect
      .poll(async () => (await database.query('select from _millrace.blob_garbage')).rowCount)
      .toBe(0);
    expect((await refusal(client.send(new ListPartsCommand(place))))[1]).toBe('NoSuchUpload');
  });

  it('take parts of objects that are there', async () => {
    const Bucket = await newBucket();
    await put(Bucket, 'source', '0123456789');
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'copy' }));
    const place = { Bucket, Key: 'copy', UploadId, CopySource: `${Bucket}/source` };
    const copy = (PartNumber: number, CopySourceRange?: string) =>
      client.send(new UploadPartCopyCommand({ ...place, PartNumber, CopySourceRange }));
    const parts = [await copy(1, 'bytes=7-9'), await copy(2)];
    expect(await refusal(copy(3, 'bytes=5-10'))).toEqual([400, 'InvalidRange']);
    expect(await refusal(copy(3, 'bytes=-2'))).toEqual([400, 'InvalidRange']);
    const Parts = parts.map(({ CopyPartResult }, at) => ({ PartNumber: at + 1, ETag: CopyPartResult?.ETag }));
    await client.send(
      new CompleteMultipartUploadCommand({ Bucket, Key: 'copy', UploadId, MultipartUpload: { Parts } }),
    );
    expect(await get(Bucket, 'copy')).toBe('7890123456789');
  });

  it('are refused where something does not fit, and go on', async () => {
    const Bucket = await newBucket();
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'a' }));
    const place = { Bucket, Key: 'a', UploadId };
    const upload = (PartNumber: number, Body: string | Buffer, more = {}) =>
      client.send(new UploadPartCommand({ ...place, PartNumber, Body, ...more }));
    const complete = (...Parts: readonly (readonly [number, string | undefined])[]) =>
      client.send(
        new CompleteMultipartUploadCommand({
          ...place,
          MultipartUpload: { Parts: Parts.map(([PartNumber, ETag]) => ({ PartNumber, ETag })) },
        }),
      );
    const one = await upload(1, 'one');
    const two = await upload(2, 'two');
    expect(await refusal(upload(0, 'x'))).toEqual([400, 'InvalidRequest']);
    expect(await refusal(upload(10_001, 'x'))).toEqual([400, 'InvalidRequest']);
    expect(await refusal(upload(3, 'x', { UploadId: 'other' }))).toEqual([404, 'NoSuchUpload']);
    // An upload's id opens its own place alone.
    expect(await refusal(upload(3, 'x', { Key: 'b' }))).toEqual([404, 'NoSuchUpload']);
    expect(await refusal(upload(3, Buffer.alloc(16 * 1024 * 1024)))).toEqual([413, 'EntityTooLarge']);
    expect(await refusal(complete([1, '"other"']))).toEqual([400, 'InvalidPart']);
    expect(await refusal(complete([3, one.ETag]))).toEqual([400, 'InvalidPart']);
    expect(await refusal(complete([2, two.ETag], [1, one.ETag]))).toEqual([400, 'InvalidPartOrder']);
    await complete([2, two.ETag]);
    expect(await get(Bucket, 'a')).toBe('two');
    expect(await refusal(complete([2, two.ETag]))).toEqual([404, 'NoSuchUpload']);
  });

  it('are listed, and aborted: nothing of them is left', async () => {
    const Bucket = await newBucket();
    const begin = async (Key: string) =>
      (await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))).UploadId!;
    const ids = { 'a/1': await begin('a/1'), 'a/2': await begin('a/2'), b: await begin('b') };
    const list = (more: object) => client.send(new ListMultipartUploadsCommand({ Bucket, ...more }));
    expect((await list({})).Uploads?.map(({ Key }) => Key)).toEqual(['a/1', 'a/2', 'b']);
    const folder = await list({ Delimiter: '/', MaxUploads: 1 });
    expect([folder.CommonPrefixes?.map(({ Prefix }) => Prefix), folder.IsTruncated]).toEqual([['a/'], true]);
    const next = await list({ Delimiter: '/', KeyMarker: folder.NextKeyMarker });
    expect([next.CommonPrefixes, next.Uploads?.map(({ Key }) => Key)]).toEqual([undefined, ['b']]);
    await client.send(new UploadPartCommand({ Bucket, Key: 'b', UploadId: ids.b, PartNumber: 1, Body: 'x' }));
    expect(await refusal(client.send(new DeleteBucketCommand({ Bucket })))).toEqual([
      409,
      'ResourceReferenced',
    ]);
    for (const [Key, UploadId] of Object.entries(ids))
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    expect(await blobsOf(Bucket)).toEqual({ objects: 0, uploads: 0, parts: 0 });
    await client.send(new DeleteBucketCommand({ Bucket }));
  });
});

describe('a user’s session', () => {
  const sessionOf = async (user: string, secretAccessKey = backend.report.ANON_KEY) =>
    open({ accessKeyId: 'local', secretAccessKey, sessionToken: await personToken(user) });

  it('sees and does what the policies let that user do', async () => {
    const hers = await sessionOf(ann);
    const his = await sessionOf(bob, backend.report.PUBLISHABLE_KEY);
    const Bucket = 'homes';
    const Key = `${ann}/letter`;
    await hers.send(new PutObjectCommand({ Bucket, Key, Body: 'dear Bob' }));
    await his.send(new PutObjectCommand({ Bucket, Key: `${bob}/own`, Body: 'x' }));
    const { rows } = await database.query('select owner_id from storage.objects where name = $1', [Key]);
    expect(rows).toEqual([{ owner_id: ann }]);

    const keysOf = async (who: S3Client) =>
      (await who.send(new ListObjectsV2Command({ Bucket }))).Contents?.map((object) => object.Key);
    expect(await keysOf(hers)).toEqual([Key]);
    expect(await keysOf(his)).toEqual([`${bob}/own`]);
    expect((await his.send(new ListBucketsCommand({}))).Buckets?.map(({ Name }) => Name)).toEqual(['homes']);
    expect(await refusal(his.send(new GetObjectCommand({ Bucket, Key })))).toEqual([404, 'NoSuchKey']);
    expect((await refusal(his.send(new HeadObjectCommand({ Bucket, Key }))))[0]).toBe(404);
    expect(await refusal(his.send(new PutObjectCommand({ Bucket, Key, Body: 'x' })))).toEqual([
      403,
      'AccessDenied',
    ]);
    expect(await refusal(his.send(new DeleteObjectCommand({ Bucket, Key })))).toEqual([403, 'AccessDenied']);
    const copy = new CopyObjectCommand({ Bucket, Key: `${bob}/stolen`, CopySource: `${Bucket}/${Key}` });
    expect(await refusal(his.send(copy))).toEqual([404, 'NoSuchKey']);
    const begin = new CreateMultipartUploadCommand({ Bucket, Key });
    expect(await refusal(his.send(begin))).toEqual([403, 'AccessDenied']);
    const both = { Objects: [{ Key }, { Key: `${bob}/own` }] };
    const result = await his.send(new DeleteObjectsCommand({ Bucket, Delete: both }));
    expect([result.Deleted, result.Errors]).toEqual([
      [{ Key: `${bob}/own` }],
      [{ Key, Code: 'AccessDenied', Message: 'Access Denied' }],
    ]);
    expect(await refusal(his.send(new CreateBucketCommand({ Bucket: 'his' })))).toEqual([
      403,
      'AccessDenied',
    ]);

    // An upload that she has begun takes nothing of his, whatever he knows of it.
    const { UploadId } = await hers.send(begin);
    const part = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'x' });
    expect(await refusal(his.send(part))).toEqual([403, 'AccessDenied']);
    await hers.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    expect(await (await hers.send(new GetObjectCommand({ Bucket, Key }))).Body!.transformToString()).toBe(
      'dear Bob',
    );
    hers.destroy();
    his.destroy();
  });

  it('is what its token says: one that is none, expired, or somebody else’s is refused', async () => {
    const list = (secretAccessKey: string, sessionToken: string) => {
      const who = open({ accessKeyId: 'local', secretAccessKey, sessionToken });
      return refusal(who.send(new ListBucketsCommand({})));
    };
    const anon = backend.report.ANON_KEY;
    expect(await list(anon, 'nothing')).toEqual([400, 'InvalidJWT']);
    expect(await list(anon, await personToken(ann, { expiresInSeconds: -60 }))).toEqual([400, 'InvalidJWT']);
    const forged = await personToken(ann, { secret: 'somebody-elses-secret-of-32-characters' });
    expect(await list(anon, forged)).toEqual([400, 'InvalidJWT']);
    expect(await list(anon, backend.report.SECRET_KEY)).toEqual([400, 'InvalidJWT']);
    expect(await list(keys.secretAccessKey, await personToken(ann))).toEqual([403, 'SignatureDoesNotMatch']);
  });
});

describe('presigned', () => {
  it('URLs read and write without a key, until they end', async () => {
    const Bucket = await newBucket();
    const upload = new PutObjectCommand({
      Bucket,
      Key: 'a b',
      ContentType: 'text/plain',
      Metadata: { a: '1' },
    });
    const written = await fetch(await getSignedUrl(client, upload, { expiresIn: 60 }), {
      method: 'PUT',
      body: 'hello',
      headers: { 'content-type': 'text/plain' },
    });
    expect(written.status).toBe(200);
    expect((await client.send(new HeadObjectCommand({ Bucket, Key: 'a b' }))).Metadata).toEqual({ a: '1' });
    const command = new GetObjectCommand({ Bucket, Key: 'a b', ResponseContentType: 'text/css' });
    const url = await getSignedUrl(client, command, { expiresIn: 60 });
    const read = await fetch(url, { headers: { authorization: `Bearer ${backend.report.ANON_KEY}` } });
    expect([read.status, read.headers.get('content-type'), await read.text()]).toEqual([
      200,
      'text/css',
      'hello',
    ]);
    // Another method, object or header of the answer is another request.
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(403);
    expect((await fetch(url.replace('a%20b', 'other'))).status).toBe(403);
    expect((await fetch(url.replace('text%2Fcss', 'text%2Fhtml'))).status).toBe(403);
    const signingDate = new Date(Date.now() - 61_000);
    const over = await fetch(await getSignedUrl(client, command, { expiresIn: 60, signingDate }));
    expect([over.status, /<Code>(.*)<\/Code>/.exec(await over.text())?.[1]]).toEqual([400, 'ExpiredToken']);
  });

  it('PUT: whoever holds the URL does not make a copy of something else with it', async () => {
    const Bucket = await newBucket();
    await put(Bucket, 'secret', 'secret');
    const url = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: 'mine' }), { expiresIn: 60 });
    const answer = await fetch(url, { method: 'PUT', headers: { 'x-amz-copy-source': `${Bucket}/secret` } });
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('AccessDenied')]);
    expect(await blobsOf(Bucket)).toMatchObject({ objects: 1 });
  });
});

describe('a signed form', () => {
  const day = timeText(new Date()).slice(0, 8);
  const credential = () => `${keys.accessKeyId}/${day}/us-east-1/s3/aws4_request`;

  async function post(
    Bucket: string,
    fields: Readonly<Record<string, string>>,
    {
      conditions,
      expiration,
      file = 'hello',
    }: { conditions: readonly unknown[]; expiration?: string; file?: string },
  ) {
    const policy = Buffer.from(
      JSON.stringify({ expiration: expiration ?? new Date(Date.now() + 60_000).toISOString(), conditions }),
    ).toString('base64');
    const { createHmac } = await import('node:crypto');
    const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
    const key = [day, 'us-east-1', 's3', 'aws4_request'].reduce<string | Buffer>(
      hmac,
      `AWS4${keys.secretAccessKey}`,
    );
    const form = new FormData();
    const signed = {
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': credential(),
      'X-Amz-Date': `${day}T000000Z`,
      Policy: policy,
      'X-Amz-Signature': hmac(key, policy).toString('hex'),
      ...fields,
    };
    for (const [name, value] of Object.entries(signed)) form.set(name, value);
    form.set('file', new Blob([file]), 'report.txt');
    const answer = await fetch(`${endpoint}/${Bucket}`, { method: 'POST', body: form });
    const text = await answer.text();
    return { status: answer.status, code: /<Code>(.*)<\/Code>/.exec(text)?.[1], text };
  }

  it('stores what its policy lets through', async () => {
    const Bucket = await newBucket();
    const conditions = [
      { bucket: Bucket },
      ['starts-with', '$key', 'in/'],
      ['eq', '$Content-Type', 'text/plain'],
      ['content-length-range', 2, 5],
      { success_action_status: '201' },
    ];
    const fields = { key: `in/\${filename}`, 'Content-Type': 'text/plain', success_action_status: '201' };
    expect(await post(Bucket, fields, { conditions })).toMatchObject({
      status: 201,
      text: expect.stringContaining('<Key>in/report.txt</Key>'),
    });
    expect(await get(Bucket, 'in/report.txt')).toBe('hello');
    const refused = async (changed: object, more: object = {}) => {
      const { status, code } = await post(Bucket, { ...fields, ...changed }, { conditions, ...more });
      return [status, code];
    };
    expect(await refused({ key: 'out/x' })).toEqual([403, 'AccessDenied']);
    expect(await refused({ 'Content-Type': 'text/html' })).toEqual([403, 'AccessDenied']);
    expect(await refused({ 'x-amz-meta-a': '1' })).toEqual([403, 'AccessDenied']);
    expect(await refused({ KEY: 'in/x' })).toEqual([400, 'InvalidSignature']);
    expect(await refused({ key: 'in/../x' })).toEqual([400, 'InvalidKey']);
    expect(await refused({}, { file: 'x' })).toEqual([400, 'EntityTooSmall']);
    expect(await refused({}, { file: '123456' })).toEqual([413, 'EntityTooLarge']);
    expect(await refused({}, { expiration: new Date(0).toISOString() })).toEqual([400, 'ExpiredToken']);
    expect(await refused({}, { expiration: 'never' })).toEqual([400, 'InvalidSignature']);
    expect(await refused({ Policy: 'e30=' })).toEqual([403, 'SignatureDoesNotMatch']);
    expect(await refused({ 'X-Amz-Signature': 'x' })).toEqual([400, 'InvalidSignature']);
    expect(await blobsOf(Bucket)).toMatchObject({ objects: 1 });
  });
});

/** Sends a request with a signature of its own making. */
async function send(
  request: S3Request,
  {
    with: own = keys,
    change = (headers) => headers,
    body,
  }: {
    with?: S3Keys;
    change?: (headers: Record<string, string>) => Record<string, string>;
    body?: Buffer | string;
  } = {},
) {
  const { headers } = signS3(own, request);
  const answer = await fetch(request.url, {
    method: request.method ?? 'GET',
    headers: change({ ...headers }),
    ...(body !== undefined && { body }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    code: /<Code>(.*)<\/Code>/.exec(text)?.[1],
    type: answer.headers.get('content-type'),
    text,
  };
}

describe('a signature that is wrong', () => {
  type Headers = Record<string, string>;
  const authorization = (edit: (text: string) => string) => (headers: Headers) => ({
    ...headers,
    authorization: edit(headers.authorization!),
  });
  const old = () => timeText(new Date(Date.now() - 16 * 60_000));
  const early = () => timeText(new Date(Date.now() + 16 * 60_000));
  const list =
    (more: object = {}) =>
    () => ({ url: `${endpoint}/`, ...more });

  const cases: readonly (readonly [
    string,
    () => S3Request,
    ((headers: Headers) => Headers) | S3Keys,
    number,
    string,
  ])[] = [
    ['none at all', list(), ({ authorization: _, ...rest }) => rest, 403, 'AccessDenied'],
    ['a token in its place', list(), authorization(() => 'Bearer nothing'), 403, 'AccessDenied'],
    [
      'another algorithm',
      list(),
      authorization((text) => text.replace('SHA256', 'SHA1')),
      403,
      'AccessDenied',
    ],
    ['nothing behind the algorithm', list(), authorization(() => 'AWS4-HMAC-SHA256 '), 403, 'AccessDenied'],
    ['parts without values', list(), authorization(() => 'AWS4-HMAC-SHA256 x'), 400, 'InvalidSignature'],
    [
      'no credential',
      list(),
      authorization((text) => text.replace('Credential=', 'C=')),
      400,
      'InvalidSignature',
    ],
    [
      'no signed headers',
      list(),
      authorization((text) => text.replace('SignedHeaders=', 'S=')),
      400,
      'InvalidSignature',
    ],
    [
      'no signature',
      list(),
      authorization((text) => text.replace('Signature=', 'X=')),
      400,
      'InvalidSignature',
    ],
    ['a signature that is none', list(), authorization((text) => text.slice(0, -1)), 400, 'InvalidSignature'],
    [
      'another signature',
      list(),
      authorization((text) => text.replace(/.{64}$/, '0'.repeat(64))),
      403,
      'SignatureDoesNotMatch',
    ],
    [
      'a scope of four parts',
      list(),
      authorization((text) => text.replace('/s3/', '/')),
      400,
      'InvalidSignature',
    ],
    [
      'a scope that ends otherwise',
      list(),
      authorization((text) => text.replace('aws4_request', 'aws5')),
      400,
      'InvalidSignature',
    ],
    ['another service', list({ service: 'ec2' }), (headers) => headers, 403, 'AccessDenied'],
    ['another region', list({ region: 'mars-1' }), (headers) => headers, 403, 'AccessDenied'],
    ['another day', list({ day: '20200101' }), (headers) => headers, 400, 'InvalidSignature'],
    ['no time', list(), ({ 'x-amz-date': _, ...rest }) => rest, 400, 'InvalidSignature'],
    [
      'a time that is none',
      list({ time: '20261301T000000Z' }),
      (headers) => headers,
      400,
      'InvalidSignature',
    ],
    [
      'an old time',
      () => ({ url: `${endpoint}/`, time: old() }),
      (headers) => headers,
      403,
      'RequestTimeTooSkewed',
    ],
    [
      'a time to come',
      () => ({ url: `${endpoint}/`, time: early() }),
      (headers) => headers,
      403,
      'RequestTimeTooSkewed',
    ],
    [
      'the host not signed',
      list(),
      authorization((text) => text.replace('=host;', '=')),
      400,
      'InvalidSignature',
    ],
    [
      'headers in capitals',
      list(),
      authorization((text) => text.replace('=host;', '=host;Range;')),
      400,
      'InvalidSignature',
    ],
    [
      'a header of Amazon’s not signed',
      list(),
      (headers) => ({ ...headers, 'x-amz-acl': 'public-read' }),
      403,
      'AccessDenied',
    ],
    [
      'a changed header',
      list({ headers: { range: 'bytes=0-1' } }),
      (headers) => ({ ...headers, range: 'bytes=0-2' }),
      403,
      'SignatureDoesNotMatch',
    ],
    [
      'another hash of the body',
      list(),
      (headers) => ({ ...headers, 'x-amz-content-sha256': sha256('') }),
      403,
      'SignatureDoesNotMatch',
    ],
    ['an unknown key', list(), { accessKeyId: 'nobody', secretAccessKey: 'x' }, 403, 'AccessDenied'],
    [
      'an escape that is none',
      () => ({ url: `${endpoint}/?x=%ZZ` }),
      (headers) => headers,
      400,
      'InvalidRequest',
    ],
    ['a method that is none', list({ method: 'PATCH' }), (headers) => headers, 405, 'MethodNotAllowed'],
  ];

  it.each(cases)('%s', async (_what, request, how, status, code) => {
    const options = typeof how === 'function' ? { change: how } : { with: how };
    const answer = await send(request(), options);
    expect(answer).toMatchObject({ status, code, type: 'application/xml; charset=utf-8' });
    expect(answer.text).toMatch(
      /^<\?xml[^>]*\?><Error><Resource\/><Code>\w+<\/Code><Message>[^<]+<\/Message><\/Error>$/,
    );
  });

  it('with another secret', async () => {
    const other = { ...keys, secretAccessKey: 'another' };
    expect(await send({ url: `${endpoint}/` }, { with: other })).toMatchObject({
      code: 'SignatureDoesNotMatch',
    });
  });

  it('does not say more on HEAD than its status', async () => {
    const { status, text } = await send(
      { url: `${endpoint}/homes`, method: 'HEAD' },
      { with: { ...keys, secretAccessKey: 'x' } },
    );
    expect([status, text]).toEqual([403, '']);
  });

  it.each([
    ['no end', '', 'InvalidSignature'],
    ['an end that is none', 'X-Amz-Expires=soon', 'InvalidSignature'],
    ['an end in more than a week', 'X-Amz-Expires=604801', 'InvalidSignature'],
    ['no algorithm', 'X-Amz-Expires=60&X-Amz-Algorithm=', 'InvalidSignature'],
  ])('of a URL: %s', async (_what, more, code) => {
    const time = timeText(new Date());
    const query = new URLSearchParams({
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': `${keys.accessKeyId}/${time.slice(0, 8)}/us-east-1/s3/aws4_request`,
      'X-Amz-Date': time,
      'X-Amz-SignedHeaders': 'host',
      'X-Amz-Signature': '0'.repeat(64),
    });
    for (const [name, value] of new URLSearchParams(more)) query.set(name, value);
    const answer = await fetch(`${endpoint}/?${query}`);
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(`<Code>${code}<`)]);
  });
});

describe('a body that is not what was signed', () => {
  const signedChunks = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
  const pieces = [Buffer.alloc(70_000, 'a'), Buffer.alloc(30, 'b')];
  const whole = Buffer.concat(pieces);
  const crc = 'Zm9v';

  interface Sent {
    readonly payload: string;
    readonly headers?: Record<string, string>;
    readonly body: (signed: ReturnType<typeof signS3>) => Buffer;
    /** Undefined: it is taken. */
    readonly refused?: readonly [number, string];
  }

  const decoded = { 'x-amz-decoded-content-length': String(whole.length) };
  const trailing = { ...decoded, 'x-amz-trailer': 'x-amz-checksum-sha256' };
  const sum = createHash('sha256').update(whole).digest('base64');
  const unsigned = (tail: string) => () =>
    Buffer.concat([
      ...pieces.flatMap((piece) => [
        Buffer.from(`${piece.length.toString(16)}\r\n`),
        piece,
        Buffer.from('\r\n'),
      ]),
      Buffer.from(`0\r\n${tail}`),
    ]);
  const withTrailer =
    (text: string, sign = text) =>
    (signed: ReturnType<typeof signS3>) => {
      const { body, last } = chunked(signed, pieces);
      const signature = signed.trailer(last, `${sign}\n`);
      return Buffer.concat([body, Buffer.from(`${text}\r\nx-amz-trailer-signature:${signature}\r\n\r\n`)]);
    };
  const flipped =
    (at: number, edit: (body: Buffer) => Buffer = (body) => body) =>
    (signed: ReturnType<typeof signS3>) => {
      const { body } = chunked(signed, pieces);
      body[at]! ^= 1;
      return edit(Buffer.concat([body, Buffer.from('\r\n')]));
    };
  const right = (signed: ReturnType<typeof signS3>) =>
    Buffer.concat([chunked(signed, pieces).body, Buffer.from('\r\n')]);

  const cases: Readonly<Record<string, Sent>> = {
    'the right hash': { payload: sha256(whole), body: () => whole },
    'another hash': {
      payload: sha256('other'),
      body: () => whole,
      refused: [400, 'XAmzContentSHA256Mismatch'],
    },
    'a hash that is none': { payload: 'nothing', body: () => whole, refused: [400, 'InvalidRequest'] },
    'another MD5': {
      payload: sha256(whole),
      headers: { 'content-md5': createHash('md5').update('x').digest('base64') },
      body: () => whole,
      refused: [400, 'BadDigest'],
    },
    'an MD5 that is none': {
      payload: sha256(whole),
      headers: { 'content-md5': 'x' },
      body: () => whole,
      refused: [400, 'InvalidDigest'],
    },
    'another checksum': {
      payload: sha256(whole),
      headers: { 'x-amz-checksum-crc32': crc },
      body: () => whole,
      refused: [400, 'BadDigest'],
    },
    'signed chunks': { payload: signedChunks, headers: decoded, body: right },
    'a changed chunk': {
      payload: signedChunks,
      headers: decoded,
      body: flipped(1000),
      refused: [403, 'SignatureDoesNotMatch'],
    },
    'the last chunk missing': {
      payload: signedChunks,
      headers: decoded,
      body: (signed) => right(signed).subarray(0, -88),
      refused: [400, 'InvalidRequest'],
    },
    'half a chunk': {
      payload: signedChunks,
      headers: decoded,
      body: (signed) => right(signed).subarray(0, 1000),
      refused: [400, 'InvalidRequest'],
    },
    'more behind the last chunk': {
      payload: signedChunks,
      headers: decoded,
      body: (signed) => Buffer.concat([right(signed), Buffer.from('more')]),
      refused: [400, 'InvalidRequest'],
    },
    'chunks without signatures': {
      payload: signedChunks,
      headers: decoded,
      body: unsigned('\r\n'),
      refused: [400, 'InvalidSignature'],
    },
    'a chunk’s size that is none': {
      payload: signedChunks,
      headers: decoded,
      body: () => Buffer.from('zz;chunk-signature=0\r\n'),
      refused: [400, 'InvalidRequest'],
    },
    'a head without end': {
      payload: signedChunks,
      headers: decoded,
      body: () => Buffer.alloc(5000, '1'),
      refused: [400, 'InvalidRequest'],
    },
    'another length': {
      payload: signedChunks,
      headers: { 'x-amz-decoded-content-length': String(whole.length + 1) },
      body: right,
      refused: [400, 'IncompleteBody'],
    },
    'a smaller length': {
      payload: signedChunks,
      headers: { 'x-amz-decoded-content-length': '10' },
      body: right,
      refused: [400, 'IncompleteBody'],
    },
    'no length': { payload: signedChunks, body: right, refused: [400, 'MissingContentLength'] },
    'a length that is none': {
      payload: signedChunks,
      headers: { 'x-amz-decoded-content-length': '-1' },
      body: right,
      refused: [400, 'InvalidRequest'],
    },
    'another kind of chunks': {
      payload: 'STREAMING-FOO',
      headers: decoded,
      body: right,
      refused: [400, 'InvalidRequest'],
    },
    'a signed trailer': {
      payload: `${signedChunks}-TRAILER`,
      headers: trailing,
      body: withTrailer(`x-amz-checksum-sha256:${sum}`),
    },
    'a signed trailer, as Amazon writes it down': {
      payload: `${signedChunks}-TRAILER`,
      headers: trailing,
      body: withTrailer(`x-amz-checksum-sha256:${sum}\n`, `x-amz-checksum-sha256:${sum}`),
    },
    'a trailer that was signed otherwise': {
      payload: `${signedChunks}-TRAILER`,
      headers: trailing,
      body: withTrailer(`x-amz-checksum-sha256:${sum}`, 'x-amz-checksum-sha256:other'),
      refused: [403, 'SignatureDoesNotMatch'],
    },
    'a trailer with another checksum': {
      payload: `${signedChunks}-TRAILER`,
      headers: trailing,
      body: withTrailer('x-amz-checksum-sha256:Zm9v'),
      refused: [400, 'BadDigest'],
    },
    'no trailer': {
      payload: `${signedChunks}-TRAILER`,
      headers: trailing,
      body: right,
      refused: [400, 'InvalidRequest'],
    },
    'an unsigned trailer': {
      payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: trailing,
      body: unsigned(`x-amz-checksum-sha256:${sum}\r\n\r\n`),
    },
    'an unsigned trailer with another checksum': {
      payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: trailing,
      body: unsigned('x-amz-checksum-sha256:Zm9v\r\n\r\n'),
      refused: [400, 'BadDigest'],
    },
    'the trailer that was said missing': {
      payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: trailing,
      body: unsigned('\r\n'),
      refused: [400, 'InvalidRequest'],
    },
  };

  let Bucket: string;
  beforeAll(async () => {
    Bucket = await newBucket();
    await put(Bucket, 'a', 'what was there');
  });

  it.each(Object.entries(cases))('%s', async (_what, { payload, headers, body, refused }) => {
    const request = { url: `${endpoint}/${Bucket}/a`, method: 'PUT', payload, ...(headers && { headers }) };
    const answer = await send(request, {
      body: body(signS3(keys, { ...request, time: timeText(new Date()) })),
    });
    if (refused === undefined) {
      expect([answer.status, answer.text]).toEqual([200, '']);
      expect(md5(await get(Bucket, 'a'))).toBe(md5(whole));
      await put(Bucket, 'a', 'what was there');
    } else {
      expect([answer.status, answer.code]).toEqual(refused);
      expect(await get(Bucket, 'a')).toBe('what was there');
    }
  });

  it('of a document is refused, too', async () => {
    const url = `${endpoint}/${Bucket}?delete=`;
    const document = '<Delete><Object><Key>a</Key></Object></Delete>';
    const post = (payload: string, body: string) => send({ url, method: 'POST', payload }, { body });
    expect(await post(sha256('other'), document)).toMatchObject({
      status: 400,
      code: 'XAmzContentSHA256Mismatch',
    });
    expect(await post(sha256('<Delete>'), '<Delete>')).toMatchObject({ status: 400, code: 'MalformedXML' });
    const entity = '<!DOCTYPE x [<!ENTITY e "a">]><Delete><Object><Key>&e;</Key></Object></Delete>';
    expect(await post(sha256(entity), entity)).toMatchObject({ status: 400, code: 'MalformedXML' });
    const large = `<Delete>${' '.repeat(5 * 1024 * 1024)}</Delete>`;
    expect(await post(sha256(large), large)).toMatchObject({ status: 413, code: 'EntityTooLarge' });
    expect(await get(Bucket, 'a')).toBe('what was there');
  });
});

describe('access keys', () => {
  it('of development are refused in production, and none stands in their place', async () => {
    const settings = {
      MILLRACE_JWT_SECRET: 'x'.repeat(40),
      SUPABASE_PUBLISHABLE_KEY: 'sb_publishable_other',
      SUPABASE_SECRET_KEY: 'sb_secret_other',
      MILLRACE_DB_PASSWORD: 'another',
    };
    const start = (env: Record<string, string>) =>
      runCli(['keys', '--json', '--project', project.folder], { env });
    expect(JSON.parse((await start(settings)).stdout)).not.toHaveProperty('S3_PROTOCOL_ACCESS_KEY_ID');
    const own = {
      ...settings,
      S3_PROTOCOL_ACCESS_KEY_ID: 'mine',
      S3_PROTOCOL_ACCESS_KEY_SECRET: 'a secret of enough characters',
    };
    expect(JSON.parse((await start(own)).stdout)).toMatchObject({ S3_PROTOCOL_ACCESS_KEY_ID: 'mine' });
    const half = await start({ ...settings, S3_PROTOCOL_ACCESS_KEY_ID: 'mine' });
    expect([half.code, half.stderr]).toEqual([1, expect.stringContaining('S3_PROTOCOL_ACCESS_KEY_SECRET')]);
    const development = {
      S3_PROTOCOL_ACCESS_KEY_ID: keys.accessKeyId,
      S3_PROTOCOL_ACCESS_KEY_SECRET: keys.secretAccessKey,
    };
    const refused = await runCli(['start', '--production', '--project', project.folder], {
      env: { ...settings, ...development },
    });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('the S3 access key');
  });
});
