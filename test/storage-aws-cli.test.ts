// In charge of: files by the AWS command line, which is botocore's Python, where this machine has one: `apt install awscli`. Elsewhere these stories are skipped.
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { personToken } from './harness/tokens.ts';

const run = promisify(execFile);
const ann = '11111111-1111-4111-8111-111111111111';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': 'project_id = "aws"\n[storage]\nfile_size_limit = "100MiB"\n',
    'supabase/migrations/20260101000000_files.sql': `
      insert into storage.buckets (id, name) values ('homes', 'homes');
      create policy "sees the bucket" on storage.buckets for select to authenticated using (true);
      create policy "own folder" on storage.objects for all to authenticated
        using ((storage.foldername(name))[1] = (select auth.uid()::text));`,
  });
  backend = await startBackend(project.folder);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function isThere(): boolean {
  try {
    execFileSync('aws', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The access key's, or those of a session: what the command says, and its last words when it fails. */
async function aws(args: readonly string[], session: Readonly<Record<string, string>> = {}): Promise<string> {
  const report = backend.report as unknown as Readonly<Record<string, string>>;
  const { PATH, HOME } = process.env;
  const env = {
    PATH,
    HOME,
    AWS_CONFIG_FILE: join(project.folder, 'none'),
    AWS_SHARED_CREDENTIALS_FILE: join(project.folder, 'none'),
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: report.S3_PROTOCOL_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: report.S3_PROTOCOL_ACCESS_KEY_SECRET,
    AWS_DEFAULT_REGION: report.S3_PROTOCOL_REGION,
    AWS_MAX_ATTEMPTS: '1',
    ...session,
  };
  try {
    const { stdout } = await run('aws', ['--endpoint-url', report.STORAGE_S3_URL!, ...args], { env });
    return stdout;
  } catch (error) {
    throw new Error((error as { stderr: string }).stderr.trim());
  }
}

// Each command starts Python, which takes seconds on a busy machine.
describe.skipIf(!isThere())('aws s3', { timeout: 240_000 }, () => {
  const place = (name: string) => join(project.folder, name);

  it('makes a bucket, brings files and folders there and back, and clears up', async () => {
    await aws(['s3', 'mb', 's3://tools']);
    expect(await aws(['s3', 'ls'])).toMatch(/ homes\n.* tools\n/);
    const large = randomBytes(20 * 1024 * 1024);
    await mkdir(place('up/deep folder'), { recursive: true });
    await writeFile(place('up/large.bin'), large);
    await writeFile(place('up/deep folder/ünïcode + 100%.txt'), 'odd name');
    await writeFile(place('up/empty'), '');
    // What is more than 8 MB it sends in parts.
    await aws(['s3', 'cp', place('up/large.bin'), 's3://tools/large.bin', '--metadata', 'from=here']);
    const head = JSON.parse(await aws(['s3api', 'head-object', '--bucket', 'tools', '--key', 'large.bin']));
    expect(head).toMatchObject({ ContentLength: large.length, Metadata: { from: 'here' } });
    expect(head.ETag).toMatch(/-3"$/);
    await aws(['s3', 'rm', 's3://tools/large.bin']);
  });

  it('keeps a folder in step in both directions', async () => {
    // S3's own safe characters are the names that a bucket takes.
    await expect(aws(['s3', 'sync', place('up'), 's3://tools/tree'])).rejects.toThrow('(InvalidKey)');
    expect((await aws(['s3', 'ls', '--recursive', 's3://tools/tree/'])).match(/tree\/.*/g)).toEqual([
      'tree/empty',
      'tree/large.bin',
    ]);
    await aws(['s3', 'sync', 's3://tools/tree', place('down')]);
    expect((await readdir(place('down'))).sort()).toEqual(['empty', 'large.bin']);
    expect((await readFile(place('down/large.bin'))).equals(await readFile(place('up/large.bin')))).toBe(
      true,
    );
    // Nothing has changed: nothing is sent.
    expect(await aws(['s3', 'sync', 's3://tools/tree', place('down')])).toBe('');
    await aws(['s3', 'mv', 's3://tools/tree/large.bin', 's3://tools/moved.bin']);
    await aws(['s3', 'cp', 's3://tools/moved.bin', 's3://tools/copies/one.bin']);
    expect((await aws(['s3', 'ls', 's3://tools/'])).replace(/^.{31}/gm, '').trim()).toBe(
      'copies/\ntree/\nmoved.bin',
    );
  });

  it('gives a link that is good without a key', async () => {
    const link = (await aws(['s3', 'presign', 's3://tools/copies/one.bin', '--expires-in', '60'])).trim();
    const response = await fetch(link);
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).length).toBe(20 * 1024 * 1024);
  });

  it('removes a bucket with all that is in it', async () => {
    await expect(aws(['s3', 'rb', 's3://tools'])).rejects.toThrow('(ResourceNotEmpty)');
    await aws(['s3', 'rb', '--force', 's3://tools']);
    expect(await aws(['s3', 'ls'])).toMatch(/^\S+ \S+ homes\n$/);
  });

  it('is held to the policies in a user’s session', async () => {
    const session = {
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: backend.report.ANON_KEY,
      AWS_SESSION_TOKEN: await personToken(ann),
    };
    await writeFile(place('letter'), 'dear Bob');
    await aws(['s3', 'cp', place('letter'), `s3://homes/${ann}/letter`], session);
    await aws(['s3', 'cp', place('letter'), 's3://homes/somebody/letter']);
    expect((await aws(['s3', 'ls', '--recursive', 's3://homes'], session)).match(/\S+$/gm)).toEqual([
      `${ann}/letter`,
    ]);
    const there = 's3://homes/somebody/letter';
    await expect(aws(['s3', 'cp', there, place('stolen')], session)).rejects.toThrow('404');
    await expect(aws(['s3', 'cp', place('letter'), there], session)).rejects.toThrow('(AccessDenied)');
  });
});
