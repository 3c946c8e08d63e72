// In charge of: `millrace import --storage`: the files of another project, with its rows and after them, and gone on with.
import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { askTus, encodeMetadata } from './harness/tus.ts';

/** Bounds against hangs, on a machine that is busy with others. */
const longMs = 300_000;
/** Imported data is people's: the secrets of development do not open it. */
const own = {
  MILLRACE_JWT_SECRET: 'a secret of this test alone, and long enough',
  SUPABASE_PUBLISHABLE_KEY: 'sb_publishable_of_this_test_alone_0001',
  SUPABASE_SECRET_KEY: 'sb_secret_of_this_test_alone_0000000001',
  MILLRACE_DB_PASSWORD: 'a password of this test',
};
const large = randomBytes(12 * 1024 * 1024);

let original: Awaited<ReturnType<typeof makeProject>>;
let project: Awaited<ReturnType<typeof makeProject>>;
let source: RunningBackend;
beforeAll(async () => {
  original = await makeProject({
    'supabase/migrations/20260601000000_files.sql': `
      insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true), ('papers', 'papers', false);`,
  });
  project = await makeProject({ 'supabase/config.toml': 'project_id = "arrived"\n' });
  source = await startBackend(original.folder);
  await put('avatars/ada.png', 'not really a picture');
  await put('papers/2026/letter to Bob.txt', 'Dear Bob');
  await put('papers/empty', '');
  await putInParts('papers/large.bin');
}, longMs);
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  await original?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const service = () => ({ authorization: `Bearer ${source.report.SERVICE_ROLE_KEY}` });

async function put(place: string, body: string): Promise<void> {
  const response = await fetch(`${source.report.API_URL}/storage/v1/object/${encodeURI(place)}`, {
    method: 'POST',
    headers: { ...service(), 'content-type': 'text/plain', 'x-upsert': 'true' },
    body,
  });
  expect(await response.json()).toMatchObject({ Key: place });
}

/** Its tag is no MD5 of the whole. */
async function putInParts(place: string): Promise<void> {
  const [bucketName, objectName] = place.split('/') as [string, string];
  const more = { ...service(), 'content-type': 'application/offset+octet-stream' };
  const half = large.length / 2;
  const { headers } = await askTus(
    'POST',
    `${source.report.API_URL}/storage/v1/upload/resumable`,
    {
      ...more,
      'upload-length': String(large.length),
      'upload-metadata': encodeMetadata({ bucketName, objectName }),
    },
    large.subarray(0, half),
  );
  const end = await askTus(
    'PATCH',
    headers.location!,
    { ...more, 'upload-offset': String(half) },
    large.subarray(half),
  );
  expect(end.status).toBe(204);
}

function millrace(command: string, flags: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const here = ['--project', project.folder, '--port', '0', '--db-port', '0'];
  return runCli([...command.split(' '), ...here, ...flags], { env, timeoutMs: longMs });
}

const fromSource = () => ({
  flags: ['--json', '--storage', source.report.API_URL],
  env: { MILLRACE_SOURCE_SERVICE_KEY: source.report.SERVICE_ROLE_KEY },
});

async function check() {
  const { stdout } = await millrace('storage check', ['--json', '--checksums']);
  return JSON.parse(stdout);
}

