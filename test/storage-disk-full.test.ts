// In charge of: a disk that is full in the middle of an upload, by whatever way it comes: it is said in the protocol's own words, nothing of what came stays,
// everything else goes on, and with room again so does what can be gone on with. Root alone can mount a small disk.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { Upload } from 'tus-js-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { markId } from '../src/services/storage/blobs/mark.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

const mebibyte = 1024 * 1024;
const diskBytes = 48 * mebibyte;
const content = randomBytes(22 * mebibyte);
const tooLarge = content.subarray(0, 12 * mebibyte);

const disk = await mountSmallDisk();
const files = join(disk ?? '', 'files');
const inTheWay = join(disk ?? '', 'in-the-way');

/** So much of the disk is for files. */
const leave = (mebibytes: number) => writeFile(inTheWay, Buffer.alloc(diskBytes - mebibytes * mebibyte));

/** Where this user may. */
async function mountSmallDisk(): Promise<string | undefined> {
  const at = await mkdtemp(join(tmpdir(), 'mr-small-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', at], { stdio: 'ignore' });
    return at;
  } catch {
    await rm(at, { recursive: true });
    return undefined;
  }
}

/** Drafts and blobs, but for the mark of whose they are. */
async function kept(): Promise<readonly string[]> {
  if (!existsSync(files)) return [];
  const all = await readdir(files, { recursive: true, withFileTypes: true });
  return all.filter((entry) => entry.isFile() && entry.name !== markId).map(({ name }) => name);
}

const full = {
  statusCode: '507',
  code: 'StorageFull',
  error: 'StorageFull',
  message: 'There is no room left for files. Nothing was kept.',
};

