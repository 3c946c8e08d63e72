// In charge of: how much files may take together, of a bucket and of a user: exact also when many come at once, by two processes, in every way that a file comes.
import { randomUUID } from 'node:crypto';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { startBackend as startProgram } from './harness/backend.ts';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { personToken } from './harness/tokens.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

const config = `
project_id = "quotas"
[storage]
user_total_size_limit = "1000B"
user_object_limit = 30
[storage.buckets.bytes]
total_size_limit = "10KB"
[storage.buckets.few]
object_limit = 3
[storage.buckets.free]
public = true
[storage.buckets.homes]
public = false
`;
const migration = `
  create policy "own" on storage.objects for all to authenticated
    using (owner_id = (select auth.uid()::text)) with check (owner_id = (select auth.uid()::text));
`;

let folder: string;
let server: PostgresServer;
let project: Awaited<ReturnType<typeof makeProject>>;
/** Two processes over one database and one folder of files. */
let backend: RunningBackend;
let other: RunningBackend;
let service: SupabaseClient;
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
  const env = {
    DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${port}/shared`,
    MILLRACE_MASTER_KEY: 'the-same-for-both-0123456789-0123456789',
  };
  backend = await startBackend(project.folder, [], { env });
  other = await startProgram(project.folder, [], { env });
  service = createClient(backend.report.API_URL, backend.report.SECRET_KEY);
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

const usageOf = async (scope: string, subject: string) =>
  (
    await asAdmin(
      `select bytes::int, objects::int from _millrace.file_usage where scope = '${scope}' and subject = '${subject}'`,
    )
  )[0];
/** What is counted is what is there. */
const thereIn = async (bucket: string) =>
  (
    await asAdmin(
      `select coalesce(sum((metadata ->> 'size')::int), 0)::int as bytes, count(*)::int as objects from storage.objects where bucket_id = '${bucket}'`,
    )
  )[0];

async function put(
  path: string,
  sizeBytes: number,
  more: Readonly<Record<string, string>> = {},
  { report }: RunningBackend = backend,
) {
  const response = await fetch(`${report.API_URL}/storage/v1/object/${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${report.SERVICE_ROLE_KEY}`,
      'content-type': 'application/octet-stream',
      ...more,
    },
    body: Buffer.alloc(sizeBytes, 1),
  });
  const body = (await response.json()) as Record<string, unknown>;
  return response.ok ? 200 : body;
}

const refusal = (message: string) => ({
  statusCode: '413',
  code: 'QuotaExceeded',
  error: 'Quota exceeded',
  message,
});
const bucketFull = refusal('The bucket "bytes" is full: its files may take 10000 bytes together.');
const tooManyFiles = refusal('The bucket "few" is full: it may have 3 files.');
const userFull = refusal('The files of a user may take 1000 bytes together.');

async function empty(bucket: string): Promise<void> {
  const { data } = await service.storage.from(bucket).list('', { limit: 1000 });
  if (data!.length > 0) await service.storage.from(bucket).remove(data!.map(({ name }) => name));
}

describe('a bucket with total_size_limit', () => {
  it('takes what fits, to the byte, and refuses one more before its bytes have come', async () => {
    expect(await put('bytes/a', 9_000)).toBe(200);
    expect(await put('bytes/b', 1_001)).toEqual(bucketFull);
    expect(await put('bytes/b', 1_000)).toBe(200);
    expect(await put('bytes/c', 1)).toEqual(bucketFull);
    expect(await put('bytes/c', 0)).toBe(200);
    expect(await usageOf('bucket', 'bytes')).toEqual({ bytes: 10_000, objects: 3 });
    const started = await fetch(`${backend.report.API_URL}/storage/v1/upload/resumable`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}`,
        'tus-resumable': '1.0.0',
        'upload-length': '100',
        'upload-metadata': encodeMetadata({ bucketName: 'bytes', objectName: 'big' }),
      },
    });
    expect([started.status, await started.text()]).toEqual([413, bucketFull.message]);
  });

  it('counts the difference where a file is overwritten, and what is deleted, moved and copied', async () => {
    expect(await put('bytes/a', 9_001, { 'x-upsert': 'true' })).toEqual(bucketFull);
    expect(await put('bytes/a', 4_000, { 'x-upsert': 'true' })).toBe(200);
    expect(await usageOf('bucket', 'bytes')).toEqual({ bytes: 5_000, objects: 3 });
    const bytes = service.storage.from('bytes');
    expect((await bytes.copy('a', 'a2')).error).toBeNull();
    expect((await bytes.copy('a', 'a3')).error).toMatchObject({ message: bucketFull.message });
    expect(await put('free/large', 3_000)).toBe(200);
    const moved = await service.storage.from('free').move('large', 'large', { destinationBucket: 'bytes' });
    expect(moved.error).toMatchObject({ message: bucketFull.message });
    expect((await bytes.move('a', 'a', { destinationBucket: 'free' })).error).toBeNull();
    expect((await bytes.remove(['b', 'c'])).error).toBeNull();
    expect(await usageOf('bucket', 'bytes')).toEqual({ bytes: 4_000, objects: 1 });
    expect(await usageOf('bucket', 'bytes')).toEqual(await thereIn('bytes'));
    await empty('bytes');
  });

  it('holds where the size is not said, in S3, and for resumable uploads, and keeps none of the bytes', async () => {
    expect(await put('bytes/full', 10_000)).toBe(200);
    const streamed = await fetch(`${backend.report.API_URL}/storage/v1/object/bytes/streamed`, {
      method: 'POST',
      headers: { authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` },
      body: new Blob([Buffer.alloc(100)]).stream(),
      duplex: 'half',
    });
    expect(await streamed.json()).toEqual(bucketFull);
    const report = backend.report as unknown as Readonly<Record<string, string>>;
    const client = new S3Client({
      endpoint: report.STORAGE_S3_URL!,
      region: 'local',
      forcePathStyle: true,
      credentials: {
        accessKeyId: report.S3_PROTOCOL_ACCESS_KEY_ID!,
        secretAccessKey: report.S3_PROTOCOL_ACCESS_KEY_SECRET!,
      },
    });
    await expect(
      client.send(new PutObjectCommand({ Bucket: 'bytes', Key: 'by-s3', Body: 'x' })),
    ).rejects.toMatchObject({ name: 'QuotaExceeded', $metadata: { httpStatusCode: 413 } });
    client.destroy();
    const authorization = `Bearer ${backend.report.SERVICE_ROLE_KEY}`;
    const made = await askTus('POST', `${backend.report.API_URL}/storage/v1/upload/resumable`, {
      authorization,
      'upload-defer-length': '1',
      'upload-metadata': encodeMetadata({ bucketName: 'bytes', objectName: 'deferred' }),
    });
    const patched = await askTus(
      'PATCH',
      made.headers.location!,
      {
        authorization,
        'content-type': 'application/offset+octet-stream',
        'upload-offset': '0',
        'upload-length': '10',
      },
      Buffer.alloc(10),
    );
    expect([patched.status, patched.body]).toEqual([413, bucketFull.message]);
    expect(await thereIn('bytes')).toEqual({ bytes: 10_000, objects: 1 });
    await empty('bytes');
  });

  it('has not a byte more when fifty come at once by two processes', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) => put(`bytes/${randomUUID()}`, 999, {}, at % 2 ? backend : other)),
    );
    expect(answers.filter((answer) => answer === 200)).toHaveLength(10);
    // Some of them also say what was on its way when they came.
    const refused = { ...bucketFull, message: expect.stringContaining(bucketFull.message.slice(0, -1)) };
    expect(answers.filter((answer) => answer !== 200)).toEqual(Array(40).fill(refused));
    expect(await thereIn('bytes')).toEqual({ bytes: 9_990, objects: 10 });
    expect(await usageOf('bucket', 'bytes')).toEqual({ bytes: 9_990, objects: 10 });
    await empty('bytes');
    expect(await usageOf('bucket', 'bytes')).toEqual({ bytes: 0, objects: 0 });
  });

  it('counts right when files are overwritten, moved and deleted at once in both directions', async () => {
    for (let at = 0; at < 10; at++) await put(`bytes/m${at}`, 100);
    await Promise.all(
      Array.from({ length: 60 }, async (_, at) => {
        const name = `m${at % 10}`;
        const [here, there] = at % 4 < 2 ? ['bytes', 'few'] : ['few', 'bytes'];
        if (at % 3 === 0) await service.storage.from(here!).move(name, name, { destinationBucket: there! });
        else if (at % 3 === 1) await put(`bytes/${name}`, at, { 'x-upsert': 'true' }, other);
        else await service.storage.from(here!).remove([name, `m${(at + 3) % 10}`]);
      }),
    );
    for (const bucket of ['bytes', 'few'])
      expect(await usageOf('bucket', bucket)).toEqual(await thereIn(bucket));
    await Promise.all([empty('bytes'), empty('few')]);
  });
});

describe('a bucket with object_limit', () => {
  it('has so many files', async () => {
    for (const name of ['a', 'b', 'c']) expect(await put(`few/${name}`, 1)).toBe(200);
    expect(await put('few/d', 1)).toEqual(tooManyFiles);
    expect(await put('few/c', 5, { 'x-upsert': 'true' })).toBe(200);
    await service.storage.from('few').remove(['a']);
    expect(await put('few/d', 1)).toBe(200);
    await empty('few');
  });
});

describe('a user', () => {
  const [ann, bob] = [randomUUID(), randomUUID()];
  const as = async (id: string) => ({ authorization: `Bearer ${await personToken(id)}` });

  it('has so much in all buckets together, whatever others have; files of the service are nobody’s', async () => {
    expect(await put('homes/ann-1', 600, await as(ann))).toBe(200);
    expect(await put('free/ann-2', 401, await as(ann))).toEqual(userFull);
    expect(await put('free/ann-2', 400, await as(ann))).toBe(200);
    expect(await put('free/bob', 1000, await as(bob))).toBe(200);
    expect(await put('free/service', 5_000)).toBe(200);
    expect(await usageOf('user', ann)).toEqual({ bytes: 1000, objects: 2 });
    await service.storage.from('homes').remove(['ann-1']);
    expect(await put('free/ann-3', 600, await as(ann))).toBe(200);
  });

  it('has not a byte more when fifty come at once by two processes', async () => {
    const cem = randomUUID();
    const headers = await as(cem);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        put(`free/${randomUUID()}`, 99, headers, at % 2 ? backend : other),
      ),
    );
    expect(answers.filter((answer) => answer === 200)).toHaveLength(10);
    // Some of them also say what was on its way when they came.
    const refused = { ...userFull, message: expect.stringContaining(userFull.message.slice(0, -1)) };
    expect(answers.filter((answer) => answer !== 200)).toEqual(Array(40).fill(refused));
    expect(await usageOf('user', cem)).toEqual({ bytes: 990, objects: 10 });
  });

  it('has so many files', async () => {
    const dan = await as(randomUUID());
    for (let at = 0; at < 30; at++) expect(await put(`free/${randomUUID()}`, 1, dan)).toBe(200);
    expect(await put(`free/${randomUUID()}`, 1, dan)).toEqual(refusal('A user may have 30 files.'));
  });
});

describe('a limit that is set while the program runs', () => {
  const set = async (value: unknown) => {
    const { code, stderr } = await runCli(
      ['settings', 'set', 'storage.buckets', JSON.stringify(value), '--project', project.folder],
      {},
    );
    expect([code, stderr]).toEqual([0, expect.any(String)]);
  };

  it('counts what is there already, holds on every process, and what is above it may only become less', async () => {
    await empty('bytes');
    for (let at = 0; at < 5; at++) await put(`bytes/${at}`, 1_000);
    const later = { ...limits, later: { total_size_limit: 2_500 } };
    await service.storage.createBucket('later');
    for (let at = 0; at < 3; at++) expect(await put(`later/${at}`, 1_000)).toBe(200);
    await set(later);
    await expect.poll(() => usageOf('bucket', 'later')).toEqual({ bytes: 3_000, objects: 3 });
    const full = refusal('The bucket "later" is full: its files may take 2500 bytes together.');
    expect(await put('later/3', 1, {}, other)).toEqual(full);
    expect(await put('later/0', 1_001, { 'x-upsert': 'true' })).toEqual(full);
    expect(await put('later/0', 900, { 'x-upsert': 'true' })).toBe(200);
    expect(await usageOf('bucket', 'later')).toEqual({ bytes: 2_900, objects: 3 });
    await set(limits);
    await expect.poll(() => usageOf('bucket', 'later')).toBeUndefined();
    expect(await put('later/3', 1_000)).toBe(200);
    expect(await usageOf('bucket', 'bytes')).toEqual({ bytes: 5_000, objects: 5 });
  });
  const limits = { bytes: { total_size_limit: 10_000 }, few: { object_limit: 3 } };
});
