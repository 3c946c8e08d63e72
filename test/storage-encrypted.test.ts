// In charge of: encrypted buckets over a real socket: every way in and out works as with any bucket, nothing of the bytes lies on the disk, and what
// somebody changed there is never given out.
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findStateFolder } from '../src/engine/db/postgres/state-folder.ts';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { openSuperuser } from './harness/sessions.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

const mebibyte = 1024 * 1024;
const config = (more = '') => `
project_id = "encrypted"
[storage.buckets.sealed]
encrypted = true
[storage.buckets.open]
public = true
${more}`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let service: SupabaseClient;
let database: pg.Client;

async function start(): Promise<void> {
  backend = await startBackend(project.folder);
  service = createClient(backend.report.API_URL, backend.report.SECRET_KEY);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
}

async function stop(): Promise<void> {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
}

beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config() });
  await start();
});
afterAll(async () => {
  await stop();
  await project?.[Symbol.asyncDispose]();
});

const superuser = async (sql: string) => {
  await using client = await openSuperuser(await findStateFolder({ project: project.folder }));
  return (await client.query(sql)).rows;
};
const versionOf = async (bucket: string, name: string): Promise<string> => {
  const { rows } = await database.query(
    'select version from storage.objects where bucket_id = $1 and name = $2',
    [bucket, name],
  );
  return rows[0].version;
};
const sealedPattern = /^[0-9a-f-]{36}-e-[0-9a-f]{16}$/;
const pathOf = (version: string) => join(project.folder, '.millrace', 'files', version.slice(0, 2), version);
const kept = async (bucket: string, name: string) => readFile(pathOf(await versionOf(bucket, name)));
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');

async function must<T>(answer: PromiseLike<{ data: T; error: unknown }>): Promise<NonNullable<T>> {
  const { data, error } = await answer;
  expect(error).toBeNull();
  return data!;
}

async function upload(bucket: string, name: string, bytes: Buffer): Promise<void> {
  await must(service.storage.from(bucket).upload(name, bytes, { contentType: 'text/plain', upsert: true }));
}

async function download(bucket: string, name: string): Promise<Buffer> {
  const blob = await must(service.storage.from(bucket).download(name));
  return Buffer.from(await blob.arrayBuffer());
}

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${backend.report.API_URL}/storage/v1${path}`, {
    headers: { authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}`, ...headers },
  });

async function command(...args: string[]) {
  const { code, stdout, stderr } = await runCli([
    ...args,
    '--json',
    '--project',
    project.folder,
    ...(args[0] === 'storage' ? ['--port', '0', '--db-port', '0'] : []),
  ]);
  if (!stdout.startsWith('{')) throw new Error(stderr);
  return { code, said: JSON.parse(stdout) };
}

