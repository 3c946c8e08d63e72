// In charge of: the buckets that config.toml names and the files in them: at the first start, at the next ones, and after a reset.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';

const config = `
project_id = "seeds"
[storage.buckets.images]
public = true
file_size_limit = "1KiB"
allowed_mime_types = ["image/png", "application/json"]
objects_path = "./images"
[storage.buckets.one]
objects_path = "one.txt"
[storage.buckets.bare]
[storage.buckets.lost]
objects_path = "./nowhere"
colour = "blue"
`;

const client = ({ report }: RunningBackend) =>
  createClient(report.API_URL, report.SECRET_KEY, { auth: { persistSession: false } }).storage;

async function objectsOf(backend: RunningBackend) {
  const all = await Promise.all(
    ['images', 'one', 'bare', 'lost'].map(async (bucket) => {
      const { data } = await client(backend).from(bucket).listV2({ with_delimiter: false });
      return data!.objects.map(({ name, metadata }) => `${bucket}/${name} ${metadata?.mimetype}`);
    }),
  );
  return all.flat();
}

const files = [
  'images/deep/er/data.json application/json',
  'images/dot.png image/png',
  'one/one.txt text/plain; charset=utf-8',
];

it('is made at the start, brought up to date at the next, and made again by a reset', async () => {
  await using project = await makeProject({
    'supabase/config.toml': config,
    'supabase/images/dot.png': 'a picture',
    'supabase/images/deep/er/data.json': '{}',
    'supabase/images/big.png': 'x'.repeat(1025),
    'supabase/images/page.html': '<p>',
    'supabase/one.txt': 'one',
  });
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(project.folder, path)), { recursive: true });
    await writeFile(join(project.folder, path), text);
  };
  {
    await using backend = await startBackend(project.folder);
    const { data: buckets } = await client(backend).listBuckets({ sortColumn: 'id', sortOrder: 'asc' });
    expect(
      buckets?.map(({ id, public: isPublic, file_size_limit, allowed_mime_types }) => ({
        id,
        isPublic,
        file_size_limit,
        allowed_mime_types,
      })),
    ).toEqual([
      { id: 'bare', isPublic: false, file_size_limit: null, allowed_mime_types: null },
      {
        id: 'images',
        isPublic: true,
        file_size_limit: 1024,
        allowed_mime_types: ['image/png', 'application/json'],
      },
      { id: 'lost', isPublic: false, file_size_limit: null, allowed_mime_types: null },
      { id: 'one', isPublic: false, file_size_limit: null, allowed_mime_types: null },
    ]);
    expect(await objectsOf(backend)).toEqual(files);
    // What a start has to say comes behind its report.
    await expect.poll(() => backend.log()).toContain('buckets.lost.colour');
    const log = backend.log();
    expect(log).toMatch(/big\.png.{0,10} was not uploaded to the bucket .{0,4}images.*EntityTooLarge/);
    expect(log).toMatch(/page\.html.{0,10} was not uploaded to the bucket .{0,4}images.*InvalidMimeType/);
    expect(log).toMatch(/\[storage\.buckets\.lost\]: ENOENT/);
    expect(log).toMatch(/\[storage\] buckets\.lost\.colour/);
    expect(log).not.toContain('images.public');
    await client(backend).from('images').upload('mine.png', 'mine', { contentType: 'image/png' });
  }

  await write('supabase/images/dot.png', 'another picture');
  await rm(join(project.folder, 'supabase/images/big.png'));
  await write('supabase/config.toml', config.replace('public = true', 'public = false'));
  await using backend = await startBackend(project.folder);
  const { data: images } = await client(backend).getBucket('images');
  expect(images).toMatchObject({ public: false, file_size_limit: 1024 });
  expect(await objectsOf(backend)).toEqual([...files.slice(0, 2), 'images/mine.png image/png', files[2]]);
  const dot = await client(backend).from('images').download('dot.png');
  expect(await dot.data?.text()).toBe('another picture');
  const before = await client(backend).from('one').info('one.txt');

  const reset = await runCli(['reset', '--yes', '--project', project.folder]);
  expect(reset).toMatchObject({ code: 0, stderr: expect.stringContaining('page.html') });
  await expect.poll(() => objectsOf(backend), { timeout: 10_000 }).toEqual(files);
  const after = await client(backend).from('one').info('one.txt');
  expect(after.data?.version).not.toBe(before.data?.version);
}, 240_000);
