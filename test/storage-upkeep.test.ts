// In charge of: what goes by itself among files: bytes that no row names, resumable uploads and uploads in parts that nobody went on with.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateMultipartUploadCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { markId } from '../src/services/storage/blobs/mark.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

let folder: string;
let server: PostgresServer;
let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  folder = await makeFolder();
  server = await openPostgres({ project: folder, port: 0, password: 'unused', observe: () => {} });
  await asAdmin(`create role owner login superuser password 'owner-pw'`, 'postgres');
  await asAdmin('create database upkeep', 'postgres');
  project = await makeProject({
    'supabase/config.toml': 'project_id = "upkeep"\n',
    'supabase/migrations/20260601000000_files.sql': `insert into storage.buckets (id, name) values ('b', 'b')`,
  });
  const { port } = server.login('postgres');
  env = {
    DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${port}/upkeep`,
    MILLRACE_MASTER_KEY: 'a-key-that-outlives-restarts-0123456789-01',
    S3_PROTOCOL_ACCESS_KEY_ID: keys.accessKeyId,
    S3_PROTOCOL_ACCESS_KEY_SECRET: keys.secretAccessKey,
  };
  backend = await startBackend(project.folder, [], { env });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await server?.stop();
  await removeFolder(folder);
  await project?.[Symbol.asyncDispose]();
});

const keys = { accessKeyId: 'upkeep', secretAccessKey: 'upkeep-secret-0123456789' };

/** Millrace's own tables no person reaches. */
const asAdmin = (sql: string, database = 'upkeep') =>
  withClient({ ...server.login('supabase_admin'), database }, async (client) => {
    const { rows } = await client.query(sql);
    return rows as readonly Record<string, unknown>[];
  });

/** Everything that is done every few minutes or hours is also done at a start. */
async function restart(): Promise<void> {
  expect(await backend.stop()).toBe(0);
  backend = await startBackend(project.folder, [], { env });
}

const service = () => ({ authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` });

async function put(name: string, body: string): Promise<void> {
  const response = await fetch(`${backend.report.API_URL}/storage/v1/object/b/${name}`, {
    method: 'POST',
    headers: { ...service(), 'content-type': 'text/plain' },
    body,
  });
  expect(response.status).toBe(200);
}

async function blobsFolder(): Promise<string> {
  const state = join(project.folder, '.millrace');
  return join(state, (await readdir(state)).find((name) => name.startsWith('files-'))!);
}

async function blobs(): Promise<readonly string[]> {
  const entries = await readdir(await blobsFolder(), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name !== markId)
    .map(({ name }) => name)
    .sort();
}

const named = async () =>
  (
    await asAdmin(`
      select version from storage.objects union all select version from _millrace.resumable_parts
      union all select version from storage.s3_multipart_uploads_parts`)
  )
    .map(({ version }) => version as string)
    .sort();

/** As a process leaves them that is killed between the bytes and the row. */
async function leaveOrphan(): Promise<string> {
  const id = randomUUID();
  const place = join(await blobsFolder(), id.slice(0, 2));
  await mkdir(place, { recursive: true });
  await writeFile(join(place, id), 'left by a crash');
  return id;
}

describe('bytes that cannot be removed', () => {
  const remove = (name: string) =>
    fetch(`${backend.report.API_URL}/storage/v1/object/b/${name}`, { method: 'DELETE', headers: service() });
  const waiting = async () =>
    (await asAdmin('select version from _millrace.blob_garbage')).map(({ version }) => version as string);

  it('stand before none of the others, and are tried again', async () => {
    for (const name of ['stuck', 'other', 'last']) await put(name, name);
    const rows = await asAdmin(`select name, version from storage.objects where name in ('stuck', 'other')`);
    const versionOf = (name: string) => rows.find((row) => row.name === name)!.version as string;
    const stuck = versionOf('stuck');
    const place = join(await blobsFolder(), stuck.slice(0, 2), stuck);
    // No removal of a file removes that.
    await rm(place);
    await mkdir(join(place, 'something'), { recursive: true });
    await remove('stuck');
    await expect.poll(() => backend.log()).toContain('storage.garbage_failed');
    await remove('other');
    await expect.poll(blobs).not.toContain(versionOf('other'));
    await expect.poll(waiting).toEqual([stuck]);
    await rm(place, { recursive: true });
    await remove('last');
    await expect.poll(waiting).toEqual([]);
  });
});

