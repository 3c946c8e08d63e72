// In charge of: access keys for S3 that are made here: on the command line and over the operator plane, in force and ended at once on every process, with
// the rights of a role or of a user, and their secrets nowhere to be read.
import {
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { startBackend as startProgram } from './harness/backend.ts';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';

const migration = `
insert into storage.buckets (id, name) values ('homes', 'homes');
create policy "everybody sees the bucket" on storage.buckets for select to authenticated using (id = 'homes');
create policy "own folder, for members" on storage.objects for all to authenticated
  using (bucket_id = 'homes' and (storage.foldername(name))[1] = (select auth.uid()::text))
  with check (bucket_id = 'homes' and (storage.foldername(name))[1] = (select auth.uid()::text)
    and auth.jwt() -> 'app_metadata' ->> 'plan' = 'member');
create role auditor;
grant auditor to authenticator;
grant usage on schema storage to auditor;
grant select on storage.buckets, storage.objects to auditor;
create policy "auditors read" on storage.objects for select to auditor using (true);
create policy "auditors see buckets" on storage.buckets for select to auditor using (true);
`;

let folder: string;
let server: PostgresServer;
let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let other: RunningBackend;
let ann: string;
beforeAll(async () => {
  folder = await makeFolder();
  server = await openPostgres({ project: folder, port: 0, password: 'unused', observe: () => {} });
  await asAdmin(`create role owner login superuser password 'owner-pw'`, 'postgres');
  await asAdmin('create database shared', 'postgres');
  project = await makeProject({ 'supabase/migrations/20260601000000_files.sql': migration });
  const { port } = server.login('postgres');
  const env = {
    DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${port}/shared`,
    MILLRACE_MASTER_KEY: 'the-same-for-both-0123456789-0123456789',
  };
  backend = await startBackend(project.folder, [], { env });
  other = await startProgram(project.folder, [], { env });
  const made = await fetch(`${backend.report.API_URL}/auth/v1/admin/users`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      email: 'ann@example.com',
      password: 'a long enough one',
      email_confirm: true,
      app_metadata: { plan: 'member' },
    }),
  });
  ann = ((await made.json()) as { id: string }).id;
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

const s3Keys = (...words: readonly string[]) => runCli(['s3-keys', ...words, '--project', project.folder]);

interface Made {
  readonly id: string;
  readonly secret: string;
}

async function make(...words: readonly string[]): Promise<Made> {
  const { code, stdout, stderr } = await s3Keys('create', ...words, '--json');
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Made;
}

async function using<T>(
  { id, secret }: Made,
  use: (client: S3Client) => Promise<T>,
  { report }: RunningBackend = backend,
) {
  const client = new S3Client({
    endpoint: `${report.API_URL}/storage/v1/s3`,
    region: 'local',
    forcePathStyle: true,
    credentials: { accessKeyId: id, secretAccessKey: secret },
  });
  try {
    return await use(client);
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata: { httpStatusCode: number } };
    return [$metadata.httpStatusCode, name, message];
  } finally {
    client.destroy();
  }
}

const put = (Key: string) => (client: S3Client) =>
  client.send(new PutObjectCommand({ Bucket: 'homes', Key, Body: Key })).then(() => 'written');
const get = (Key: string) => async (client: S3Client) =>
  (await client.send(new GetObjectCommand({ Bucket: 'homes', Key }))).Body!.transformToString();
const list = async (client: S3Client) =>
  ((await client.send(new ListObjectsV2Command({ Bucket: 'homes' }))).Contents ?? []).map(({ Key }) => Key);
const buckets = async (client: S3Client) =>
  ((await client.send(new ListBucketsCommand({}))).Buckets ?? []).map(({ Name }) => Name);
const unknown = [403, 'AccessDenied', 'Invalid Access Key'];

describe('an access key', () => {
  it('for service_role does everything at once, on every process', async () => {
    const key = await make('backup', '--role', 'service_role');
    expect(await using(key, put('somewhere/a'))).toBe('written');
    expect(await using(key, get('somewhere/a'), other)).toBe('somewhere/a');
    expect(await using({ ...key, secret: `${key.secret.slice(1)}0` }, get('somewhere/a'))).toEqual([
      403,
      'SignatureDoesNotMatch',
      expect.any(String),
    ]);
  });

  it('for a role of the project’s own sees and does what its policies say', async () => {
    const key = await make('audit', '--role', 'auditor');
    expect(await using(key, list)).toContain('somewhere/a');
    expect(await using(key, put('somewhere/b'))).toEqual([403, 'AccessDenied', expect.any(String)]);
  });

  it('for a user is that user, with what is known of them now', async () => {
    const key = await make('ann', '--user', ann, '--expires', '90d');
    expect(await using(key, buckets)).toEqual(['homes']);
    expect(await using(key, put(`${ann}/own`))).toBe('written');
    expect(await using(key, list)).toEqual([`${ann}/own`]);
    expect(await using(key, get('somewhere/a'))).toEqual([404, 'NoSuchKey', expect.any(String)]);
    expect(await using(key, put('somewhere/c'))).toEqual([403, 'AccessDenied', expect.any(String)]);
    expect(await asAdmin(`select owner_id from storage.objects where name = '${ann}/own'`)).toEqual([
      { owner_id: ann },
    ]);
    await asAdmin(`update auth.users set raw_app_meta_data = '{"plan":"guest"}' where id = '${ann}'`);
    expect(await using(key, put(`${ann}/more`))).toEqual([403, 'AccessDenied', expect.any(String)]);
    await asAdmin(`update auth.users set banned_until = now() + interval '1 hour' where id = '${ann}'`);
    const gone = [403, 'AccessDenied', 'The user of this access key is not there any more, or is banned'];
    expect(await using(key, list)).toEqual(gone);
    await asAdmin(`delete from auth.users where id = '${ann}'`);
    expect(await using(key, list)).toEqual(gone);
  });

  it('ends at once on every process when it is revoked, and its secret is gone', async () => {
    const key = await make('short-lived', '--role', 'service_role');
    expect(await using(key, list, other)).toContain('somewhere/a');
    const { code, stdout } = await s3Keys('revoke', 'short-lived');
    expect([code, stdout]).toEqual([0, `Revoked "short-lived" (${key.id}). It signs nothing from now on.\n`]);
    for (const process of [backend, other]) expect(await using(key, list, process)).toEqual(unknown);
    expect(await asAdmin(`select from _millrace.secrets where id = '${key.id}'`)).toEqual([]);
    expect((await s3Keys('revoke', 'short-lived')).stderr).toContain(
      'The access key "short-lived" has ended.',
    );
  });

  it('ends when its time is over', async () => {
    const key = await make('timed', '--role', 'service_role', '--expires', '1h');
    expect(await using(key, list)).toContain('somewhere/a');
    await asAdmin(`update _millrace.s3_access_keys set expires_at = now() where id = '${key.id}'`);
    expect(await using(key, list)).toEqual(unknown);
  });

  it('is refused at its making with a sentence', async () => {
    const refused = async (...words: string[]) => (await s3Keys('create', ...words)).stderr.split('\n')[0];
    expect(await refused('x', '--role', 'postgres')).toBe('Requests cannot have the role "postgres".');
    expect(await refused('x', '--user', ann)).toBe(`There is no user "${ann}".`);
    expect(await refused('x')).toBe('Whose rights does the access key "x" have?');
    expect(await refused('backup', '--role', 'anon')).toBe('There is an access key "backup" already.');
  });

  it('is listed without its secret, which is nowhere to be read, and every change is recorded', async () => {
    const secret = (await make('seen', '--role', 'anon')).secret;
    const { stdout } = await s3Keys('list', '--json');
    const keys = JSON.parse(stdout) as Record<string, unknown>[];
    expect(keys.find(({ name }) => name === 'backup')).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      name: 'backup',
      role: 'service_role',
      user: null,
      state: 'active',
      created_at: expect.any(String),
      created_by: expect.any(String),
      expires_at: null,
      revoked_at: null,
      last_used_at: expect.any(String),
    });
    const kept = await asAdmin(`
      select (select string_agg(row::text, '') from _millrace.s3_access_keys as row) || (select string_agg(row::text, '') from _millrace.secrets as row)
        || (select string_agg(row::text, '') from _millrace.operator_changes as row) as all_of_it`);
    expect(String(kept[0]!.all_of_it)).not.toContain(secret);
    expect(backend.log()).not.toContain(secret);
    const changes = await asAdmin(
      `select action, details ->> 'name' as name from _millrace.operator_changes where action like 's3_keys.%' order by id limit 2`,
    );
    expect(changes).toEqual([
      { action: 's3_keys.create', name: 'backup' },
      { action: 's3_keys.create', name: 'audit' },
    ]);
  });
});