describe(
  'millrace import --storage',
  () => {
    it('wants a key, before it does anything', async () => {
      const { code, stderr } = await millrace('import', ['--storage', source.report.API_URL]);
      expect(code).toBe(1);
      expect(stderr).toContain('Set MILLRACE_SOURCE_SERVICE_KEY to its service_role key or a secret key.');
    });

    it('takes rows and files, and says that both are whole', async () => {
      const { flags, env } = fromSource();
      const { code, stdout, stderr } = await millrace(
        'import',
        [...flags, '--db-url', source.report.DB_URL],
        env,
      );
      if (code !== 0) throw new Error(stderr);
      const report = JSON.parse(stdout);
      expect(report.tables).toContainEqual(
        expect.objectContaining({ table: 'storage.objects', here: expect.objectContaining({ rows: 4 }) }),
      );
      expect(report.files).toEqual({
        files: 4,
        copied: 4,
        bytes: 'not really a picture'.length + 'Dear Bob'.length + large.length,
        digests: 3,
        there: 0,
        missing: 0,
        changed: 0,
        failed: 0,
        troubles: [],
        isDone: true,
      });
      expect(await check()).toMatchObject({ orphans: 0, missing: 0, wrongSize: 0, wrongDigest: 0 });
    });

    it('goes on where it was: what is here stays, what is not comes', async () => {
      const folder = join(project.folder, '.millrace', 'files');
      const [version] = (await readdir(folder, { recursive: true })).filter((name) =>
        /^..\/.{36}$/.test(name),
      );
      await rm(join(folder, version!));
      const { flags, env } = fromSource();
      const { code, stdout } = await millrace('import', flags, env);
      expect([code, JSON.parse(stdout).files]).toMatchObject([0, { files: 4, copied: 1, there: 3 }]);
      expect(await check()).toMatchObject({ orphans: 0, missing: 0, wrongSize: 0, wrongDigest: 0 });
    });

    it('goes on beside the running program, and says what is not any more as the rows were', async () => {
      await using backend = await startBackend(project.folder, [], { env: own });
      const read = async (place: string) => {
        const url = `${backend.report.API_URL}/storage/v1/object/authenticated/${encodeURI(place)}`;
        return fetch(url, { headers: { apikey: own.SUPABASE_SECRET_KEY } });
      };
      expect(await (await read('papers/2026/letter to Bob.txt')).text()).toBe('Dear Bob');
      expect(Buffer.from(await (await read('papers/large.bin')).arrayBuffer()).equals(large)).toBe(true);
      await put('papers/2026/letter to Bob.txt', 'Dear Rob');
      await fetch(`${source.report.API_URL}/storage/v1/object/avatars/ada.png`, {
        method: 'DELETE',
        headers: service(),
      });
      await rm(join(project.folder, '.millrace', 'files'), { recursive: true });
      const { flags, env } = fromSource();
      const { code, stdout } = await millrace('import', flags, { ...own, ...env });
      expect([code, JSON.parse(stdout).files]).toMatchObject([
        1,
        {
          files: 4,
          copied: 2,
          missing: 1,
          changed: 1,
          isDone: false,
          troubles: expect.arrayContaining([
            { kind: 'missing', place: 'avatars/ada.png', reason: 'the source has no bytes for it' },
            {
              kind: 'changed',
              place: 'papers/2026/letter to Bob.txt',
              reason: expect.stringMatching(/^its tag is \w+ in place of \w+$/),
            },
          ]),
        },
      ]);
    });

    it('says whose key it is not', async () => {
      const { flags } = fromSource();
      const env = { MILLRACE_SOURCE_SERVICE_KEY: 'sb_secret_of_nobody_at_all_0000000000001' };
      const { code, stderr } = await millrace('import', flags, { ...own, ...env });
      expect(code).toBe(1);
      expect(stderr).toContain('does not let this key read');
    });
  },
  longMs,
);

describe(
  'millrace export --storage',
  () => {
    it('brings the files to a project that has their buckets, and what they say of themselves', async () => {
      await using elsewhere = await makeProject({
        'supabase/migrations/20260601000000_files.sql': `
        insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true), ('papers', 'papers', false);`,
      });
      await using target = await startBackend(elsewhere.folder);
      await fetch(`${source.report.API_URL}/storage/v1/object/avatars/bob.svg`, {
        method: 'POST',
        headers: {
          ...service(),
          'content-type': 'image/svg+xml',
          'cache-control': 'max-age=60',
          'x-metadata': Buffer.from('{"by":"Bob"}').toString('base64'),
        },
        body: '<svg/>',
      });
      const from = ['export', '--json', '--project', original.folder, '--storage', target.report.API_URL];
      const env = { MILLRACE_TARGET_SERVICE_KEY: target.report.SERVICE_ROLE_KEY };
      const sent = async () => {
        const { code, stdout, stderr } = await runCli(from, { env, timeoutMs: longMs });
        if (code !== 0) throw new Error(stderr + stdout);
        return JSON.parse(stdout).files;
      };
      expect(await sent()).toMatchObject({
        files: 4,
        copied: 4,
        there: 0,
        missing: 0,
        failed: 0,
        isDone: true,
      });
      // An empty file has no first byte that says that it is there.
      expect(await sent()).toMatchObject({ files: 4, copied: 1, there: 3, bytes: 0 });
      const headers = { authorization: `Bearer ${target.report.SERVICE_ROLE_KEY}` };
      const at = `${target.report.API_URL}/storage/v1/object`;
      const picture = await fetch(`${at}/info/avatars/bob.svg`, { headers });
      expect(await picture.json()).toMatchObject({
        size: 6,
        content_type: 'image/svg+xml',
        cache_control: 'max-age=60',
        metadata: { by: 'Bob' },
      });
      const whole = await fetch(`${at}/authenticated/papers/large.bin`, { headers });
      expect(Buffer.from(await whole.arrayBuffer()).equals(large)).toBe(true);
    });

    it('sends nothing else', async () => {
      const args = ['export', '--project', original.folder, '--storage', 'http://127.0.0.1:9', '-o', 'x.sql'];
      const { code, stderr } = await runCli(args);
      expect(code).toBe(1);
      expect(stderr).toContain('--storage sends files, and nothing else.');
    });
  },
  longMs,
);
