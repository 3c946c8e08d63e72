// In charge of: bytes in a bucket of S3: the one that a second Millrace serves.

import { randomBytes, randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEgress } from '../src/engine/egress/egress.ts';
import { type Blobs, BlobsUnavailable, NoRoom } from '../src/services/storage/blobs/blobs.ts';
import { openS3Blobs, type S3Place } from '../src/services/storage/blobs/s3.ts';
import { sealedId } from '../src/services/storage/blobs/sealed-id.ts';
import { sealing } from '../src/services/storage/blobs/sealing.ts';
import { startBackend as startProgram } from './harness/backend.ts';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { inPieces, made, tellStoreStories } from './harness/store-stories.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

/** The access key of development. Source: supabase/cli apps/cli-go/pkg/config/config.go. */
const credentials = {
  accessKeyId: '625729a08b95bf1b7ff351a663f3a23c',
  secretAccessKey: '850181e4652dd023b7a98c58ae0d2d34bd487ee0cc3254aed6eda37307425907',
};
const config = {
  'supabase/config.toml':
    'project_id = "store"\n[api]\nauto_expose_new_tables = false\n[storage]\nfile_size_limit = "50GiB"\n',
};
/** Nothing beside the public Internet may be connected to: the operator's own endpoint may all the same. */
const egress = openEgress({ allow: () => [], observe: () => {}, now: Date.now });

let project: Awaited<ReturnType<typeof makeProject>>;
let store: RunningBackend;
let place: S3Place;
let blobs: Blobs;
/** Of a backend whose files are there. */
let environment: Readonly<Record<string, string>>;
beforeAll(async () => {
  project = await makeProject(config);
  store = await startBackend(project.folder);
  await ask(store, 'POST', '/bucket', '{"name":"files"}');
  place = {
    bucket: 'files',
    prefix: 'production/',
    endpoint: `${store.report.API_URL}/storage/v1/s3`,
    region: 'local',
    forcePathStyle: true,
    credentials,
    partBytes: 5 * 1024 * 1024,
    maxSockets: 20,
    egress,
  };
  blobs = await openS3Blobs(place);
  environment = {
    STORAGE_BACKEND: 's3',
    STORAGE_S3_BUCKET: 'files',
    STORAGE_S3_ENDPOINT: place.endpoint,
    STORAGE_S3_REGION: 'local',
    STORAGE_S3_FORCE_PATH_STYLE: 'true',
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
});
afterAll(async () => {
  await blobs?.close();
  await egress.close();
  await store?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

async function ask(
  { report }: RunningBackend,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${report.API_URL}/storage/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${report.SERVICE_ROLE_KEY}`,
      'content-type': path.startsWith('/object/') ? 'text/plain' : 'application/json',
    },
    ...(body !== undefined && { body }),
  });
  return { status: response.status, text: await response.text() };
}

describe('encrypted blobs in a bucket of S3', () => {
  const [keyId, key] = ['0123456789abcdef', randomBytes(32)];
  tellStoreStories(
    () => sealing(blobs, { keyOf: async () => key, observe: () => {} }),
    () => sealedId(keyId),
  );
});

describe('blobs in a bucket of S3', () => {
  tellStoreStories(() => blobs);

  it('have the prefix to themselves', async () => {
    const others = await openS3Blobs({ ...place, prefix: 'staging/' });
    const id = randomUUID();
    await blobs.write(id, inPieces(made(10)), { maxBytes: 10 });
    expect(await others.find(id)).toBeUndefined();
    for await (const { id: other } of others.list(AbortSignal.timeout(10_000))) expect.unreachable(other);
    await others.close();
  });

  it('let go of uploads in parts that a killed process has left there, after a week', async () => {
    const { S3Client, CreateMultipartUploadCommand } = await import('@aws-sdk/client-s3');
    const client = new S3Client({ ...place, credentials });
    const names = { old: randomUUID(), young: randomUUID(), 'others/old': 'not-ours' };
    for (const [name, id] of Object.entries(names)) {
      const Key = name === 'others/old' ? name : place.prefix + id;
      await client.send(new CreateMultipartUploadCommand({ Bucket: place.bucket, Key }));
    }
    client.destroy();
    const database = new pg.Client({ connectionString: store.report.DB_URL });
    await database.connect();
    await database.query(
      `update storage.s3_multipart_uploads set created_at = now() - interval '8 days' where key <> $1`,
      [place.prefix + names.young],
    );
    expect(await blobs.removeUnfinished(60)).toBe(1);
    const { rows } = await database.query('select key from storage.s3_multipart_uploads order by key');
    expect(rows.map(({ key }) => key)).toEqual(['others/old', place.prefix + names.young]);
    await database.query('delete from storage.s3_multipart_uploads');
    await database.end();
  });

  it.each([
    ['a bucket that is not there', { bucket: 'nowhere' }],
    ['a key that is not right', { credentials: { ...credentials, secretAccessKey: 'wrong' } }],
  ])('are refused as such with %s', async (_, change) => {
    const none = await openS3Blobs({ ...place, ...change });
    await expect(none.write(randomUUID(), inPieces(made(10)), { maxBytes: 10 })).rejects.toMatchObject({
      name: 'BlobsUnavailable',
      reason: 'refused',
    });
    await none.close();
  });

  it('are away where nobody listens', async () => {
    const none = await openS3Blobs({ ...place, endpoint: 'http://127.0.0.1:9' });
    await expect(none.read(randomUUID())).rejects.toMatchObject({ name: 'BlobsUnavailable', reason: 'away' });
    await expect(none.write(randomUUID(), inPieces(made(10)), { maxBytes: 10 })).rejects.toThrow(
      BlobsUnavailable,
    );
    await none.close();
  });
});

describe('a store of S3', () => {
  const answers: [status: number, body: string][] = [];
  let server: Server;
  let asked: string[] = [];
  let strange: Blobs;
  beforeAll(async () => {
    server = createServer((request, response) => {
      request.resume();
      request.on('end', () => {
        asked.push(`${request.method} ${request.url}`);
        const [status, body] = answers.shift() ?? [200, ''];
        response.writeHead(status, status === 307 ? { location: body } : {}).end(status === 307 ? '' : body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    // Sound: a TCP server has an address of this form.
    const { port } = server.address() as AddressInfo;
    strange = await openS3Blobs({ ...place, endpoint: `http://127.0.0.1:${port}` });
  });
  afterAll(async () => {
    await strange.close();
    server.closeAllConnections();
    server.close();
  });

  const error = (code: string) => `<Error><Code>${code}</Code><Message>no</Message></Error>`;

  it('that has too much to do is asked again', async () => {
    asked = [];
    answers.push([503, error('SlowDown')], [500, error('InternalError')], [200, '']);
    await strange.write(randomUUID(), inPieces(made(10)), { maxBytes: 10 });
    expect(asked.length).toBe(3);
  });

  it('that is full is said as such', async () => {
    answers.push(
      [507, error('XMinioStorageFull')],
      [507, error('XMinioStorageFull')],
      [507, error('XMinioStorageFull')],
      [507, error('XMinioStorageFull')],
    );
    await expect(strange.write(randomUUID(), inPieces(made(10)), { maxBytes: 10 })).rejects.toThrow(NoRoom);
    answers.length = 0;
  });
});