describe('a file in an encrypted bucket', () => {
  it('is what it is everywhere else, and on the disk nothing of it is to be seen', async () => {
    const bytes = Buffer.from('Dear diary, '.repeat(20_000));
    await upload('sealed', 'diary.txt', bytes);
    await upload('open', 'diary.txt', bytes);
    expect(await download('sealed', 'diary.txt')).toEqual(bytes);
    expect(await versionOf('sealed', 'diary.txt')).toMatch(sealedPattern);
    expect((await kept('sealed', 'diary.txt')).includes('diary')).toBe(false);
    expect((await kept('open', 'diary.txt')).equals(bytes)).toBe(true);
    const [sealed, open] = await Promise.all(
      ['sealed', 'open'].map((bucket) => must(service.storage.from(bucket).info('diary.txt'))),
    );
    expect(sealed).toMatchObject({ size: bytes.length, etag: `"${md5(bytes)}"`, contentType: 'text/plain' });
    expect([sealed!.size, sealed!.etag]).toEqual([open!.size, open!.etag]);
  });

  it('is given in ranges, with the headers of any file', async () => {
    const bytes = randomBytes(300_000);
    await upload('sealed', 'ranges', bytes);
    const response = await get('/object/authenticated/sealed/ranges', { range: 'bytes=65530-200001' });
    expect(response.status).toBe(206);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-range': 'bytes 65530-200001/300000',
      'content-length': '134472',
      etag: `"${md5(bytes)}"`,
    });
    expect(Buffer.from(await response.arrayBuffer())).toEqual(bytes.subarray(65_530, 200_002));
  });

  it('comes by the tus protocol in stretches, and its parts are encrypted meanwhile', async () => {
    const bytes = randomBytes(6 * mebibyte);
    const authorization = `Bearer ${backend.report.SERVICE_ROLE_KEY}`;
    const made = await askTus('POST', `${backend.report.API_URL}/storage/v1/upload/resumable`, {
      authorization,
      'upload-length': String(bytes.length),
      'upload-metadata': encodeMetadata({ bucketName: 'sealed', objectName: 'stretches' }),
    });
    const url = made.headers.location!;
    const patch = (at: number, stretch: Buffer) =>
      askTus(
        'PATCH',
        url,
        { authorization, 'content-type': 'application/offset+octet-stream', 'upload-offset': String(at) },
        stretch,
      );
    expect((await patch(0, bytes.subarray(0, 1_000_000))).status).toBe(204);
    const parts = await superuser('select version from _millrace.resumable_parts');
    expect(parts).toEqual([{ version: expect.stringMatching(sealedPattern) }]);
    expect((await patch(1_000_000, bytes.subarray(1_000_000, 2_000_000))).status).toBe(204);
    expect((await patch(2_000_000, bytes.subarray(2_000_000))).status).toBe(204);
    expect(await versionOf('sealed', 'stretches')).toMatch(sealedPattern);
    expect((await download('sealed', 'stretches')).equals(bytes)).toBe(true);
  });

  it('comes and goes by S3, also in parts, with the ETags that clients compute', async () => {
    const client = openS3();
    const [one, two] = [randomBytes(5 * mebibyte), randomBytes(1000)];
    const place = { Bucket: 'sealed', Key: 'by-s3' };
    await client.send(new PutObjectCommand({ ...place, Body: two }));
    expect(await client.send(new HeadObjectCommand(place))).toMatchObject({
      ETag: `"${md5(two)}"`,
      ContentLength: 1000,
    });
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(place));
    const Parts = [];
    for (const [at, Body] of [one, two].entries()) {
      const PartNumber = at + 1;
      const { ETag } = await client.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
      expect(ETag).toBe(`"${md5(Body)}"`);
      Parts.push({ PartNumber, ETag });
    }
    await client.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }));
    expect(await versionOf('sealed', 'by-s3')).toMatch(sealedPattern);
    const { Body, ContentLength } = await client.send(new GetObjectCommand(place));
    expect(ContentLength).toBe(one.length + two.length);
    expect(Buffer.from(await Body!.transformToByteArray()).equals(Buffer.concat([one, two]))).toBe(true);
    client.destroy();
  });

  it('is made smaller as an image, of which nothing is kept on the disk', async () => {
    const picture = await sharp({
      create: { width: 200, height: 100, channels: 3, background: 'red' },
    })
      .png()
      .toBuffer();
    await must(service.storage.from('sealed').upload('red.png', picture, { contentType: 'image/png' }));
    const image = await must(
      service.storage.from('sealed').download('red.png', { transform: { width: 20 } }),
    );
    expect(await sharp(Buffer.from(await image.arrayBuffer())).metadata()).toMatchObject({ width: 20 });
    const version = await versionOf('sealed', 'red.png');
    const images = await readdir(join(project.folder, '.millrace', 'images')).catch(() => []);
    expect(images).not.toContain(version);
  });

  it('is copied and moved between buckets of both kinds; what comes in is encrypted, and is never plain again by itself', async () => {
    const bytes = Buffer.from('a letter '.repeat(1000));
    await upload('open', 'letter', bytes);
    await must(service.storage.from('open').copy('letter', 'copied', { destinationBucket: 'sealed' }));
    await must(service.storage.from('sealed').copy('copied', 'back', { destinationBucket: 'open' }));
    await must(service.storage.from('sealed').copy('copied', 'twice'));
    const plain = await versionOf('open', 'letter');
    await must(service.storage.from('open').move('letter', 'moved', { destinationBucket: 'sealed' }));
    for (const name of ['copied', 'twice', 'moved']) {
      expect(await versionOf('sealed', name)).toMatch(sealedPattern);
      expect((await kept('sealed', name)).includes('letter')).toBe(false);
      expect(await download('sealed', name)).toEqual(bytes);
    }
    expect((await kept('open', 'back')).equals(bytes)).toBe(true);
    await expect
      .poll(() => readFile(pathOf(plain)).catch((error: NodeJS.ErrnoException) => error.code))
      .toBe('ENOENT');
    await must(service.storage.from('sealed').move('moved', 'out', { destinationBucket: 'open' }));
    expect(await versionOf('open', 'out')).toMatch(sealedPattern);
    expect(await download('open', 'out')).toEqual(bytes);
  });
});

