// In charge of: that files show exactly what the policies show: for random policies, users and paths, what is listed, read, signed and given by S3 is
// what a `select` on storage.objects gives to the same user, and what may be uploaded is what an `insert` lets in. SEED=… says which; TRIPLES=… how many.
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { openRandom, type Random } from './harness/random.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

const seed = Number(process.env.SEED ?? 42);
const triples = Number(process.env.TRIPLES ?? 150);
const users = ['ada', 'bob', 'cem'];
const folders = ['', 'public/', 'ada/', 'bob/', 'bob/deep/er/', 'x y/'];
const files = ['a.txt', 'b.png', 'secret.txt', 'c.TXT'];
const paths = folders.flatMap((folder) => files.map((file) => folder + file));
const buckets = ['one', 'two'];

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
interface Person {
  readonly client: SupabaseClient;
  /** By a session token: the policies are this person's. */
  readonly s3: S3Client;
  readonly id: string;
  readonly token: string;
}
const clients = new Map<string, Person>();

beforeAll(async () => {
  project = await makeProject({
    'supabase/migrations/1_buckets.sql': buckets
      .map((id) => `insert into storage.buckets (id, name) values ('${id}', '${id}');`)
      .join('\n'),
  });
  backend = await startBackend(project.folder);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  const connect = (key: string) =>
    createClient(backend.report.API_URL, key, { auth: { persistSession: false, autoRefreshToken: false } });
  for (const name of users) {
    const client = connect(backend.report.PUBLISHABLE_KEY);
    const { data, error } = await client.auth.signUp({
      email: `${name}@example.com`,
      password: 'correct horse battery',
    });
    if (error) throw error;
    const token = data.session!.access_token;
    const s3 = new S3Client({
      endpoint: `${backend.report.API_URL}/storage/v1/s3`,
      region: 'local',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: {
        accessKeyId: 'local',
        secretAccessKey: backend.report.ANON_KEY,
        sessionToken: token,
      },
    });
    clients.set(name, { client, s3, id: data.user!.id, token });
  }
  const admin = connect(backend.report.SECRET_KEY);
  for (const bucket of buckets)
    for (const path of paths) await admin.storage.from(bucket).upload(path, `${bucket}/${path}`);
  const ids = users.map((name) => clients.get(name)!.id);
  await database.query(
    `update storage.objects set owner_id = ($1::text[])[1 + abs(hashtext(name || bucket_id)) % 4] where true`,
    [ids],
  );
}, 120_000);
afterAll(async () => {
  for (const { s3 } of clients.values()) s3.destroy();
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

/** What policies of real projects are made of. */
const conditions: readonly string[] = [
  `bucket_id = 'one'`,
  `owner_id = (select auth.uid()::text)`,
  `(storage.foldername(name))[1] = 'public'`,
  `(storage.foldername(name))[1] = split_part(auth.jwt() ->> 'email', '@', 1)`,
  `storage.extension(name) = 'txt'`,
  `storage.filename(name) like 'secret%'`,
  `array_length(storage.foldername(name), 1) > 1`,
  `name ilike '%.txt'`,
  `(metadata ->> 'size')::int > 12`,
  `exists (select from storage.buckets as bucket where bucket.id = bucket_id)`,
  'true',
  'false',
];

it(`shows ${triples} times what a select shows (seed ${seed})`, async () => {
  const random = openRandom(seed);
  const { pick, chance } = random;
  const condition = () => conditionOf(random, conditions);
  let looked = 0;
  let shown = 0;
  while (looked < triples) {
    const using = condition();
    const isRestrictive = chance(0.15);
    await database.query(`
      drop policy if exists random on storage.objects;
      drop policy if exists narrow on storage.objects;
      create policy random on storage.objects for select to authenticated using (${using});
      ${isRestrictive ? `create policy narrow on storage.objects as restrictive for select to authenticated using (${condition()});` : ''}`);
    for (const name of users) {
      const bucket = pick(buckets);
      const visible = await selected(name, bucket);
      const about = `seed ${seed}, policy ${using}, user ${name}, bucket ${bucket}`;
      const { client, s3 } = clients.get(name)!;
      const files = client.storage.from(bucket);
      const listed = await files.listV2({ prefix: '', limit: 1000 });
      expect(listed.data?.objects.map((one) => one.name).sort(), about).toEqual(visible);
      const keys = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
      expect((keys.Contents ?? []).map(({ Key }) => Key).sort(), about).toEqual(visible);
      const folder = pick(folders).slice(0, -1);
      const inFolder = visible
        .filter((path) => path.lastIndexOf('/') === (folder === '' ? -1 : folder.length))
        .filter((path) => folder === '' || path.startsWith(`${folder}/`));
      const entries = (await files.list(folder)).data ?? [];
      expect(
        entries
          .filter(({ id }) => id !== null)
          .map((one) => (folder === '' ? one.name : `${folder}/${one.name}`))
          .sort(),
        about,
      ).toEqual(inFolder);
      const signed = (await files.createSignedUrls(paths, 60)).data ?? [];
      expect(
        signed
          .filter(({ error }) => error === null)
          .map(({ path }) => path)
          .sort(),
        about,
      ).toEqual(visible);
      for (const path of [pick(paths), pick(paths), pick(paths)]) {
        const isVisible = visible.includes(path);
        expect((await files.download(path)).error === null, `${about}, path ${path}`).toBe(isVisible);
        expect((await files.info(path)).error === null, `${about}, path ${path}`).toBe(isVisible);
        expect((await files.createSignedUrl(path, 60)).error === null, `${about}, path ${path}`).toBe(
          isVisible,
        );
        const object = { Bucket: bucket, Key: path };
        const got = await s3.send(new GetObjectCommand(object)).then(
          ({ Body }) => Body!.transformToString(),
          (error: Error) => error.name,
        );
        expect(got, `${about}, path ${path}`).toBe(isVisible ? `${bucket}/${path}` : 'NoSuchKey');
        const isThere = await s3.send(new HeadObjectCommand(object)).then(
          () => true,
          () => false,
        );
        expect(isThere, `${about}, path ${path}`).toBe(isVisible);
        looked += 1;
        if (isVisible) shown += 1;
      }
    }
  }
  // Of both kinds there were many.
  expect(shown).toBeGreaterThan(triples / 10);
  expect(shown).toBeLessThan(looked - triples / 10);
}, 600_000);

/** What is known of a file before its bytes are here, and the same afterwards. */
const ofNewFiles = conditions.filter((one) => !one.includes('metadata'));

it(`takes ${triples} times what an insert lets in (seed ${seed})`, async () => {
  const random = openRandom(seed, 1);
  const { pick, chance, whole } = random;
  let looked = 0;
  let taken = 0;
  while (looked < triples) {
    const check = conditionOf(random, ofNewFiles);
    const isRestrictive = chance(0.15);
    // A PUT of S3 overwrites what is there, for which Postgres asks whether the row may be seen.
    const mayOverwrite = chance(0.5);
    await database.query(`
      drop policy if exists random on storage.objects;
      drop policy if exists narrow on storage.objects;
      drop policy if exists seen on storage.objects;
      create policy random on storage.objects for insert to authenticated with check (${check});
      ${mayOverwrite ? 'create policy seen on storage.objects for select to authenticated using (true);' : ''}
      ${isRestrictive ? `create policy narrow on storage.objects as restrictive for insert to authenticated with check (${conditionOf(random, ofNewFiles)});` : ''}`);
    for (const name of users) {
      const bucket = pick(buckets);
      const path = `${pick(folders)}new-${whole(1, 1_000_000)}${pick(['.txt', '.png', '.TXT'])}`;
      const about = `seed ${seed}, policy ${check}, user ${name}, ${bucket}/${path}`;
      const may = await mayInsert(name, bucket, path);
      const ways = [uploadPlainly, uploadByLink, uploadResumably, uploadByS3];
      for (const way of ways) {
        const isLetIn = may && (mayOverwrite || way !== uploadByS3);
        expect(await way(clients.get(name)!, bucket, path), `${about}, ${way.name}`).toBe(isLetIn);
        const { rowCount } = await database.query(
          'select from storage.objects where bucket_id = $1 and name = $2',
          [bucket, path],
        );
        expect(rowCount, `${about}, ${way.name}`).toBe(isLetIn ? 1 : 0);
        if (isLetIn) await remove(bucket, path);
      }
      looked += 1;
      if (may) taken += 1;
    }
  }
  expect(taken).toBeGreaterThan(triples / 10);
  expect(taken).toBeLessThan(looked - triples / 10);
}, 600_000);

const text = 'new';

async function uploadPlainly({ client }: Person, bucket: string, path: string): Promise<boolean> {
  return (await client.storage.from(bucket).upload(path, text)).error === null;
}

async function uploadByLink({ client }: Person, bucket: string, path: string): Promise<boolean> {
  const files = client.storage.from(bucket);
  const { data } = await files.createSignedUploadUrl(path);
  return data !== null && (await files.uploadToSignedUrl(path, data.token, text)).error === null;
}

async function uploadResumably({ token }: Person, bucket: string, path: string): Promise<boolean> {
  const { status } = await askTus(
    'POST',
    `${backend.report.API_URL}/storage/v1/upload/resumable`,
    {
      authorization: `Bearer ${token}`,
      'content-type': 'application/offset+octet-stream',
      'upload-length': String(text.length),
      'upload-metadata': encodeMetadata({ bucketName: bucket, objectName: path }),
    },
    Buffer.from(text),
  );
  return status === 201;
}

async function uploadByS3({ s3 }: Person, bucket: string, path: string): Promise<boolean> {
  return s3.send(new PutObjectCommand({ Bucket: bucket, Key: path, Body: text })).then(
    () => true,
    () => false,
  );
}

async function remove(bucket: string, path: string): Promise<void> {
  const response = await fetch(`${backend.report.API_URL}/storage/v1/object/${bucket}/${encodeURI(path)}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` },
  });
  expect(response.status).toBe(200);
}

