// In charge of: uploads on their way and the limits on how much files take: what could not fit is refused before its first byte, by whatever protocol and on
// whichever process it comes, and room is there again once an upload is over, however it ended.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { Upload } from 'tus-js-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { markId } from '../src/services/storage/blobs/mark.ts';
import { type RunningBackend as Program, startBackend as startProgram } from './harness/backend.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { personToken } from './harness/tokens.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

const config = `
project_id = "quotas-in-flight"
[storage]
user_total_size_limit = "10KB"
[storage.buckets.bytes]
total_size_limit = "10KB"
[storage.buckets.large]
total_size_limit = "4MB"
[storage.buckets.free]
public = true
`;
const migration = `
  create policy "own" on storage.objects for all to authenticated
    using (owner_id = (select auth.uid()::text)) with check (owner_id = (select auth.uid()::text));
`;

let folder: string;
let server: PostgresServer;
let project: Awaited<ReturnType<typeof makeProject>>;
let env: Readonly<Record<string, string>>;
/** Two processes over one database and one folder of files. */
let backend: RunningBackend;
let other: Program;
beforeAll(async () => {
  folder = await makeFolder();
  server = await openPostgres({ project: folder, port: 0, password: 'unused', observe: () => {} });
  await asAdmin(`create role owner login superuser password 'owner-pw'`, 'postgres');
  await asAdmin('create database shared', 'postgres');
  project = await makeProject({
    'supabase/config.toml': config,
    'supabase/migrations/20260601000000_files.sql': migration,
  });
  const { port } = server.login('postgres');
  env = {
    DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${port}/shared`,
    MILLRACE_MASTER_KEY: 'the-same-for-both-0123456789-0123456789',
  };
  backend = await startBackend(project.folder, [], { env });
  other = await startProgram(project.folder, [], { env });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
  await server?.stop();
  await removeFolder(folder);
  await project?.[Symbol.asyncDispose]();
});

const asAdmin = (sql: string, database = 'shared') =>
  withClient({ ...server.login('supabase_admin'), database }, async (client) => {
    const { rows } = await client.query(sql);
    return rows as readonly Record<string, unknown>[];
  });

const claims = () => asAdmin('select name, bytes::int from _millrace.upload_claims order by name');
const inFlight = async (bucket = 'bytes') =>
  Number(
    (
      await asAdmin(`select sum(bytes) as sum from _millrace.uploads_in_flight where bucket_id = '${bucket}'`)
    )[0]!.sum,
  );

const storageUrl = (path: string, { report }: Pick<RunningBackend, 'report'> = backend) =>
  `${report.API_URL}/storage/v1${path}`;
const endpoint = () => storageUrl('/upload/resumable');
const service = () => ({ authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` });
const clientOf = (key: string, { report }: Pick<RunningBackend, 'report'> = backend): SupabaseClient =>
  createClient(report.API_URL, key);

function s3Of(running: Pick<RunningBackend, 'report'> = backend): S3Client {
  const report = running.report as unknown as Readonly<Record<string, string>>;
  return new S3Client({
    endpoint: report.STORAGE_S3_URL!,
    region: 'local',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: {
      accessKeyId: report.S3_PROTOCOL_ACCESS_KEY_ID!,
      secretAccessKey: report.S3_PROTOCOL_ACCESS_KEY_SECRET!,
    },
  });
}

const full = (onTheirWay: number) =>
  `The bucket "bytes" is full: its files may take 10000 bytes together${onTheirWay === 0 ? '.' : `, and ${onTheirWay} bytes are on their way.`}`;
const refusal = (message: string) => ({
  statusCode: '413',
  code: 'QuotaExceeded',
  error: 'Quota exceeded',
  message,
});

/** Puts a file there by supabase-js: what is wrong, or null. */
async function put(
  name: string,
  sizeBytes: number,
  {
    on = backend,
    bucket = 'bytes',
    upsert = false,
  }: Partial<{ on: Pick<RunningBackend, 'report'>; bucket: string; upsert: boolean }> = {},
) {
  const { error } = await clientOf(on.report.SECRET_KEY, on)
    .storage.from(bucket)
    .upload(name, Buffer.alloc(sizeBytes, 1), { upsert });
  return error === null ? null : JSON.parse(JSON.stringify({ ...error, message: error.message }));
}

interface Begun {
  readonly request: ClientRequest;
  readonly answer: Promise<{ status: number | undefined; body: string }>;
}

/** A request that says what it sends and sends less, until somebody ends it. */
function begin(
  method: string,
  url: string,
  headers: Readonly<Record<string, string | number>>,
  first?: Buffer,
): Begun {
  const request = httpRequest(url, { method, headers: { ...service(), ...headers } });
  const answer = new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', async (response) => {
      let body = '';
      for await (const chunk of response) body += chunk;
      resolve({ status: response.statusCode, body });
    });
  });
  answer.catch(() => {});
  if (first) request.write(first);
  else request.flushHeaders();
  return { request, answer };
}

