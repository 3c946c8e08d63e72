// In charge of: files as an application keeps them: the official client over a real socket, the project's own policies, and what a stranger tries.
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

/** A folder of each user's own, which the others neither see nor change; pictures that everybody sees. */
const policies = `
insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true), ('papers', 'papers', false);
create policy "own papers" on storage.objects for all to authenticated
  using (bucket_id = 'papers' and (storage.foldername(name))[1] = (select auth.uid()::text))
  with check (bucket_id = 'papers' and (storage.foldername(name))[1] = (select auth.uid()::text));
insert into storage.buckets (id, name) values ('shared', 'shared'), ('shown', 'shown');
create policy "sees the buckets" on storage.buckets for select to authenticated using (id in ('shared', 'shown'));
create policy "own of shared" on storage.objects for all to authenticated
  using (bucket_id = 'shared' and owner_id = (select auth.uid()::text));
create policy "all that is shown" on storage.objects for select to authenticated using (bucket_id = 'shown');
create policy "small" on storage.objects for insert to anon
  with check (bucket_id = 'papers' and (storage.foldername(name))[1] = 'small' and (metadata ->> 'contentLength')::int < 2000);
create policy "letters to us" on storage.objects for insert to anon
  with check (bucket_id = 'papers' and (storage.foldername(name))[1] = 'letters' and (metadata ->> 'mimetype') = 'text/plain');
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let admin: SupabaseClient;
let ada: SupabaseClient;
let bob: SupabaseClient;
let adaId: string;

const connect = (key: string) =>
  createClient(backend.report.API_URL, key, { auth: { persistSession: false, autoRefreshToken: false } });
const anonymous = () => connect(backend.report.PUBLISHABLE_KEY);

async function signUp(email: string): Promise<{ client: SupabaseClient; id: string }> {
  const client = anonymous();
  const { data, error } = await client.auth.signUp({ email, password: 'correct horse battery' });
  if (error) throw error;
  return { client, id: data.user!.id };
}

beforeAll(async () => {
  project = await makeProject({ 'supabase/migrations/1_policies.sql': policies });
  backend = await startBackend(project.folder);
  admin = connect(backend.report.SECRET_KEY);
  const one = await signUp('ada@example.com');
  ada = one.client;
  adaId = one.id;
  bob = (await signUp('bob@example.com')).client;
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const url = (path: string) => `${backend.report.API_URL}/storage/v1${path}`;
const withSecret = (init: RequestInit = {}) => ({
  ...init,
  headers: { ...init.headers, authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` },
});
/** As an answer stands on the wire. */
async function ask(path: string, init?: RequestInit) {
  const response = await fetch(url(path), init);
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}
const refused = (statusCode: string, code: string, error: string, message: string) => ({
  statusCode,
  code,
  error,
  message,
});