describe.skipIf(disk === undefined)('a disk that is full', () => {
  let project: Awaited<ReturnType<typeof makeProject>>;
  let backend: RunningBackend;
  let service: SupabaseClient;
  let s3: S3Client;
  beforeAll(async () => {
    project = await makeProject({
      'supabase/config.toml': `
project_id = "full"
[storage]
path = "${files}"
[storage.buckets.b]
public = true
[storage.buckets.sealed]
encrypted = true
`,
    });
    backend = await startBackend(project.folder);
    service = createClient(backend.report.API_URL, backend.report.SECRET_KEY);
    const report = backend.report as unknown as Readonly<Record<string, string>>;
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
    await backend?.[Symbol.asyncDispose]();
    await project?.[Symbol.asyncDispose]();
    execFileSync('umount', [disk!]);
    await rm(disk!, { recursive: true });
  });
  /** Whatever has happened: what fits is taken, and once it is deleted nothing is there. */
  beforeEach(() => leave(8));
  afterEach(async () => {
    for (const bucket of ['b', 'sealed']) {
      const small = service.storage.from(bucket);
      expect((await small.upload('small', 'x', { upsert: true })).error).toBeNull();
      expect(await (await small.download('small')).data!.text()).toBe('x');
      expect((await small.remove(['small'])).error).toBeNull();
    }
    await expect.poll(kept).toEqual([]);
  });

  const headers = () => ({ authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` });
  const endpoint = () => `${backend.report.API_URL}/storage/v1/upload/resumable`;
  const rows = async () => (await service.storage.from('b').list()).data!.map(({ name }) => name);

  it.each(['b', 'sealed'])(
    'in a plain upload into %s, with a length, as a form, and by a link',
    async (bucket) => {
      const url = `${backend.report.API_URL}/storage/v1/object/${bucket}/large`;
      const form = new FormData();
      form.set('', new Blob([tooLarge]), 'large');
      for (const body of [tooLarge, form]) {
        const answer = await fetch(url, { method: 'POST', headers: headers(), body });
        expect([answer.status, answer.headers.get('retry-after'), await answer.json()]).toEqual([
          507,
          '60',
          full,
        ]);
        expect(await kept()).toEqual([]);
      }
      const ours = service.storage.from(bucket);
      expect((await ours.upload('large', tooLarge)).error).toMatchObject({
        status: 507,
        message: full.message,
      });
      const { data } = await ours.createSignedUploadUrl('large');
      const linked = await ours.uploadToSignedUrl('large', data!.token, tooLarge);
      expect(linked.error).toMatchObject({ status: 507, message: full.message });
      expect(await kept()).toEqual([]);
      expect((await ours.list()).data).toEqual([]);
    },
  );

  it('where a file is overwritten: the old one stays', async () => {
    const ours = service.storage.from('b');
    expect((await ours.upload('a', 'old')).error).toBeNull();
    expect((await ours.upload('a', tooLarge, { upsert: true })).error).toMatchObject({ status: 507 });
    expect(await (await ours.download('a')).data!.text()).toBe('old');
    expect(await kept()).toHaveLength(1);
    await ours.remove(['a']);
  });

  it('in a resumable upload: it goes on with what is here, once there is room', async () => {
    // Two parts, of 16 MiB and the rest.
    await leave(20);
    const statuses = new Set<number | undefined>();
    const ended = { resolve: () => {}, reject: (_: Error) => {} };
    const upload = new Upload(content, {
      endpoint: endpoint(),
      headers: headers(),
      metadata: { bucketName: 'b', objectName: 'resumed' },
      retryDelays: [0, 100],
      onShouldRetry(error) {
        statuses.add(error.originalResponse?.getStatus());
        return true;
      },
      onError: (error) => ended.reject(error),
      onSuccess: () => ended.resolve(),
    });
    const run = () =>
      new Promise<void>((resolve, reject) => {
        Object.assign(ended, { resolve, reject });
        upload.start();
      });
    await expect(run()).rejects.toThrow(`response code: 507, response text: ${full.message}`);
    expect([...statuses]).toEqual([507]);
    // The first part, and no draft of the second.
    expect(await kept()).toHaveLength(1);
    expect(await readdir(join(files, 'tmp'))).toEqual([]);
    expect(await rows()).toEqual([]);
    await rm(inTheWay);
    await run();
    const ours = service.storage.from('b');
    const { data } = await ours.download('resumed');
    expect(Buffer.from(await data!.arrayBuffer()).equals(content)).toBe(true);
    expect((await ours.remove(['resumed'])).error).toBeNull();
  });

  it('in an upload over S3, and in a part', async () => {
    const wanted = { name: 'StorageFull', message: full.message, $metadata: { httpStatusCode: 507 } };
    const put = new PutObjectCommand({ Bucket: 'b', Key: 'large', Body: tooLarge });
    await expect(s3.send(put)).rejects.toMatchObject(wanted);
    const place = { Bucket: 'b', Key: 'parts' };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place));
    const part = (PartNumber: number, Body: Buffer) =>
      s3.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
    await expect(part(1, tooLarge)).rejects.toMatchObject(wanted);
    expect(await kept()).toEqual([]);
    await s3.send(new AbortMultipartUploadCommand({ ...place, UploadId }));
  });

  it('when parts are put together over S3: they stay, and are put together once there is room', async () => {
    await leave(16);
    const place = { Bucket: 'b', Key: 'parts' };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place));
    const Parts: CompletedPart[] = [];
    for (const PartNumber of [1, 2]) {
      const Body = tooLarge.subarray((PartNumber - 1) * 5 * mebibyte, PartNumber * 5 * mebibyte);
      const { ETag } = await s3.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
      Parts.push({ PartNumber, ETag });
    }
    const complete = () =>
      s3.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }));
    await expect(complete()).rejects.toMatchObject({ name: 'StorageFull', message: full.message });
    expect(await kept()).toHaveLength(2);
    expect(await rows()).toEqual([]);
    await rm(inTheWay);
    await complete();
    const { data } = await service.storage.from('b').download('parts');
    expect(Buffer.from(await data!.arrayBuffer()).equals(tooLarge.subarray(0, 10 * mebibyte))).toBe(true);
    expect((await service.storage.from('b').remove(['parts'])).error).toBeNull();
  });
});