describe('the keys', () => {
  it('are one for each bucket, wrapped; a change of the master key and a restart leave every file readable', async () => {
    const bytes = randomBytes(100_000);
    await upload('sealed', 'before', bytes);
    const keys = await superuser(
      `select key.bucket_id, octet_length(secret.sealed) as wrapped from _millrace.bucket_keys as key
       join _millrace.secrets as secret on secret.purpose = 'bucket key' and secret.id = key.id`,
    );
    expect(keys).toEqual([{ bucket_id: 'sealed', wrapped: 69 }]);
    expect((await command('master-key', 'rotate')).code).toBe(0);
    expect(await download('sealed', 'before')).toEqual(bytes);
    await stop();
    await start();
    expect(await download('sealed', 'before')).toEqual(bytes);
    await upload('sealed', 'after', bytes);
    const end = (version: string) => version.slice(-16);
    expect(end(await versionOf('sealed', 'after'))).toBe(end(await versionOf('sealed', 'before')));
  });
});

describe('`millrace storage encrypt --new-keys`', () => {
  it('writes every encrypted file anew by another key while the program serves, and goes on where it was broken off', async () => {
    const bytes = randomBytes(100_000);
    await upload('sealed', 'kept', bytes);
    const { rows } = await database.query(
      "select count(*)::int from storage.objects where version like '%-e-%'",
    );
    const end = async (name: string) => (await versionOf('sealed', name)).slice(-16);
    const before = await end('kept');
    const { code, said } = await command('storage', 'encrypt', '--new-keys');
    expect([code, said]).toEqual([
      0,
      { encrypted: rows[0].count - 1, decrypted: 1, bytes: expect.any(Number), failed: 0, isDone: true },
    ]);
    const after = await end('kept');
    expect(after).not.toBe(before);
    expect(await download('sealed', 'kept')).toEqual(bytes);
    await upload('sealed', 'later', bytes);
    expect(await end('later')).toBe(after);
    // As one that was cut off leaves it: keys are no longer in use, and files are by them.
    await superuser('delete from _millrace.bucket_keys');
    expect((await command('storage', 'encrypt')).said).toMatchObject({ encrypted: rows[0].count, failed: 0 });
    expect(await end('kept')).not.toBe(after);
    expect(await download('sealed', 'kept')).toEqual(bytes);
    expect((await command('storage', 'encrypt')).said).toMatchObject({ encrypted: 0, decrypted: 0 });
  });
});

