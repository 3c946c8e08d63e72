// In charge of: files that are shown to ClamAV's clamd before they are there: found in every way that a file comes, refused with an answer of their own, and
// nothing kept; and what becomes of files when clamd is away, slow, or takes none so large.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findStateFolder } from '../src/engine/db/postgres/state-folder.ts';
import { parseClamdAddress } from '../src/services/storage/scan/clamd-address.ts';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { eicar, hasClamd, type SmallClamd, startRealClamd, startSmallClamd } from './harness/clamd.ts';
import { openSuperuser } from './harness/sessions.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

const mebibyte = 1024 * 1024;
let folder: string;
let socketPath: string;
let clamd: SmallClamd;
let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-clamd-'));
  socketPath = join(folder, 'small.sock');
  clamd = await startSmallClamd(socketPath, 8 * mebibyte);
  project = await makeProject({
    'supabase/config.toml': `
project_id = "scan"
[storage.scan]
clamd = "unix:${socketPath}"
max_size = "8MiB"
timeout = 2
max_parallel = 2
[storage.buckets.plain]
public = false
[storage.buckets.sealed]
encrypted = true
`,
  });
  backend = await startBackend(project.folder);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await clamd?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  clamd.shown.length = 0;
  clamd.mood = 'well';
  clamd.delayMs = 0;
  clamd.most = 0;
});

const authorization = () => `Bearer ${backend.report.SERVICE_ROLE_KEY}`;
const storageUrl = (path: string) => `${backend.report.API_URL}/storage/v1${path}`;

async function put(path: string, body: Buffer | string, more: Readonly<Record<string, string>> = {}) {
  const response = await fetch(storageUrl(`/object/${path}`), {
    method: 'POST',
    headers: { authorization: authorization(), ...more },
    body: Buffer.from(body),
  });
  return [response.status, response.ok ? 'kept' : await response.json()];
}

const bad = (bytes = 0) => Buffer.concat([randomBytes(bytes), Buffer.from(eicar)]);
const found = {
  statusCode: '422',
  code: 'VirusFound',
  error: 'Virus found',
  message: 'The file was refused: it contains "Eicar-Test-Signature".',
};

/** Versions that lie on the disk, without the mark. */
async function kept(): Promise<readonly string[]> {
  const files = join(project.folder, '.millrace', 'files');
  const names = await readdir(files, { recursive: true });
  return names.filter((name) => /^\w\w\/.{36}/.test(name)).map((name) => name.slice(3));
}

async function named(): Promise<readonly string[]> {
  const { rows } = await database.query('select version from storage.objects');
  return rows.map(({ version }) => version as string);
}

/** Nothing lies there that no row names. */
async function nothingIsLeft(): Promise<void> {
  await expect.poll(async () => [...(await kept())].sort()).toEqual([...(await named())].sort());
}

const set = async (key: string, value: string) => {
  const { code, stderr } = await runCli(['settings', 'set', key, value, '--project', project.folder]);
  if (code !== 0) throw new Error(stderr);
};
const unset = (key: string) => runCli(['settings', 'reset', key, '--project', project.folder]);

describe('a file', () => {
  it('is looked at whole before it is there, also in an encrypted bucket', async () => {
    expect(await put('plain/good', Buffer.alloc(300_000))).toEqual([200, 'kept']);
    expect(await put('sealed/good', Buffer.alloc(200_000))).toEqual([200, 'kept']);
    expect(await put('plain/empty', '')).toEqual([200, 'kept']);
    expect(clamd.shown).toEqual([300_000, 200_000, 0]);
  });

  it('with a virus is refused, and nothing of it is kept; what was there before stays', async () => {
    expect(await put('plain/letter', 'a letter')).toEqual([200, 'kept']);
    expect(await put('plain/bad', bad(100_000))).toEqual([400, found]);
    expect(await put('sealed/bad', bad(100_000))).toEqual([400, found]);
    expect(await put('plain/letter', bad(), { 'x-upsert': 'true' })).toEqual([400, found]);
    const response = await fetch(storageUrl('/object/authenticated/plain/letter'), {
      headers: { authorization: authorization() },
    });
    expect(await response.text()).toBe('a letter');
    await nothingIsLeft();
    await expect.poll(() => backend.log()).toContain('"kind":"storage.virus_found"');
  });

  it('is found in what comes by tus in stretches, none of which has it alone', async () => {
    const bytes = bad(6 * mebibyte);
    const cut = bytes.length - 30;
    const made = await askTus('POST', storageUrl('/upload/resumable'), {
      authorization: authorization(),
      'upload-length': String(bytes.length),
      'upload-metadata': encodeMetadata({ bucketName: 'plain', objectName: 'stretches' }),
    });
    const patch = (at: number, stretch: Buffer) =>
      askTus(
        'PATCH',
        made.headers.location!,
        {
          authorization: authorization(),
          'content-type': 'application/offset+octet-stream',
          'upload-offset': String(at),
        },
        stretch,
      );
    expect((await patch(0, bytes.subarray(0, cut))).status).toBe(204);
    const { status, body } = await patch(cut, bytes.subarray(cut));
    expect([status, body]).toEqual([422, found.message]);
    expect((await patch(0, bytes)).status).toBe(404);
    await using superuser = await openSuperuser(await findStateFolder({ project: project.folder }));
    expect((await superuser.query('select from _millrace.resumable_parts')).rowCount).toBe(0);
    await nothingIsLeft();
  });

  it('is found in what comes by S3, in one and in parts', async () => {
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
    const place = { Bucket: 'plain', Key: 'by-s3' };
    const refusal = { name: 'VirusFound', $metadata: { httpStatusCode: 422 } };
    await expect(client.send(new PutObjectCommand({ ...place, Body: bad() }))).rejects.toMatchObject(refusal);
    const bytes = bad(5 * mebibyte);
    const cut = bytes.length - 30;
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(place));
    const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
    for (const Body of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      const PartNumber = Parts.length + 1;
      const { ETag } = await client.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
      Parts.push({ PartNumber, ETag });
    }
    const complete = new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } });
    await expect(client.send(complete)).rejects.toMatchObject(refusal);
    await expect(client.send(complete)).rejects.toMatchObject({ name: 'NoSuchUpload' });
    client.destroy();
    await nothingIsLeft();
  });

  it('waits for its turn, two at once', async () => {
    clamd.delayMs = 50;
    const answers = await Promise.all(Array.from({ length: 12 }, (_, at) => put(`plain/turn-${at}`, 'x')));
    expect(answers).toEqual(Array(12).fill([200, 'kept']));
    expect(clamd.most).toBe(2);
  });
});