const beginPut = (
  name: string,
  sizeBytes: number,
  on: Pick<RunningBackend, 'report'> = backend,
  bucket = 'bytes',
) =>
  begin(
    'POST',
    storageUrl(`/object/${bucket}/${name}`, on),
    { 'content-length': sizeBytes },
    Buffer.alloc(10, 1),
  );

async function beginTus(name: string, length: number | 'unknown', bucket = 'bytes') {
  return askTus('POST', endpoint(), {
    ...service(),
    ...(length === 'unknown' ? { 'upload-defer-length': '1' } : { 'upload-length': String(length) }),
    'upload-metadata': encodeMetadata({ bucketName: bucket, objectName: name }),
  });
}
const piece = (offset: number) => ({
  'tus-resumable': '1.0.0',
  'content-type': 'application/offset+octet-stream',
  'upload-offset': String(offset),
});
const patch = (url: string, offset: number, sizeBytes: number) =>
  askTus('PATCH', url, { ...service(), ...piece(offset) }, Buffer.alloc(sizeBytes, 1));

afterEach(async () => {
  const service = clientOf(backend.report.SECRET_KEY);
  for (const bucket of ['bytes', 'large', 'free'])
    expect((await service.storage.emptyBucket(bucket)).error).toBeNull();
  expect(await claims()).toEqual([]);
  expect(await asAdmin('select name, bytes from _millrace.uploads_in_flight where bytes > 0')).toEqual([]);
});

describe('an upload whose length is said', () => {
  it('holds its room: one more is refused on another process before its first byte, and told how much is on its way', async () => {
    const one = beginPut('one', 6_000);
    await expect.poll(claims).toEqual([{ name: 'one', bytes: 6_000 }]);
    const two = begin('POST', storageUrl('/object/bytes/two', other), { 'content-length': 4_001 });
    // Its body was not sent.
    expect(await two.answer).toEqual({ status: 400, body: JSON.stringify(refusal(full(6_000))) });
    two.request.destroy();
    expect(await put('two', 4_001, { on: other })).toMatchObject({ statusCode: '413', message: full(6_000) });
    expect(await put('two', 4_000, { on: other })).toBeNull();
    one.request.end(Buffer.alloc(5_990, 1));
    expect((await one.answer).status).toBe(200);
    expect(await claims()).toEqual([]);
    expect(await put('three', 1)).toMatchObject({ statusCode: '413', message: full(0) });
  });

  it('gives it back when its client goes away, and when it is refused at its end', async () => {
    const gone = beginPut('gone', 10_000);
    await expect.poll(claims).toEqual([{ name: 'gone', bytes: 10_000 }]);
    gone.request.destroy();
    await expect.poll(claims).toEqual([]);
    expect(await put('here', 9_000)).toBeNull();
    const late = beginPut('late', 1_000);
    await expect.poll(claims).toEqual([{ name: 'late', bytes: 1_000 }]);
    // By SQL, which claims nothing.
    await asAdmin(
      `insert into storage.objects (bucket_id, name, metadata) values ('bytes', 'by-sql', '{"size": 500}')`,
    );
    late.request.end(Buffer.alloc(990, 1));
    expect(await late.answer).toEqual({ status: 400, body: JSON.stringify(refusal(full(0))) });
  });

  it('takes the place of what it overwrites, however many do so at once', async () => {
    for (let at = 0; at < 10; at++) expect(await put(`${at}`, 1_000)).toBeNull();
    const same = Array.from({ length: 10 }, (_, at) =>
      put(`${at}`, 1_000, { upsert: true, on: at % 2 ? backend : other }),
    );
    expect(await Promise.all(same)).toEqual(Array(10).fill(null));
    // Two at once for one name are more than one.
    const first = begin(
      'PUT',
      storageUrl('/object/bytes/0'),
      { 'content-length': 1_000 },
      Buffer.alloc(10, 1),
    );
    await expect.poll(claims).toEqual([{ name: '0', bytes: 1_000 }]);
    expect(await put('0', 1_000, { upsert: true })).toMatchObject({ statusCode: '413', message: full(0) });
    first.request.end(Buffer.alloc(990, 2));
    expect((await first.answer).status).toBe(200);
  });

  it('claims nothing where there is no limit', async () => {
    const one = beginPut('one', 1_000_000, backend, 'free');
    await expect.poll(draftsAndBlobs).toHaveLength(1);
    expect(await put('two', 1_000_000, { bucket: 'free' })).toBeNull();
    expect(await claims()).toEqual([]);
    one.request.end(Buffer.alloc(999_990, 1));
    expect((await one.answer).status).toBe(200);
  });
});