describe('a bucket', () => {
  it('is made, read, changed, emptied and deleted', async () => {
    const made = await admin.storage.createBucket('plain', {
      public: false,
      fileSizeLimit: '1KB',
      allowedMimeTypes: ['image/*', 'text/plain'],
    });
    expect(made).toEqual({ data: { name: 'plain' }, error: null });
    const { data } = await admin.storage.getBucket('plain');
    expect(data).toEqual({
      id: 'plain',
      name: 'plain',
      owner: null,
      public: false,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: expect.any(String),
      file_size_limit: 1000,
      allowed_mime_types: ['image/*', 'text/plain'],
    });
    expect((await admin.storage.updateBucket('plain', { public: true })).data).toEqual({
      message: 'Successfully updated',
    });
    await admin.storage.from('plain').upload('a.txt', 'a', { contentType: 'text/plain' });
    expect((await admin.storage.deleteBucket('plain')).error).toMatchObject({
      message: 'The bucket you tried to delete is not empty',
      statusCode: '409',
    });
    expect((await admin.storage.emptyBucket('plain')).error).toBeNull();
    expect((await admin.storage.deleteBucket('plain')).data).toEqual({ message: 'Successfully deleted' });
    expect((await admin.storage.getBucket('plain')).error).toMatchObject({ message: 'Bucket not found' });
  });

  it('refuses a file that is too large, or of another type, before it is kept', async () => {
    await admin.storage.createBucket('small', {
      public: false,
      fileSizeLimit: 10,
      allowedMimeTypes: ['image/*'],
    });
    const put = (name: string, body: string, type: string, more: RequestInit = {}) =>
      ask(
        `/object/small/${name}`,
        withSecret({ method: 'POST', body, headers: { 'content-type': type }, ...more }),
      );
    const tooLarge = refused(
      '413',
      'EntityTooLarge',
      'Payload too large',
      'The object exceeded the maximum allowed size',
    );
    expect(await put('a.png', 'longer than ten', 'image/png')).toMatchObject({ status: 400, body: tooLarge });
    expect(await put('a.pdf', 'short', 'application/pdf')).toMatchObject({
      status: 400,
      body: refused(
        '415',
        'InvalidMimeType',
        'invalid_mime_type',
        'mime type application/pdf is not supported',
      ),
    });
    // A form says no size of its file beforehand.
    const form = new FormData();
    form.append('', new Blob(['longer than ten'], { type: 'image/png' }));
    const response = await ask('/object/small/b.png', withSecret({ method: 'POST', body: form }));
    expect(response).toMatchObject({ status: 400, body: tooLarge });
    expect((await admin.storage.from('small').list()).data).toEqual([]);
  });

  it.each([
    ['a/b', '409'],
    [' spaces', '400'],
    ['x'.repeat(101), '400'],
    ['päck', '400'],
    ['with--iceberg', '400'],
    ['..', '400'],
  ])('is not called %j', async (name) => {
    const { body } = await ask('/bucket', withSecret({ method: 'POST', body: JSON.stringify({ name }) }));
    expect(body).toEqual(refused('400', 'InvalidBucketName', 'Invalid Input', 'Bucket name invalid'));
  });
});