describe('bytes that somebody has changed on the disk', () => {
  it('are not given out: the answer says so, and so does the log', async () => {
    await upload('sealed', 'changed', Buffer.from('ten thousand'));
    const path = pathOf(await versionOf('sealed', 'changed'));
    const bytes = await readFile(path);
    bytes[bytes.length - 20]! ^= 1;
    await writeFile(path, bytes);
    const response = await get('/object/authenticated/sealed/changed');
    expect([response.status, await response.json()]).toEqual([
      500,
      {
        statusCode: '500',
        code: 'InternalError',
        error: 'Internal',
        message: 'The bytes of this file are damaged. They are not given out.',
      },
    ]);
    await expect.poll(() => backend.log()).toContain('storage.blob_damaged');
  });

  it('are found by storage check, as is a file in the place of another', async () => {
    for (const name of ['one', 'two']) await upload('sealed', name, Buffer.from(`the file ${name}`));
    const [one, two] = await Promise.all(['one', 'two'].map((name) => versionOf('sealed', name)));
    await writeFile(pathOf(one!), await readFile(pathOf(two!)));
    const { code, said } = await command('storage', 'check', '--checksums');
    expect(code).toBe(1);
    expect(said).toMatchObject({ orphans: 0, missing: 0, wrongSize: 0, wrongDigest: 2 });
    const findings = said.findings as { place: string; kind: string; found: string }[];
    expect(findings.map(({ place, kind, found }) => [place, kind, found]).sort()).toEqual([
      ['sealed/changed', 'digest', 'that of damaged bytes'],
      ['sealed/one', 'digest', 'that of damaged bytes'],
    ]);
    await must(service.storage.from('sealed').remove(['one', 'changed']));
  });
});

describe('a bucket that is encrypted later', () => {
  it('has its old files as they were, and encrypted after `millrace storage encrypt`; and back', async () => {
    const bytes = Buffer.from('old news '.repeat(10_000));
    await upload('open', 'old', bytes);
    await command(
      'settings',
      'set',
      'storage.buckets',
      '{"sealed":{"encrypted":true},"open":{"encrypted":true}}',
    );
    await upload('open', 'new', bytes);
    expect(await versionOf('open', 'new')).toMatch(sealedPattern);
    expect((await kept('open', 'old')).equals(bytes)).toBe(true);
    expect(await download('open', 'old')).toEqual(bytes);
    const { code, said } = await command('storage', 'encrypt');
    expect({ code, said }).toEqual({
      code: 0,
      said: { encrypted: 4, decrypted: 0, bytes: expect.any(Number), failed: 0, isDone: true },
    });
    expect((await kept('open', 'old')).includes('news')).toBe(false);
    expect(await download('open', 'old')).toEqual(bytes);
    expect((await command('storage', 'encrypt')).said).toMatchObject({ encrypted: 0, decrypted: 0 });
    await command('settings', 'set', 'storage.buckets', '{"sealed":{"encrypted":true}}');
    expect((await command('storage', 'encrypt')).said).toMatchObject({ encrypted: 0, failed: 0 });
    expect((await kept('open', 'old')).equals(bytes)).toBe(true);
    expect((await command('storage', 'check', '--checksums')).code).toBe(0);
  });

  it('is refused with a sentence when the setting is none', async () => {
    const other = await makeProject({ 'supabase/config.toml': config().replace('= true', '= "perhaps"') });
    const { code, stderr } = await runCli(['keys', '--project', other.folder]);
    expect([code, stderr.split('\n')[0]]).toEqual([
      1,
      expect.stringContaining('"storage.buckets.sealed.encrypted" is "perhaps", but must be true or false.'),
    ]);
    await other[Symbol.asyncDispose]();
  });
});

function openS3(): S3Client {
  const report = backend.report as unknown as Readonly<Record<string, string>>;
  return new S3Client({
    endpoint: report.STORAGE_S3_URL!,
    region: 'local',
    forcePathStyle: true,
    credentials: {
      accessKeyId: report.S3_PROTOCOL_ACCESS_KEY_ID!,
      secretAccessKey: report.S3_PROTOCOL_ACCESS_KEY_SECRET!,
    },
  });
}
