// In charge of: requests on the same files at the same moment: each is answered as if the others had come before it or after it, and nothing is left
// that no row names.
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import pg from 'pg';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

const times = Number(process.env.TIMES ?? 30);
const partBytes = 5 * 1024 * 1024;

const config = '[storage.image_transformation]\nenabled = true\n[storage.buckets.room]\npublic = true\n';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let s3: S3Client;

beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config });
  backend = await startBackend(project.folder);
  const report = backend.report as unknown as Readonly<Record<string, string>>;
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  s3 = new S3Client({
    endpoint: report.STORAGE_S3_URL!,
    region: 'local',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: {
      accessKeyId: report.S3_PROTOCOL_ACCESS_KEY_ID!,
      secretAccessKey: report.S3_PROTOCOL_ACCESS_KEY_SECRET!,
    },
  });
});
afterAll(async () => {
  s3?.destroy();
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

/** The status that is meant, and the code: `404 NoSuchKey`. */
async function ask(
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer> | object,
): Promise<string> {
  const isJson = typeof body === 'object' && !(body instanceof Uint8Array);
  const response = await fetch(`${backend.report.API_URL}/storage/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}`,
      'x-upsert': 'true',
      'content-type': isJson ? 'application/json' : 'text/plain',
    },
    ...(body !== undefined && { body: isJson ? JSON.stringify(body) : (body as string) }),
  });
  const text = await response.text();
  if (response.ok) return String(response.status);
  const { statusCode, code } = JSON.parse(text) as { statusCode: string; code: string };
  return `${statusCode} ${code}`;
}

const put = (name: string, text: string) => ask('POST', `/object/room/${name}`, text);

async function read(name: string): Promise<string> {
  const response = await fetch(`${backend.report.API_URL}/storage/v1/object/public/room/${name}`);
  return response.ok ? response.text() : '';
}

const nameOf = async (sent: Promise<unknown>) =>
  sent.then(
    () => 'done',
    (error: { readonly name: string }) => error.name,
  );

/** Bytes that are there and that no row names, once what is written down has been removed; and drafts. */
async function leftovers(): Promise<readonly string[]> {
  const folder = join(project.folder, '.millrace', 'files');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const { rows } = await database.query<{ version: string }>(`
    select version from storage.objects union all select version from storage.s3_multipart_uploads_parts
    union all select version from _millrace.resumable_parts`);
  const named = new Set(rows.map(({ version }) => version));
  return entries
    .filter((entry) => entry.isFile() && !named.has(entry.name) && !entry.name.startsWith('millrace'))
    .map(({ name }) => name);
}

it('a copy finds its original, however often that is overwritten meanwhile', async () => {
  await put('original', 'text 0');
  const answers = new Set<string>();
  for (let turn = 1; turn <= times; turn++) {
    const copies = Array.from({ length: 3 }, (_, copy) =>
      ask('POST', '/object/copy', {
        bucketId: 'room',
        sourceKey: 'original',
        destinationKey: `copy-${copy}`,
      }),
    );
    const [written, ...copied] = await Promise.all([put('original', `text ${turn}`), ...copies]);
    for (const answer of [written!, ...copied]) answers.add(answer);
    for (let copy = 0; copy < 3; copy++)
      expect([`text ${turn - 1}`, `text ${turn}`]).toContain(await read(`copy-${copy}`));
  }
  expect([...answers]).toEqual(['200']);
});

it('a part that is copied finds its original, too', async () => {
  await put('whole', 'text 0');
  const place = { Bucket: 'room', Key: 'of-parts' };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place));
  const answers = new Set<string>();
  for (let turn = 1; turn <= times; turn++) {
    const copies = [1, 2, 3].map((PartNumber) =>
      nameOf(
        s3.send(new UploadPartCopyCommand({ ...place, UploadId, PartNumber, CopySource: 'room/whole' })),
      ),
    );
    const [written, ...copied] = await Promise.all([put('whole', `text ${turn}`), ...copies]);
    for (const answer of [written!, ...copied]) answers.add(answer);
  }
  await s3.send(new AbortMultipartUploadCommand({ ...place, UploadId }));
  expect([...answers].sort()).toEqual(['200', 'done']);
});