describe('a backend whose files are in S3', () => {
  it('keeps them there, and its check reads them there', async () => {
    await using front = await makeProject({
      'supabase/config.toml': 'project_id = "front"\n[api]\nauto_expose_new_tables = false\n',
    });
    const env = { ...environment, MILLRACE_STORAGE_S3_PREFIX: 'front/' };
    await using backend = await startBackend(front.folder, [], { env });
    expect((await ask(backend, 'POST', '/bucket', '{"name":"b"}')).status).toBe(200);
    expect((await ask(backend, 'POST', '/object/b/far', 'far away')).status).toBe(200);
    expect(await ask(backend, 'GET', '/object/b/far')).toEqual({ status: 200, text: 'far away' });
    const { rows } = await list(store);
    expect(rows).toHaveLength(2);
    const args = ['storage', 'check', '--json', '--checksums', '--project', front.folder];
    const { stdout } = await runCli(args, { env });
    expect(JSON.parse(stdout)).toMatchObject({ blobs: 2, digests: 1, orphans: 0, missing: 0 });
    expect((await ask(backend, 'DELETE', '/object/b/far')).status).toBe(200);
    await expect.poll(async () => (await list(store)).rows.length, { timeout: 20_000 }).toBe(1);
  });

  it('moves them there from the disk while it serves', async () => {
    await using front = await makeProject({
      'supabase/config.toml': 'project_id = "mover"\n[api]\nauto_expose_new_tables = false\n',
    });
    await using before = await startBackend(front.folder);
    await ask(before, 'POST', '/bucket', '{"name":"b"}');
    for (const name of ['one', 'two', 'three'])
      await ask(before, 'POST', `/object/b/${name}`, `the file ${name}`);
    expect(await before.stop()).toBe(0);

    const env = { ...environment, MILLRACE_STORAGE_S3_PREFIX: 'mover/' };
    const both = { ...env, MILLRACE_STORAGE_PREVIOUS_BACKEND: 'file' };
    await using during = await startBackend(front.folder, [], { env: both });
    expect(await ask(during, 'GET', '/object/b/one')).toEqual({ status: 200, text: 'the file one' });
    expect((await ask(during, 'DELETE', '/object/b/two')).status).toBe(200);
    const copy = JSON.stringify({ bucketId: 'b', sourceKey: 'three', destinationKey: 'four' });
    expect((await ask(during, 'POST', '/object/copy', copy)).status).toBe(200);
    const moved = await runCli(['storage', 'move', '--json', '--project', front.folder], { env: both });
    expect(JSON.parse(moved.stdout)).toMatchObject({ failed: 0, isDone: true });
    const again = await runCli(['storage', 'move', '--json', '--project', front.folder], { env: both });
    expect(JSON.parse(again.stdout)).toMatchObject({ moved: 0, failed: 0, isDone: true });
    expect(await during.stop()).toBe(0);

    await rm(join(front.folder, '.millrace', 'files'), { recursive: true });
    await using after = await startBackend(front.folder, [], { env });
    for (const [name, of] of [
      ['one', 'one'],
      ['three', 'three'],
      ['four', 'three'],
    ])
      expect(await ask(after, 'GET', `/object/b/${name}`)).toEqual({ status: 200, text: `the file ${of}` });
    expect((await ask(after, 'GET', '/object/b/two')).text).toContain('Object not found');
    const check = ['storage', 'check', '--json', '--checksums', '--project', front.folder];
    const { stdout } = await runCli(check, { env });
    expect(JSON.parse(stdout)).toMatchObject({ digests: 3, missing: 0, wrongSize: 0, wrongDigest: 0 });
  });

  it('has the time that putting a large upload together takes, however long a request may take', async () => {
    await using front = await makeProject({
      'supabase/config.toml':
        'project_id = "slow"\n[api]\nauto_expose_new_tables = false\n[gateway]\nrequest_timeout = "1s"\n',
    });
    const bytes = made(12 * 1024 * 1024);
    const half = bytes.length / 2;
    /** What stands between the two: it passes all on, and takes its time with what has become whole. */
    let wholes = 0;
    const between = createServer((incoming, outgoing) => {
      const { method, url = '', headers } = incoming;
      const isWhole = method === 'PUT' && Number(headers['content-length']) >= bytes.length;
      if (isWhole) wholes += 1;
      const on = httpRequest(store.report.API_URL, { method, path: url, headers }, (answer) => {
        setTimeout(
          () => {
            outgoing.writeHead(answer.statusCode!, answer.headers);
            answer.pipe(outgoing);
          },
          isWhole ? 4_000 : 0,
        );
      });
      incoming.pipe(on);
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    const { port } = between.address() as AddressInfo;
    const env = {
      ...environment,
      STORAGE_S3_ENDPOINT: `http://127.0.0.1:${port}/storage/v1/s3`,
      MILLRACE_STORAGE_S3_PREFIX: 'slow/',
    };
    // A program of its own: what else this process does would be counted as the request's second.
    await using backend = await startProgram(front.folder, [], { env });
    await ask(backend, 'POST', '/bucket', '{"name":"b"}');
    const headers = {
      authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}`,
      'content-type': 'application/offset+octet-stream',
    };
    const begun = await askTus(
      'POST',
      `${backend.report.API_URL}/storage/v1/upload/resumable`,
      {
        ...headers,
        'upload-length': String(bytes.length),
        'upload-metadata': encodeMetadata({ bucketName: 'b', objectName: 'large' }),
      },
      bytes.subarray(0, half),
    );
    expect(begun.status).toBe(201);
    const end = await askTus(
      'PATCH',
      begun.headers.location!,
      { ...headers, 'upload-offset': String(half) },
      bytes.subarray(half),
    );
    expect(end).toMatchObject({ status: 204, headers: { 'tus-complete': '1' } });
    expect(wholes).toBe(1);
    between.close();
    between.closeAllConnections();
  });

  async function list(of: RunningBackend): Promise<{ rows: readonly unknown[] }> {
    const { text } = await ask(of, 'POST', '/object/list/files', '{"prefix":"front","limit":100}');
    return { rows: JSON.parse(text) };
  }
});