describe('a user', () => {
  it('has no more on the way than fits, in all buckets together; others are not in it', async () => {
    const [ann, bob] = await Promise.all([personToken(randomUUID()), personToken(randomUUID())]);
    const as = (token: string) => ({ authorization: `Bearer ${token}` });
    const one = begin(
      'POST',
      storageUrl('/object/free/one', other),
      { ...as(ann), 'content-length': 7_000 },
      Buffer.alloc(10, 1),
    );
    await expect.poll(claims).toEqual([{ name: 'one', bytes: 7_000 }]);
    const two = begin('POST', storageUrl('/object/large/two'), { ...as(ann), 'content-length': 3_001 });
    const message = 'The files of a user may take 10000 bytes together, and 7000 bytes are on their way.';
    expect(await two.answer).toEqual({ status: 400, body: JSON.stringify(refusal(message)) });
    two.request.destroy();
    const his = begin('POST', storageUrl('/object/free/his'), { ...as(bob), 'content-length': 9_000 });
    his.request.end(Buffer.alloc(9_000, 1));
    expect((await his.answer).status).toBe(200);
    one.request.destroy();
    await expect.poll(claims).toEqual([]);
    const again = begin('POST', storageUrl('/object/free/again'), { ...as(ann), 'content-length': 10_000 });
    again.request.end(Buffer.alloc(10_000, 1));
    expect((await again.answer).status).toBe(200);
  });
});

