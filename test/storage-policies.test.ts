// In charge of: that files show exactly what the policies show: for random policies, users and paths, what is listed, read and signed is what a
// `select` on storage.objects gives to the same user. SEED=… says which; TRIPLES=… how many.
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';
import { openRandom } from './harness/random.ts';

const seed = Number(process.env.SEED ?? 42);
const triples = Number(process.env.TRIPLES ?? 400);
const users = ['ada', 'bob', 'cem'];
const folders = ['', 'public/', 'ada/', 'bob/', 'bob/deep/er/', 'x y/'];
const files = ['a.txt', 'b.png', 'secret.txt', 'c.TXT'];
const paths = folders.flatMap((folder) => files.map((file) => folder + file));
const buckets = ['one', 'two'];

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
const clients = new Map<string, { readonly client: SupabaseClient; readonly id: string }>();

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
    clients.set(name, { client, id: data.user!.id });
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
  const { pick, chance } = openRandom(seed);
  const condition = (): string => {
    const one = pick(conditions);
    if (chance(0.5)) return chance(0.2) ? `not (${one})` : one;
    return `(${one} ${chance(0.5) ? 'and' : 'or'} ${condition()})`;
  };
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
      const { client } = clients.get(name)!;
      const files = client.storage.from(bucket);
      const listed = await files.listV2({ prefix: '', limit: 1000 });
      expect(listed.data?.objects.map((one) => one.name).sort(), about).toEqual(visible);
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
        looked += 1;
        if (isVisible) shown += 1;
      }
    }
  }
  // Of both kinds there were many.
  expect(shown).toBeGreaterThan(triples / 10);
  expect(shown).toBeLessThan(looked - triples / 10);
}, 600_000);

/** What the user sees in SQL, sorted. */
async function selected(name: string, bucket: string): Promise<readonly string[]> {
  const { id } = clients.get(name)!;
  const claims = { sub: id, role: 'authenticated', email: `${name}@example.com` };
  await database.query('begin');
  try {
    await database.query(
      `select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`,
      [JSON.stringify(claims)],
    );
    const { rows } = await database.query<{ name: string }>(
      'select name from storage.objects where bucket_id = $1',
      [bucket],
    );
    return rows.map((row) => row.name).sort();
  } finally {
    await database.query('rollback');
  }
}