describe('a file', () => {
  it('comes back byte for byte, with what was said of it', async () => {
    const bytes = randomBytes(3_000_000);
    const uploaded = await admin.storage.from('papers').upload('big/file.bin', bytes, {
      contentType: 'application/x-thing',
      cacheControl: '77',
      metadata: { colour: 'blue' },
    });
    expect(uploaded).toEqual({
      data: { id: expect.any(String), path: 'big/file.bin', fullPath: 'papers/big/file.bin' },
      error: null,
    });
    const { data } = await admin.storage.from('papers').download('big/file.bin');
    const back = Buffer.from(await data!.arrayBuffer());
    expect(createHash('sha256').update(back).digest('hex')).toBe(
      createHash('sha256').update(bytes).digest('hex'),
    );
    const md5 = createHash('md5').update(bytes).digest('hex');
    const response = await ask('/object/authenticated/papers/big/file.bin', withSecret({ method: 'HEAD' }));
    const { headers } = response;
    expect(Object.fromEntries(headers)).toMatchObject({
      'accept-ranges': 'bytes',
      'cache-control': 'max-age=77',
      'content-length': '3000000',
      'content-type': 'application/x-thing',
      etag: `"${md5}"`,
      'x-content-type-options': 'nosniff',
      'x-robots-tag': 'none',
    });
    expect((await admin.storage.from('papers').info('big/file.bin')).data).toMatchObject({
      bucketId: 'papers',
      size: 3_000_000,
      contentType: 'application/x-thing',
      metadata: { colour: 'blue' },
    });
  });

  it('is read in part, and not again where it has not changed', async () => {
    await admin.storage.from('papers').upload('letters.txt', 'abcdefghij', { contentType: 'text/plain' });
    const read = (headers: Record<string, string>) =>
      ask('/object/papers/letters.txt', withSecret({ headers }));
    const first = await read({});
    const etag = first.headers.get('etag')!;
    const modified = first.headers.get('last-modified')!;
    expect(first).toMatchObject({ status: 200, body: 'abcdefghij' });
    const part = await read({ range: 'bytes=2-4' });
    expect(part).toMatchObject({ status: 206, body: 'cde' });
    expect(part.headers.get('content-range')).toBe('bytes 2-4/10');
    expect(await read({ range: 'bytes=-3' })).toMatchObject({ status: 206, body: 'hij' });
    expect(await read({ range: 'bytes=8-99' })).toMatchObject({ status: 206, body: 'ij' });
    for (const range of ['bytes=10-', 'bytes=4-2', 'bytes=a-b', 'bytes=-0', 'lines=1-2', 'bytes=0-1,3-4'])
      expect(await read({ range })).toMatchObject({
        status: 416,
        body: refused('416', 'InvalidRange', 'invalid_range', 'invalid range provided'),
      });
    expect(await read({ range: 'bytes=2-4', 'if-range': '"other"' })).toMatchObject({ status: 200 });
    expect(await read({ range: 'bytes=2-4', 'if-range': etag })).toMatchObject({ status: 206 });
    expect(await read({ 'if-none-match': etag })).toMatchObject({ status: 304, body: '' });
    expect(await read({ 'if-none-match': `"x", W/${etag}` })).toMatchObject({ status: 304 });
    expect(await read({ 'if-none-match': '"x"' })).toMatchObject({ status: 200 });
    expect(await read({ 'if-modified-since': modified })).toMatchObject({ status: 304 });
    expect(await read({ 'if-modified-since': 'Thu, 01 Jan 2015 00:00:00 GMT' })).toMatchObject({
      status: 200,
    });
  });

  it('is overwritten as a whole, moved and copied; a name that is taken is left alone', async () => {
    const papers = admin.storage.from('papers');
    await papers.upload('one.txt', 'first', { contentType: 'text/plain' });
    expect((await papers.upload('one.txt', Buffer.from('second'))).error).toMatchObject({
      message: 'The resource already exists',
      statusCode: '409',
    });
    await papers.upload('one.txt', 'second', { contentType: 'text/plain', upsert: true });
    expect(await text('papers', 'one.txt')).toBe('second');
    expect((await papers.copy('one.txt', 'two.txt')).data).toEqual({ path: 'papers/two.txt' });
    await papers.update('one.txt', 'third', { contentType: 'text/plain' });
    expect([await text('papers', 'one.txt'), await text('papers', 'two.txt')]).toEqual(['third', 'second']);
    expect((await papers.move('one.txt', 'two.txt')).error).toMatchObject({ statusCode: '409' });
    expect((await papers.move('one.txt', 'three.txt', { destinationBucket: 'avatars' })).data).toMatchObject({
      message: 'Successfully moved',
    });
    expect(await text('avatars', 'three.txt')).toBe('third');
    expect((await papers.download('one.txt')).error).toMatchObject({ message: 'Object not found' });
    expect((await papers.remove(['two.txt', 'nothing.txt'])).data?.map(({ name }) => name)).toEqual([
      'two.txt',
    ]);
  });

  it.each([
    'ümlaut.txt',
    'a\u0000b',
    'tab\tname',
    '日本語.txt',
    'a/../b.txt',
    './a.txt',
    'ａ.txt',
    'back\\slash',
    'x'.repeat(1025),
    'a#b',
    'a[b]',
  ])('is not called %j', async (name) => {
    const path = name.split('/').map(encodeURIComponent).join('%2F');
    const { status, body } = await ask(`/object/papers/${path}`, withSecret({ method: 'POST', body: 'x' }));
    expect([status, body]).toEqual([
      400,
      refused('400', 'InvalidKey', 'InvalidKey', `Invalid key: ${name.slice(0, 1024)}`),
    ]);
  });

  it("may be called what S3's safe characters spell", async () => {
    const name = "folder (1)/it's a_file-2!.*&$=@;:+,?.txt";
    await admin.storage.from('papers').upload('x/placeholder', 'x');
    const path = encodeURIComponent(name);
    expect(await ask(`/object/papers/${path}`, withSecret({ method: 'POST', body: 'x' }))).toMatchObject({
      status: 200,
      body: { Key: `papers/${name}` },
    });
    expect((await ask(`/object/papers/${path}`, withSecret())).body).toBe('x');
  });

  it('that says it is a page is shown as its text', async () => {
    await admin.storage
      .from('avatars')
      .upload('page.html', '<script>alert(1)</script>', { contentType: 'text/html' });
    const shown = await ask('/object/public/avatars/page.html');
    expect(shown.headers.get('content-type')).toBe('text/plain');
    expect(shown.headers.get('x-content-type-options')).toBe('nosniff');
    const named = await ask('/object/public/avatars/page.html?download=an%20öther.html');
    expect(named.headers.get('content-disposition')).toBe(
      "attachment; filename=an%20%C3%B6ther.html; filename*=UTF-8''an%20%C3%B6ther.html",
    );
  });

  it('whose body breaks off, or is none, is not there', async () => {
    const { hostname, port } = new URL(backend.report.API_URL);
    await new Promise<void>((resolve) => {
      const request = httpRequest({
        hostname,
        port,
        method: 'POST',
        path: '/storage/v1/object/papers/broken.bin',
        headers: { authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}`, 'content-length': '1000000' },
      });
      request.on('error', () => resolve());
      request.write(Buffer.alloc(10_000), () => setTimeout(() => request.destroy(), 200));
    });
    await expect.poll(async () => (await admin.storage.from('papers').exists('broken.bin')).data).toBe(false);
    const nothing = await ask('/object/papers/empty', withSecret({ method: 'POST' }));
    expect(nothing.status).toBe(200);
    const noForm = await ask(
      '/object/papers/form',
      withSecret({
        method: 'POST',
        body: 'no form',
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
      }),
    );
    expect(noForm.body).toMatchObject({ statusCode: '400', code: 'InvalidRequest' });
  });

  async function text(bucket: string, name: string): Promise<string> {
    const { data, error } = await admin.storage.from(bucket).download(name);
    if (error) throw error;
    return data.text();
  }
});

describe('policies', () => {
  it('decide who reads, writes, lists, signs, moves and deletes', async () => {
    const mine = ada.storage.from('papers');
    const name = `${adaId}/diary.txt`;
    expect((await mine.upload(name, 'dear diary', { contentType: 'text/plain' })).error).toBeNull();
    const others = bob.storage.from('papers');
    expect((await others.upload(`${adaId}/spoiled.txt`, 'x')).error).toMatchObject({
      message: 'new row violates row-level security policy',
      statusCode: '403',
    });
    const notFound = { message: 'Object not found', statusCode: '404' };
    expect((await others.download(name)).error).toMatchObject(notFound);
    expect((await others.createSignedUrl(name, 60)).error).toMatchObject(notFound);
    expect((await others.move(name, 'x')).error).toMatchObject(notFound);
    expect((await others.copy(name, 'x')).error).toMatchObject(notFound);
    expect((await others.info(name)).error).toMatchObject(notFound);
    expect((await others.remove([name])).data).toEqual([]);
    expect((await others.list(adaId)).data).toEqual([]);
    expect((await others.createSignedUrls([name], 60)).data?.[0]).toMatchObject({
      error: 'Either the object does not exist or you do not have access to it',
      signedUrl: null,
    });
    expect((await mine.list(adaId)).data?.map((entry) => entry.name)).toEqual(['diary.txt']);
    expect((await mine.move(name, `${adaId}/old.txt`)).error).toBeNull();
    expect((await mine.remove([`${adaId}/old.txt`])).data).toHaveLength(1);
  });

  it('decide what is taken out of a bucket that is emptied', async () => {
    const names = async () =>
      ((await admin.storage.from('shared').list()).data ?? []).map(({ name }) => name);
    const upload = async (client: SupabaseClient, name: string) =>
      expect((await client.storage.from('shared').upload(name, name)).error).toBeNull();
    await upload(admin, 'of nobody');
    expect((await ada.storage.emptyBucket('shared')).error).toBeNull();
    expect(await names()).toEqual(['of nobody']);
    await upload(ada, 'of ada');
    await upload(bob, 'of bob');
    expect((await ada.storage.emptyBucket('shared')).error).toBeNull();
    expect(await names()).toEqual(['of bob', 'of nobody']);
    // Who sees files and may delete none is told so.
    await admin.storage.from('shown').upload('of nobody', 'x');
    expect((await ada.storage.emptyBucket('shown')).error).toMatchObject({ statusCode: '403' });
    expect((await admin.storage.from('shown').list()).data).toHaveLength(1);
    expect((await anonymous().storage.emptyBucket('shared')).error).toMatchObject({ statusCode: '404' });
    expect((await admin.storage.emptyBucket('shared')).error).toBeNull();
    expect(await names()).toEqual([]);
  });

  it('let whoever may only write write, and see what kind of file it is', async () => {
    const letters = anonymous().storage.from('papers');
    expect((await letters.upload('letters/1.txt', 'hello', { contentType: 'text/plain' })).error).toBeNull();
    expect(
      (await letters.upload('letters/1.html', 'hello', { contentType: 'text/html' })).error,
    ).toMatchObject({
      statusCode: '403',
    });
    expect((await letters.list('letters')).data).toEqual([]);
  });

  it('see how much is said to come, of a form, too', async () => {
    const small = anonymous().storage.from('papers');
    const upload = async (name: string, body: Blob | string) =>
      (await small.upload(`small/${name}`, body, { contentType: 'text/plain' })).error;
    // A browser sends what it has as a form.
    expect(await upload('form', new Blob(['x'.repeat(100)]))).toBeNull();
    expect(await upload('bytes', 'x'.repeat(100))).toBeNull();
    expect(await upload('larger form', new Blob(['x'.repeat(3000)]))).toMatchObject({ statusCode: '403' });
    expect(await upload('more bytes', 'x'.repeat(3000))).toMatchObject({ statusCode: '403' });
  });

  it('have no say in a public bucket, but in what is put there', async () => {
    await admin.storage.from('avatars').upload('cat.txt', 'meow', { contentType: 'text/plain' });
    const { data } = anonymous().storage.from('avatars').getPublicUrl('cat.txt');
    expect(await (await fetch(data.publicUrl)).text()).toBe('meow');
    expect((await ask('/object/public/papers/letters/1.txt')).body).toEqual(
      refused('404', 'NoSuchBucket', 'Bucket not found', 'Bucket not found'),
    );
    expect((await ask('/object/papers/letters/1.txt')).body).toMatchObject({ code: 'NoSuchBucket' });
    expect((await anonymous().storage.from('avatars').upload('dog.txt', 'x')).error).toMatchObject({
      statusCode: '403',
    });
  });

  it('do not keep a user from being deleted, whose files stay', async () => {
    const { client, id } = await signUp('leaving@example.com');
    await client.storage.from('papers').upload(`${id}/left.txt`, 'x');
    expect((await admin.auth.admin.deleteUser(id)).error).toBeNull();
    expect((await admin.storage.from('papers').list(id)).data).toHaveLength(1);
  });
});

describe('a link', () => {
  it('opens one file until it ends, and nothing else', async () => {
    const papers = admin.storage.from('papers');
    await papers.upload('shared.txt', 'shared', { contentType: 'text/plain' });
    const { data } = await papers.createSignedUrl('shared.txt', 60, { download: 'mine.txt' });
    const opened = await fetch(data!.signedUrl);
    expect([opened.status, await opened.text(), opened.headers.get('content-disposition')]).toEqual([
      200,
      'shared',
      "attachment; filename=mine.txt; filename*=UTF-8''mine.txt",
    ]);
    const token = new URL(data!.signedUrl).searchParams.get('token')!;
    const invalid = refused('400', 'InvalidSignature', 'InvalidSignature', 'Invalid signature');
    expect((await ask(`/object/sign/papers/letters.txt?token=${token}`)).body).toEqual(invalid);
    expect((await ask('/object/sign/papers/shared.txt')).body).toMatchObject({
      message: "querystring must have required property 'token'",
    });
    expect((await ask('/object/sign/papers/shared.txt?token=x')).body).toEqual(
      refused('400', 'InvalidJWT', 'InvalidJWT', 'Invalid Compact JWS'),
    );
    const uploads = await ask(`/object/upload/sign/papers/shared.txt?token=${token}`, {
      method: 'PUT',
      body: 'x',
    });
    expect(uploads.body).toMatchObject({ message: 'Token is not scoped for upload' });
    // A user's own token names no file.
    const { data: session } = await ada.auth.getSession();
    expect(
      (await ask(`/object/sign/papers/shared.txt?token=${session.session!.access_token}`)).body,
    ).toMatchObject({
      code: 'InvalidSignature',
    });
    const short = await papers.createSignedUrl('shared.txt', 1);
    await expect.poll(async () => (await fetch(short.data!.signedUrl)).status, { interval: 200 }).toBe(400);
    expect(await (await fetch(short.data!.signedUrl)).json()).toEqual(
      refused('400', 'InvalidJWT', 'InvalidJWT', '"exp" claim timestamp check failed'),
    );
  });

  it('takes one upload to its place, from somebody without a key', async () => {
    const mine = ada.storage.from('papers');
    const name = `${adaId}/by-link.txt`;
    const { data } = await mine.createSignedUploadUrl(name);
    const stranger = anonymous().storage.from('papers');
    expect((await stranger.uploadToSignedUrl(name, data!.token, new Blob(['by link']))).error).toBeNull();
    expect((await stranger.uploadToSignedUrl(name, data!.token, new Blob(['again']))).error).toMatchObject({
      statusCode: '409',
    });
    expect((await bob.storage.from('papers').createSignedUploadUrl(`${adaId}/x.txt`)).error).toMatchObject({
      statusCode: '403',
    });
    // It is hers, as she made the link.
    expect((await mine.info(name)).data).toMatchObject({ name });
  });
});

describe('a list', () => {
  it('goes by folders and pages, in any order', async () => {
    await admin.storage.createBucket('shelf');
    const shelf = admin.storage.from('shelf');
    for (const name of ['a.txt', 'b.txt', 'c/1.txt', 'c/2.txt', 'c/d/3.txt', '50_x.txt'])
      await shelf.upload(name, name, { contentType: 'text/plain' });
    const names = (entries: readonly { name: string }[] | null | undefined) =>
      entries?.map(({ name }) => name);
    expect(names((await shelf.list()).data)).toEqual(['50_x.txt', 'a.txt', 'b.txt', 'c']);
    expect(names((await shelf.list('c', { sortBy: { column: 'name', order: 'desc' } })).data)).toEqual([
      'd',
      '2.txt',
      '1.txt',
    ]);
    expect(names((await shelf.list('', { limit: 1, offset: 2 })).data)).toEqual(['b.txt']);
    expect(names((await shelf.list('', { search: '%' })).data)).toEqual([]);
    const first = await shelf.listV2({ prefix: '', limit: 2, with_delimiter: true });
    expect([names(first.data?.objects), names(first.data?.folders), first.data?.hasNext]).toEqual([
      ['50_x.txt', 'a.txt'],
      [],
      true,
    ]);
    const second = await shelf.listV2({
      prefix: '',
      limit: 2,
      with_delimiter: true,
      cursor: first.data!.nextCursor!,
    });
    expect([names(second.data?.objects), names(second.data?.folders), second.data?.hasNext]).toEqual([
      ['b.txt'],
      ['c/'],
      false,
    ]);
    expect(names((await shelf.listV2({ prefix: 'c/' })).data?.objects)).toEqual([
      'c/1.txt',
      'c/2.txt',
      'c/d/3.txt',
    ]);
    const wrong = await ask(
      '/object/list-v2/shelf',
      withSecret({ method: 'POST', body: JSON.stringify({ cursor: 'bm8=' }) }),
    );
    expect(wrong.body).toEqual(
      refused('400', 'InvalidParameter', 'InvalidParameter', 'Invalid Parameter continuation token'),
    );
  });
});

describe('what is wrong with a request', () => {
  it.each([
    ['POST', '/bucket', '{}', "body must have required property 'name'"],
    ['POST', '/bucket', '[]', 'body must be object'],
    ['POST', '/bucket', '{"name":"n","public":"perhaps"}', 'body/public must be boolean'],
    [
      'POST',
      '/bucket',
      '{"name":"n","file_size_limit":"9 furlongs"}',
      'Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B',
    ],
    ['PUT', '/bucket/papers', '{}', 'No content provided'],
    ['POST', '/object/list/papers', '{}', "body must have required property 'prefix'"],
    ['POST', '/object/list/papers', '{"prefix":"","limit":0}', 'body/limit must be >= 1'],
    [
      'POST',
      '/object/list/papers',
      '{"prefix":"","sortBy":{"column":"size"}}',
      'body/sortBy/column must be equal to one of the allowed values',
    ],
    [
      'POST',
      '/object/list/papers',
      '{"prefix":"","offset":3000000000}',
      'value "3000000000" is out of range for type integer',
    ],
    [
      'POST',
      '/object/list-v2/papers',
      JSON.stringify({ cursor: Buffer.from('l:x\nc:created_at\na:never').toString('base64') }),
      'invalid input syntax for type timestamp with time zone: "never"',
    ],
    [
      'POST',
      '/object/list-v2/papers',
      JSON.stringify({
        with_delimiter: true,
        cursor: Buffer.from('l:x\nc:created_at\na:2026-99-99').toString('base64'),
      }),
      'date/time field value out of range: "2026-99-99"',
    ],
    ['POST', '/object/sign/papers/x', '{}', "body must have required property 'expiresIn'"],
    ['POST', '/object/sign/papers/x', '{"expiresIn":0}', 'body/expiresIn must be >= 1'],
    [
      'POST',
      '/object/sign/papers',
      '{"expiresIn":9,"paths":[]}',
      'body/paths must NOT have fewer than 1 items',
    ],
    ['DELETE', '/object/papers', '{"prefixes":[1]}', 'body/prefixes/0 must be string'],
    ['POST', '/object/move', '{"bucketId":"papers"}', "body must have required property 'sourceKey'"],
  ])('%s %s %s', async (method, path, body, message) => {
    const answered = await ask(path, withSecret({ method, body }));
    expect([answered.status, answered.body]).toEqual([
      400,
      expect.objectContaining({ statusCode: '400', message }),
    ]);
  });

  it('is said of a body that is no JSON, a path that is not there, and a token that does not hold', async () => {
    expect((await ask('/bucket', withSecret({ method: 'POST', body: '{' }))).body).toMatchObject({
      statusCode: '400',
      code: 'InvalidRequest',
    });
    expect(await ask('/nothing', withSecret())).toMatchObject({
      status: 404,
      body: refused('404', 'InvalidRequest', 'Not Found', 'Route GET:/nothing not found'),
    });
    const headers = { authorization: 'Bearer not-a-jwt' };
    expect((await ask('/bucket', { headers })).body).toEqual(
      refused('403', 'AccessDenied', 'Unauthorized', 'Invalid Compact JWS'),
    );
    expect((await ask('/bucket')).body).toMatchObject({ statusCode: '403', message: 'Invalid Compact JWS' });
  });
});