describe('a resumable upload', () => {
  it('holds room for its whole length from its beginning until it is finished or terminated', async () => {
    const refused = await new Promise<string>((resolve, reject) => {
      const upload = new Upload(randomBytes(6_000), {
        endpoint: endpoint(),
        headers: service(),
        metadata: { bucketName: 'bytes', objectName: 'one' },
        chunkSize: 4_000,
        onError: reject,
        async onChunkComplete() {
          await upload.abort();
          expect(await inFlight()).toBe(6_000);
          const second = new Upload(randomBytes(4_001), {
            endpoint: storageUrl('/upload/resumable', other),
            headers: service(),
            metadata: { bucketName: 'bytes', objectName: 'two' },
            onError: (error) => resolve(error.message),
            onSuccess: () => reject(new Error('it was taken')),
          });
          second.start();
        },
      });
      upload.start();
    });
    expect(refused).toContain(`response code: 413, response text: ${full(6_000)}`);
    expect(await put('four', 4_000, { on: other })).toBeNull();
    const id = (await asAdmin('select version from _millrace.resumable_uploads where not is_complete'))[0]!
      .version;
    const url = `${endpoint()}/${Buffer.from(`bytes/one/${id}`).toString('base64url')}`;
    const end = await patch(url, 4_000, 2_000);
    expect([end.status, end.headers['upload-offset']]).toEqual([204, '6000']);
    expect(await inFlight()).toBe(0);
    expect(
      await asAdmin(`select bytes::int, objects::int from _millrace.file_usage where subject = 'bytes'`),
    ).toEqual([{ bytes: 10_000, objects: 2 }]);

    const overwriting = await beginTus('four', 4_000);
    // What is there is as large; so nothing more is wanted.
    expect(overwriting.status).toBe(409);
    expect(
      (await clientOf(backend.report.SECRET_KEY).storage.from('bytes').remove(['four'])).error,
    ).toBeNull();
    const third = (await beginTus('three', 4_000)).headers.location!;
    expect(await put('four', 1)).toMatchObject({ statusCode: '413', message: full(4_000) });
    expect((await askTus('DELETE', third, service())).status).toBe(204);
    expect(await put('four', 4_000)).toBeNull();
  });

  it('of which nobody sends more counts with what is here of it, and is over when its rest finds no room', async () => {
    const url = (await beginTus('slow', 6_000)).headers.location!;
    expect((await patch(url, 0, 2_000)).status).toBe(204);
    expect(await put('other', 8_000)).toMatchObject({ statusCode: '413', message: full(6_000) });
    await asAdmin(`update _millrace.upload_claims set held_until = now()`);
    expect(await inFlight()).toBe(2_000);
    expect(await put('other', 4_000)).toBeNull();
    const third = beginPut('third', 1_000);
    await expect.poll(() => inFlight()).toBe(3_000);
    const refused = begin('PATCH', url, { ...piece(2_000), 'content-length': 4_000 });
    // What is here of it already is among the bytes on their way.
    expect(await refused.answer).toEqual({ status: 413, body: full(3_000) });
    refused.request.destroy();
    third.request.destroy();
    expect((await askTus('HEAD', url, service())).status).toBe(404);
    expect(await inFlight()).toBeLessThanOrEqual(1_000);
    await expect.poll(() => put('two', 6_000)).toBeNull();
  });

  it('of a length that is not said is refused before a piece that says its own, and nothing of it stays', async () => {
    const url = (await beginTus('deferred', 'unknown')).headers.location!;
    expect((await patch(url, 0, 3_000)).status).toBe(204);
    expect(await put('other', 7_001)).toMatchObject({ statusCode: '413', message: full(3_000) });
    expect(await put('other', 6_000)).toBeNull();
    const second = begin('PATCH', url, { ...piece(3_000), 'content-length': 1_001 });
    expect(await second.answer).toEqual({ status: 413, body: full(3_000) });
    second.request.destroy();
    expect((await askTus('HEAD', url, service())).status).toBe(404);
  });

  it('of no length at all is stopped when more has come than there is room for', async () => {
    const url = (await beginTus('endless', 'unknown', 'large')).headers.location!;
    let sent = 0;
    async function* endless() {
      for (;;) {
        sent += 64 * 1024;
        yield Buffer.alloc(64 * 1024, 1);
      }
    }
    const answer = await fetch(url, {
      method: 'PATCH',
      headers: { ...service(), ...piece(0) },
      body: Readable.toWeb(Readable.from(endless())) as ReadableStream,
      duplex: 'half',
    });
    expect([answer.status, await answer.text()]).toEqual([
      413,
      expect.stringMatching(
        /^The bucket "large" is full: its files may take 4000000 bytes together, and 3\d{6} bytes are on their way\.$/,
      ),
    ]);
    // What the sockets between took is in it.
    expect(sent).toBeLessThan(20_000_000);
    expect((await askTus('HEAD', url, service())).status).toBe(404);
    await expect.poll(draftsAndBlobs).toEqual([]);
  });
});

/** Nothing is in the folder of files but the mark of whose it is. */
async function draftsAndBlobs(): Promise<readonly string[]> {
  const state = join(project.folder, '.millrace');
  const files = (await readdir(state)).find((name) => name.startsWith('files-'))!;
  const all = await readdir(join(state, files), { recursive: true, withFileTypes: true });
  return all.filter((entry) => entry.isFile() && entry.name !== markId).map(({ name }) => name);
}

describe('a body of a length that is not said', () => {
  it('is stopped when more has come than there is room for, and nothing of it is kept', async () => {
    async function* endless() {
      for (;;) yield Buffer.alloc(64 * 1024, 1);
    }
    const answer = await fetch(storageUrl('/object/large/endless'), {
      method: 'POST',
      headers: service(),
      body: Readable.toWeb(Readable.from(endless())) as ReadableStream,
      duplex: 'half',
    });
    expect(await answer.json()).toMatchObject({
      code: 'QuotaExceeded',
      message: expect.stringMatching(/together, and 3\d{6} bytes are on their way\.$/),
    });
    await expect.poll(draftsAndBlobs).toEqual([]);
  });

  it('of a form counts as it comes, too', async () => {
    const form = new FormData();
    form.set('', new Blob([Buffer.alloc(8_000_000)]), 'large');
    const answer = await fetch(storageUrl('/object/large/form'), {
      method: 'POST',
      headers: service(),
      body: form,
    });
    expect(await answer.json()).toMatchObject({ statusCode: '413', code: 'QuotaExceeded' });
  });
});