it('a file that is overwritten, moved and deleted at once is one of them or not there', async () => {
  const answers = new Set<string>();
  for (let turn = 1; turn <= times; turn++) {
    await put('here', `before ${turn}`);
    await ask('DELETE', '/object/room/there');
    const move = { bucketId: 'room', sourceKey: 'here', destinationKey: 'there' };
    const outcomes = await Promise.all([
      put('here', `after ${turn}`),
      ask('POST', '/object/move', move),
      ask('DELETE', '/object/room/here'),
    ]);
    for (const [at, outcome] of outcomes.entries())
      answers.add(`${['write', 'move', 'delete'][at]} ${outcome}`);
    for (const name of ['here', 'there']) {
      const text = await read(name);
      expect(['', `before ${turn}`, `after ${turn}`]).toContain(text);
    }
  }
  expect(
    [...answers].filter((answer) => !/^(write 200|(move|delete) (200|404 NoSuchKey))$/.test(answer)),
  ).toEqual([]);
});

it('an upload in parts that is completed and aborted at once is the one or the other', async () => {
  const part = Buffer.alloc(partBytes, 'p');
  const answers = new Set<string>();
  for (let turn = 0; turn < Math.ceil(times / 6); turn++) {
    const place = { Bucket: 'room', Key: `parts-${turn}` };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place));
    const Parts = await Promise.all(
      [part, Buffer.from('the end')].map(async (Body, at) => {
        const PartNumber = at + 1;
        const { ETag } = await s3.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
        return { ETag, PartNumber };
      }),
    );
    const complete = () =>
      nameOf(s3.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } })));
    const outcomes = await Promise.all([
      complete(),
      nameOf(s3.send(new AbortMultipartUploadCommand({ ...place, UploadId }))),
      complete(),
    ]);
    answers.add(outcomes.join(', '));
    const text = await read(place.Key);
    if (outcomes[0] === 'done' || outcomes[2] === 'done')
      expect(createHash('md5').update(text).digest('hex')).toBe(
        createHash('md5').update(part).update('the end').digest('hex'),
      );
    else expect(text).toBe('');
  }
  expect([...answers].filter((one) => !/^((done|NoSuchUpload|InvalidPart)(, |$)){3}$/.test(one))).toEqual([]);
});

it('a resumable upload that is ended while its bytes come is whole or not there', async () => {
  const bytes = Buffer.alloc(300_000, 'r');
  const headers = { authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` };
  const answers = new Set<string>();
  for (let turn = 0; turn < Math.ceil(times / 3); turn++) {
    const name = `resumed-${turn}`;
    const created = await askTus('POST', `${backend.report.API_URL}/storage/v1/upload/resumable`, {
      ...headers,
      'upload-length': String(bytes.length),
      'upload-metadata': encodeMetadata({ bucketName: 'room', objectName: name }),
    });
    const url = created.headers.location!;
    const [patched, ended] = await Promise.all([
      askTus(
        'PATCH',
        url,
        { ...headers, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
        bytes,
      ),
      askTus('DELETE', url, headers),
    ]);
    answers.add(`${patched.status} ${patched.body.trim()} / ${ended.status} ${ended.body.trim()}`);
    const text = await read(name);
    expect(text.length).toBe(patched.status === 204 ? bytes.length : 0);
  }
  expect([...answers].filter((one) => !/^(204|4\d\d) .*\/ (204|4\d\d) /.test(one))).toEqual([]);
});

it('an image is never that of the file before, once the new file was answered', async () => {
  const colors = ['#ff0000', '#00ff00', '#0000ff'] as const;
  const pictures = await Promise.all(
    colors.map((background) =>
      sharp({ create: { width: 40, height: 40, channels: 3, background } })
        .png()
        .toBuffer(),
    ),
  );
  const seen = async () => {
    const path = '/storage/v1/render/image/public/room/picture?width=8';
    const response = await fetch(backend.report.API_URL + path);
    if (!response.ok) return `${response.status} ${await response.text()}`;
    const { data } = await sharp(await response.arrayBuffer())
      .raw()
      .toBuffer({ resolveWithObject: true });
    return `#${data.subarray(0, 3).toString('hex')}`;
  };
  await ask('POST', '/object/room/picture', new Uint8Array(pictures[0]!));
  for (let turn = 1; turn <= Math.ceil(times / 3); turn++) {
    const [before, now] = [colors[(turn - 1) % 3]!, colors[turn % 3]!];
    const [, ...meanwhile] = await Promise.all([
      ask('POST', '/object/room/picture', new Uint8Array(pictures[turn % 3]!)),
      seen(),
      seen(),
    ]);
    for (const one of meanwhile) expect([before, now]).toContain(one);
    expect(await seen()).toBe(now);
  }
});

it('leave no bytes behind', async () => {
  await expect.poll(leftovers, { timeout: 30_000, interval: 500 }).toEqual([]);
});