describe('bytes that no row names', () => {
  it('are removed by the second sweep that sees them, an hour after the first', async () => {
    await put('kept', 'kept');
    const old = await leaveOrphan();
    const seen = async () => (await asAdmin('select id from _millrace.blob_orphans')).map(({ id }) => id);
    await restart();
    await expect.poll(seen).toEqual([old]);
    const young = await leaveOrphan();
    await asAdmin(`update _millrace.blob_orphans set first_seen_at = first_seen_at - interval '61 minutes'`);
    await restart();
    await expect.poll(seen).toEqual([young]);
    await expect.poll(blobs).toEqual([...(await named()), young].sort());
    await expect.poll(() => backend.log()).toMatch(/"kind":"storage.swept".*"orphans":2,"removed":1/);
  });

  it('stay where a row names them after all', async () => {
    const [found] = await asAdmin('select id from _millrace.blob_orphans');
    await put('late', 'x');
    await asAdmin(`
      update storage.objects set version = '${found!.id}', metadata = metadata || '{"size": 15}' where name = 'late';
      update _millrace.blob_orphans set first_seen_at = first_seen_at - interval '61 minutes'`);
    await restart();
    await expect.poll(async () => asAdmin('select id from _millrace.blob_orphans')).toEqual([]);
    const response = await fetch(`${backend.report.API_URL}/storage/v1/object/authenticated/b/late`, {
      headers: service(),
    });
    expect(await response.text()).toBe('left by a crash');
    await expect.poll(blobs).toEqual(await named());
  });
});

describe('what was cut off while it was written', () => {
  it('is removed by a sweep when nothing was added to it for an hour', async () => {
    const drafts = join(await blobsFolder(), 'tmp');
    for (const name of ['old', 'young']) await writeFile(join(drafts, name), 'left in the mid');
    const anHourAgo = Date.now() / 1000 - 3_601;
    await utimes(join(drafts, 'old'), anHourAgo, anHourAgo);
    await restart();
    await expect.poll(() => readdir(drafts)).toEqual(['young']);
    await expect.poll(() => backend.log()).toMatch(/"kind":"storage.swept".*"unfinished":1/);
    await rm(join(drafts, 'young'));
  });
});

describe('uploads that nobody went on with', () => {
  async function begin(name: string): Promise<string> {
    const { status, headers } = await askTus(
      'POST',
      `${backend.report.API_URL}/storage/v1/upload/resumable`,
      {
        ...service(),
        'content-type': 'application/offset+octet-stream',
        'upload-length': '20',
        'upload-metadata': encodeMetadata({ bucketName: 'b', objectName: name }),
      },
      Buffer.from('0123456789'),
    );
    expect(status).toBe(201);
    return headers.location!;
  }

  it('are removed with their bytes a day after they began; younger ones go on', async () => {
    await begin('given-up');
    const young = await begin('going-on');
    await asAdmin(
      `update _millrace.resumable_uploads set created_at = now() - interval '25 hours' where name = 'given-up'`,
    );
    await restart();
    await expect
      .poll(async () => asAdmin('select name from _millrace.resumable_uploads'))
      .toEqual([{ name: 'going-on' }]);
    await expect.poll(blobs).toEqual(await named());
    const url = new URL(new URL(young).pathname, backend.report.API_URL).href;
    const more = { 'content-type': 'application/offset+octet-stream', 'upload-offset': '10' };
    expect((await askTus('PATCH', url, { ...service(), ...more }, Buffer.from('0123456789'))).status).toBe(
      204,
    );
  });

  it('of S3 are aborted a week after their last part', async () => {
    const client = new S3Client({
      endpoint: `${backend.report.API_URL}/storage/v1/s3`,
      region: 'local',
      forcePathStyle: true,
      credentials: keys,
    });
    for (const Key of ['old', 'old-with-a-new-part', 'new']) {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: 'b', Key }));
      await client.send(
        new UploadPartCommand({ Bucket: 'b', Key, UploadId, PartNumber: 1, Body: `part of ${Key}` }),
      );
    }
    client.destroy();
    await asAdmin(`
      update storage.s3_multipart_uploads set created_at = now() - interval '8 days' where key <> 'new';
      update storage.s3_multipart_uploads_parts set created_at = now() - interval '8 days' where key = 'old'`);
    await restart();
    await expect
      .poll(async () => asAdmin('select key from storage.s3_multipart_uploads order by key'))
      .toEqual([{ key: 'new' }, { key: 'old-with-a-new-part' }]);
    await expect.poll(blobs).toEqual(await named());
    expect((await named()).length).toBe(2 + 1 + 2);
  });
});