function conditionOf(random: Random, from: readonly string[]): string {
  const { pick, chance } = random;
  const one = pick(from);
  if (chance(0.5)) return chance(0.2) ? `not (${one})` : one;
  return `(${one} ${chance(0.5) ? 'and' : 'or'} ${conditionOf(random, from)})`;
}

/** What the user sees in SQL, sorted. */
async function selected(name: string, bucket: string): Promise<readonly string[]> {
  return asUser(name, async () => {
    const { rows } = await database.query<{ name: string }>(
      'select name from storage.objects where bucket_id = $1',
      [bucket],
    );
    return rows.map((row) => row.name).sort();
  });
}

/** Whether the user may write the row in SQL. */
async function mayInsert(name: string, bucket: string, path: string): Promise<boolean> {
  return asUser(name, async () => {
    try {
      await database.query('insert into storage.objects (bucket_id, name, owner_id) values ($1, $2, $3)', [
        bucket,
        path,
        clients.get(name)!.id,
      ]);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: '42501' });
      return false;
    }
  });
}

async function asUser<T>(name: string, ask: () => Promise<T>): Promise<T> {
  const { id } = clients.get(name)!;
  const claims = { sub: id, role: 'authenticated', email: `${name}@example.com` };
  await database.query('begin');
  try {
    await database.query(
      `select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`,
      [JSON.stringify(claims)],
    );
    return await ask();
  } finally {
    await database.query('rollback');
  }
}