describe('what clamd cannot look at', () => {
  const unavailable = [
    503,
    {
      statusCode: '503',
      code: 'ScanUnavailable',
      error: 'Scan unavailable',
      message: 'The file could not be checked for viruses, so it was not kept. Try again in a moment.',
    },
  ];
  const tooLarge = [
    400,
    {
      statusCode: '413',
      code: 'EntityTooLarge',
      error: 'Payload too large',
      message: 'The object exceeded the maximum allowed size',
    },
  ];

  it('is refused: when it says that it could not, when it says nothing in time, and when it is not there', async () => {
    clamd.mood = 'broken';
    expect(await put('plain/unseen', 'x')).toEqual(unavailable);
    clamd.mood = 'silent';
    expect(await put('plain/unseen', 'x')).toEqual(unavailable);
    await set('storage.scan.clamd', 'unix:/nowhere/clamd.ctl');
    expect(await put('plain/unseen', 'x')).toEqual(unavailable);
    await unset('storage.scan.clamd');
    clamd.mood = 'well';
    await nothingIsLeft();
    for (const reason of ['failed', 'late', 'away'])
      await expect.poll(() => backend.log()).toContain(`"reason":"${reason}"`);
  });

  it('is refused when it is larger than clamd takes, before its bytes have come', async () => {
    expect(await put('plain/large', Buffer.alloc(8 * mebibyte + 1))).toEqual(tooLarge);
    expect(clamd.shown).toEqual([]);
    await set('storage.scan.max_size', '9MiB');
    expect(await put('plain/large', Buffer.alloc(8 * mebibyte + 1))).toEqual([
      400,
      { ...(tooLarge[1] as object), message: 'The object exceeded the size that can be checked for viruses' },
    ]);
    await unset('storage.scan.max_size');
    await nothingIsLeft();
  });

  it('is let in where that is wanted, with a line in the log; what it finds is refused as before', async () => {
    await set('storage.scan.unscanned', 'accept');
    clamd.mood = 'silent';
    expect(await put('plain/late', 'x')).toEqual([200, 'kept']);
    clamd.mood = 'well';
    expect(await put('plain/large', Buffer.alloc(8 * mebibyte + 1))).toEqual([200, 'kept']);
    expect(await put('plain/bad', bad())).toEqual([400, found]);
    await expect.poll(() => backend.log()).toContain('"became":"accepted"');
    await unset('storage.scan.unscanned');
  });
});

describe.skipIf(!hasClamd)('ClamAV’s own clamd', () => {
  it('finds what it finds, and lets through what it does not', async () => {
    await using real = await startRealClamd(folder);
    await set('storage.scan.clamd', `unix:${real.path}`);
    expect(await put('plain/real-good', randomBytes(500_000))).toEqual([200, 'kept']);
    expect(await put('plain/real-bad', eicar)).toEqual([
      400,
      { ...found, message: 'The file was refused: it contains "Eicar-By-Test.UNOFFICIAL".' },
    ]);
    expect((await put('plain/real-large', Buffer.alloc(3 * mebibyte)))[0]).not.toBe(200);
    await unset('storage.scan.clamd');
    await nothingIsLeft();
  });
});

describe('the address of clamd', () => {
  it.each([
    ['unix:/run/clamav/clamd.ctl', { path: '/run/clamav/clamd.ctl' }],
    ['unix:///run/clamd', { path: '/run/clamd' }],
    ['tcp://127.0.0.1:3310', { host: '127.0.0.1', port: 3310 }],
    ['tcp://[::1]:3310', { host: '::1', port: 3310 }],
    ['tcp://clamd', undefined],
    ['tcp://clamd:0', undefined],
    ['tcp://clamd:99999', undefined],
    ['unix:relative', undefined],
    ['127.0.0.1:3310', undefined],
  ])('%s', (text, address) => {
    expect(parseClamdAddress(text)).toEqual(address);
  });
});