describe('an upload in parts over S3', () => {
  const Bucket = 'bytes';
  const Key = 'parts';
  const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');

  it('counts with its parts until it is aborted, and a part that finds no room is refused', async () => {
    const [here, there] = [s3Of(), s3Of(other)];
    const { UploadId } = await here.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const part = (PartNumber: number, sizeBytes: number) =>
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: Buffer.alloc(sizeBytes, 1) });
    await here.send(part(1, 6_000));
    expect(await inFlight()).toBe(6_000);
    await expect(there.send(part(2, 4_001))).rejects.toMatchObject({
      name: 'QuotaExceeded',
      message: full(6_000),
      $metadata: { httpStatusCode: 413 },
    });
    await expect(
      there.send(new PutObjectCommand({ Bucket, Key: 'whole', Body: Buffer.alloc(4_001) })),
    ).rejects.toMatchObject({ name: 'QuotaExceeded', message: full(6_000) });
    await there.send(part(2, 4_000));
    await here.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    await there.send(new PutObjectCommand({ Bucket, Key: 'whole', Body: Buffer.alloc(10_000) }));
    here.destroy();
    there.destroy();
  });

  it('fits to the byte, its parts sent at once on two processes, and counts once when it is put together', async () => {
    const clients = [s3Of(), s3Of(other)];
    const { UploadId } = await clients[0]!.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const Body = Buffer.alloc(500, 1);
    const Parts = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: at + 1, Body });
        return { PartNumber: at + 1, ETag: (await clients[at % 2]!.send(command)).ETag };
      }),
    );
    expect(await inFlight()).toBe(10_000);
    const done = await clients[0]!.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    );
    const digests = Buffer.from(md5(Body).repeat(20), 'hex');
    expect(done.ETag).toBe(`"${md5(digests)}-20"`);
    expect(await inFlight()).toBe(0);
    expect(
      await asAdmin(`select bytes::int, objects::int from _millrace.file_usage where subject = 'bytes'`),
    ).toEqual([{ bytes: 10_000, objects: 1 }]);
    for (const client of clients) client.destroy();
  });
});

describe('a process that is killed', () => {
  it('holds no room for longer than a moment; what is here of a resumable upload still counts', async () => {
    const plain = beginPut('plain', 5_000, other);
    const url = (await beginTus('resumable', 5_000)).headers.location!;
    const there = url.replace(backend.report.API_URL, other.report.API_URL);
    expect((await patch(there, 0, 1_000)).status).toBe(204);
    const second = begin('PATCH', there, { ...piece(1_000), 'content-length': 4_000 }, Buffer.alloc(10, 1));
    await expect.poll(claims).toEqual([
      { name: 'plain', bytes: 5_000 },
      { name: 'resumable', bytes: 4_000 },
    ]);
    expect(await put('new', 1)).toMatchObject({ statusCode: '413', message: full(10_000) });
    other.process.kill('SIGKILL');
    await other.ended;
    await expect(plain.answer).rejects.toThrow();
    await expect(second.answer).rejects.toThrow();
    await expect.poll(() => inFlight()).toBe(1_000);
    expect(await put('new', 9_001)).toMatchObject({ statusCode: '413', message: full(1_000) });
    expect(await put('new', 5_000)).toBeNull();
    // It is gone on with on another process.
    expect((await patch(url, 1_000, 4_000)).status).toBe(204);
    expect(await put('one-more', 1)).toMatchObject({ statusCode: '413', message: full(0) });
    expect((await claims()).length).toBeGreaterThan(0);
    await asAdmin(`update _millrace.upload_claims set held_until = now() - interval '2 minutes'`);
    // What is done every minute is also done at a start.
    other = await startProgram(project.folder, [], { env });
    await expect.poll(claims).toEqual([]);
  });
});
