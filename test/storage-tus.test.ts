// In charge of: uploads that can be interrupted: the tus protocol in whole answers, and the official client through kills of the server.
import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { Agent, type ClientRequest, createServer, request as httpRequest } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { markId } from '../src/services/storage/blobs/mark.ts';
import { startBackend as startProgram } from './harness/backend.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { freePort } from './harness/free-port.ts';
import { personToken } from './harness/tokens.ts';
import { askTus, encodeMetadata, sendByClient, type TusAnswer } from './harness/tus.ts';

const ada = '5df4d32d-d327-4996-8363-37c90683ea27';
const bob = 'bdb3cff8-5d76-4226-a768-94eb34b435b1';
const files = {
  'supabase/config.toml': 'project_id = "tus"\n[storage]\nfile_size_limit = "100MiB"\n',
  'supabase/migrations/20260601000000_files.sql': `
    insert into storage.buckets (id, name, file_size_limit, allowed_mime_types) values
      ('papers', 'papers', null, null), ('small', 'small', 10, null), ('pictures', 'pictures', null, '{image/*}');
    create policy "own papers" on storage.objects for all to authenticated
      using (bucket_id = 'papers' and (storage.foldername(name))[1] = (select auth.uid()::text))
      with check (bucket_id = 'papers' and (storage.foldername(name))[1] = (select auth.uid()::text));
  `,
};

let folder: string;
let server: PostgresServer;
let project: Awaited<ReturnType<typeof makeProject>>;
/** Two processes over one database and one folder of files. */
let backend: RunningBackend;
let other: RunningBackend;
beforeAll(async () => {
  folder = await makeFolder();
  server = await openPostgres({ project: folder, port: 0, password: 'unused', observe: () => {} });
  await asAdmin(`create role owner login superuser password 'owner-pw'`, 'postgres');
  await asAdmin('create database shared', 'postgres');
  project = await makeProject(files);
  const { port } = server.login('postgres');
  const env = {
    DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${port}/shared`,
    MILLRACE_MASTER_KEY: 'the-same-for-both-0123456789-0123456789',
  };
  backend = await startBackend(project.folder, [], { env });
  other = await startProgram(project.folder, [], { env });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
  await server?.stop();
  await removeFolder(folder);
  await project?.[Symbol.asyncDispose]();
});

/** Millrace's own tables no person reaches. */
const asAdmin = (sql: string, database = 'shared') =>
  withClient({ ...server.login('supabase_admin'), database }, async (client) => {
    const { rows } = await client.query(sql);
    return rows as readonly Record<string, unknown>[];
  });

const storageUrl = (path: string, { report }: RunningBackend = backend) =>
  `${report.API_URL}/storage/v1${path}`;
const endpoint = () => storageUrl('/upload/resumable');
const service = () => ({ authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` });
const person = async (id: string) => ({ authorization: `Bearer ${await personToken(id)}` });
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const shown = ({ status, body }: TusAnswer) => ({ status, body });
const offsetBytes = 'application/offset+octet-stream';

async function create(
  name: string,
  more: Readonly<Record<string, string>> = {},
  metadata: Readonly<Record<string, string>> = {},
): Promise<TusAnswer> {
  return askTus('POST', endpoint(), {
    ...service(),
    'upload-length': '10',
    'upload-metadata': encodeMetadata({ bucketName: 'papers', objectName: name, ...metadata }),
    ...more,
  });
}

async function created(...args: Parameters<typeof create>): Promise<string> {
  const { status, headers, body } = await create(...args);
  expect({ status, body }).toEqual({ status: 201, body: '' });
  return headers.location!;
}

const patch = (url: string, offset: number, text: string | Buffer, more: Record<string, string> = {}) =>
  askTus(
    'PATCH',
    url,
    { ...service(), 'content-type': offsetBytes, 'upload-offset': String(offset), ...more },
    Buffer.from(text),
  );

const head = (url: string, more: Record<string, string> = {}) =>
  askTus('HEAD', url, { ...service(), ...more });

async function download(path: string, headers: Record<string, string> = service()): Promise<Buffer> {
  const response = await fetch(storageUrl(`/object/authenticated/${path}`), { headers });
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

/** Without what changes from answer to answer. */
function plain({ status, headers, body }: TusAnswer) {
  const { date: _, 'x-request-id': __, connection: ___, 'keep-alive': ____, ...rest } = headers;
  return { status, headers: rest, body };
}

describe('the protocol', () => {
  it('says what it can to whoever asks, without credentials', async () => {
    const { status, headers } = await askTus('OPTIONS', endpoint(), {});
    expect(status).toBe(204);
    expect(headers).toMatchObject({
      'tus-version': '1.0.0',
      'tus-resumable': '1.0.0',
      'tus-extension': 'creation,creation-with-upload,creation-defer-length,termination,expiration,checksum',
      'tus-checksum-algorithm': 'md5,sha1,sha256',
      'tus-max-size': String(100 * 1024 * 1024),
      'access-control-allow-methods': 'POST, HEAD, PATCH, OPTIONS, DELETE',
    });
  });

  it('creates, takes bytes, tells the offset, and the object is there', async () => {
    const made = await create(
      'whole/steps.txt',
      {},
      { contentType: 'text/plain', cacheControl: '60', metadata: '{"a":1}' },
    );
    const url = made.headers.location!;
    expect(plain(made)).toMatchObject({
      status: 201,
      headers: { 'tus-resumable': '1.0.0', 'upload-expires': expect.stringMatching(/GMT$/) },
      body: '',
    });
    expect(url).toMatch(new RegExp(`^${endpoint()}/[\\w-]+$`));
    expect(Buffer.from(url.split('/').at(-1)!, 'base64url').toString()).toMatch(
      /^papers\/whole\/steps\.txt\/[0-9a-f-]{36}$/,
    );
    const first = await patch(url, 0, '01234');
    expect(plain(first)).toMatchObject({
      status: 204,
      headers: { 'tus-resumable': '1.0.0', 'upload-offset': '5', 'upload-expires': expect.any(String) },
    });
    expect(plain(await head(url))).toMatchObject({
      status: 200,
      headers: {
        'cache-control': 'no-store',
        'upload-offset': '5',
        'upload-length': '10',
        'upload-metadata': encodeMetadata({
          bucketName: 'papers',
          objectName: 'whole/steps.txt',
          contentType: 'text/plain',
          cacheControl: 'max-age=60',
          metadata: '{"a":1}',
        }),
      },
    });
    const last = await patch(url, 5, '56789');
    expect(last.status).toBe(204);
    expect(last.headers).toMatchObject({ 'upload-offset': '10', 'tus-complete': '1' });
    expect(last.headers).not.toHaveProperty('upload-expires');
    expect(String(await download('papers/whole/steps.txt'))).toBe('0123456789');
    expect(
      await asAdmin(
        `select metadata - 'lastModified' as metadata, user_metadata from storage.objects where name = 'whole/steps.txt'`,
      ),
    ).toEqual([
      {
        metadata: {
          eTag: `"${createHash('md5').update('0123456789').digest('hex')}"`,
          size: 10,
          mimetype: 'text/plain',
          cacheControl: 'max-age=60',
          contentLength: 10,
          httpStatusCode: 200,
        },
        user_metadata: { a: 1 },
      },
    ]);
    // Whoever missed the last answer asks, and hears that nothing is left to send.
    expect((await head(url)).headers).toMatchObject({ 'upload-offset': '10', 'upload-length': '10' });
    expect(shown(await askTus('DELETE', url, { ...service(), 'x-upsert': 'true' }))).toEqual({
      status: 400,
      body: 'Cannot terminate an already completed upload',
    });
  });

  it('takes the first bytes with the creation, and all of them', async () => {
    const upload = (name: string, body: string) =>
      askTus(
        'POST',
        endpoint(),
        {
          ...service(),
          'content-type': offsetBytes,
          'upload-length': '10',
          'upload-metadata': encodeMetadata({ bucketName: 'papers', objectName: name }),
        },
        Buffer.from(body),
      );
    const some = await upload('with/some', '0123');
    expect(some).toMatchObject({ status: 201, headers: { 'upload-offset': '4' } });
    expect((await patch(some.headers.location!, 4, '456789')).status).toBe(204);
    expect(String(await download('papers/with/some'))).toBe('0123456789');
    const all = await upload('with/all', '0123456789');
    expect(all).toMatchObject({ status: 201, headers: { 'upload-offset': '10', 'tus-complete': '1' } });
    expect(String(await download('papers/with/all'))).toBe('0123456789');
  });

  it('keeps a file of no bytes', async () => {
    const made = await create('nothing', { 'upload-length': '0' });
    expect(made).toMatchObject({ status: 201, headers: { 'tus-complete': '1' } });
    expect(await download('papers/nothing')).toHaveLength(0);
  });

  it('lets the length be said later', async () => {
    const { headers } = await askTus('POST', endpoint(), {
      ...service(),
      'upload-defer-length': '1',
      'upload-metadata': encodeMetadata({ bucketName: 'papers', objectName: 'deferred' }),
    });
    const url = headers.location!;
    await patch(url, 0, 'abc');
    expect((await head(url)).headers).toMatchObject({ 'upload-offset': '3', 'upload-defer-length': '1' });
    expect((await patch(url, 3, 'def', { 'upload-length': '6' })).headers).toMatchObject({
      'upload-offset': '6',
      'tus-complete': '1',
    });
    expect(String(await download('papers/deferred'))).toBe('abcdef');
    expect(shown(await patch(url, 6, '', { 'upload-length': '7', 'x-upsert': 'true' }))).toEqual({
      status: 400,
      body: 'Upload-Length or Upload-Defer-Length header required\n',
    });
  });

  it('keeps bytes only if their checksum holds', async () => {
    const url = await created('checked');
    const sum = (algorithm: string, text: string) =>
      `${algorithm} ${createHash(algorithm).update(text).digest('base64')}`;
    expect(shown(await patch(url, 0, '01234', { 'upload-checksum': sum('sha1', '0123X') }))).toEqual({
      status: 460,
      body: 'Checksum Mismatch\n',
    });
    expect((await head(url)).headers['upload-offset']).toBe('0');
    expect((await patch(url, 0, '01234', { 'upload-checksum': sum('sha1', '01234') })).status).toBe(204);
    expect(shown(await patch(url, 5, '56789', { 'upload-checksum': 'crc32 AAAA' }))).toEqual({
      status: 400,
      body: 'Unsupported checksum algorithm: crc32\n',
    });
    expect(shown(await patch(url, 5, '56789', { 'upload-checksum': 'sha1' }))).toEqual({
      status: 400,
      body: 'Invalid upload-checksum\n',
    });
    // The last bytes, too: the object is not there before.
    expect((await patch(url, 5, '56789', { 'upload-checksum': sum('md5', 'other') })).status).toBe(460);
    expect(await asAdmin(`select 1 from storage.objects where name = 'checked'`)).toEqual([]);
    expect((await patch(url, 5, '56789', { 'upload-checksum': sum('sha256', '56789') })).status).toBe(204);
    expect(String(await download('papers/checked'))).toBe('0123456789');
  });

  it('ends an upload that is given up', async () => {
    const url = await created('given-up');
    await patch(url, 0, '01234');
    expect(shown(await askTus('DELETE', url, service()))).toEqual({ status: 204, body: '' });
    expect((await head(url)).status).toBe(404);
    expect(shown(await patch(url, 5, '5'))).toEqual({
      status: 404,
      body: 'The file for this url was not found\n',
    });
  });

  it('writes small pieces together, and leaves one blob behind', async () => {
    const url = await created('pieces', { 'upload-length': '100' });
    for (let at = 0; at < 100; at += 10) await patch(url, at, '0123456789');
    expect(String(await download('papers/pieces'))).toBe('0123456789'.repeat(10));
    const [object] = await asAdmin(
      `select version, metadata ->> 'eTag' as etag from storage.objects where name = 'pieces'`,
    );
    // Written together they are one part, whose ETag is that of the whole.
    expect(object!.etag).toBe(`"${createHash('md5').update('0123456789'.repeat(10)).digest('hex')}"`);
  });
});

describe('what is refused', () => {
  const unknown = () => `${endpoint()}/${Buffer.from('papers/a.txt/no-such-version').toString('base64url')}`;
  const cases: readonly (readonly [
    what: string,
    ask: () => Promise<TusAnswer>,
    status: number,
    body: string,
  ])[] = [
    ['no protocol version', () => create('r', { 'tus-resumable': '' }), 412, 'Tus-Resumable Required\n'],
    [
      'another version of the protocol',
      () => create('r', { 'tus-resumable': '0.2.0' }),
      400,
      'Invalid tus-resumable\n',
    ],
    ['a length that is none', () => create('r', { 'upload-length': '-1' }), 400, 'Invalid upload-length\n'],
    [
      'metadata that is malformed',
      () => create('r', { 'upload-metadata': 'bucketName ä,=' }),
      400,
      'Invalid upload-metadata\n',
    ],
    [
      'no metadata',
      () => askTus('POST', endpoint(), { ...service(), 'upload-length': '1' }),
      400,
      'Metadata header is required',
    ],
    ['no bucket', () => create('r', {}, { bucketName: '' }), 400, 'Bucket name invalid'],
    ['a bucket that is not there', () => create('r', {}, { bucketName: 'nowhere' }), 404, 'Bucket not found'],
    ['no name', () => create(''), 400, 'Invalid key: '],
    ['a name that steps up', () => create('../../etc/passwd'), 400, 'Invalid key: ../../etc/passwd'],
    ['NUL in a name', () => create('a\u0000b'), 400, 'Invalid key: a\u0000b'],
    [
      'more than the bucket takes',
      () => create('r', { 'upload-length': '11' }, { bucketName: 'small' }),
      413,
      'Maximum size exceeded\n',
    ],
    [
      'more than any bucket takes',
      () => create('r', { 'upload-length': String(101 * 1024 * 1024) }),
      413,
      'Maximum size exceeded\n',
    ],
    [
      'a type that the bucket does not take',
      () => create('r', {}, { bucketName: 'pictures', contentType: 'text/plain' }),
      415,
      'mime type text/plain is not supported',
    ],
    [
      'no length',
      () =>
        askTus('POST', endpoint(), {
          ...service(),
          'upload-metadata': encodeMetadata({ bucketName: 'papers' }),
        }),
      400,
      'Upload-Length or Upload-Defer-Length header required\n',
    ],
    [
      'uploads that shall be put together',
      () => create('r', { 'upload-concat': 'partial' }),
      501,
      'Concatenation extension is not (yet) supported. Disable parallel uploads in the tus client.\n',
    ],
    [
      'an upload that is unknown',
      () => patch(unknown(), 0, 'x'),
      404,
      'The file for this url was not found\n',
    ],
    [
      'to end one that is unknown',
      () => askTus('DELETE', unknown(), service()),
      404,
      'The file for this url was not found\n',
    ],
    ['an id that is none', () => patch(`${endpoint()}/eA`, 0, 'x'), 400, 'Invalid upload id'],
    [
      'an id without a name',
      () => patch(`${endpoint()}/${Buffer.from('papers/v').toString('base64url')}`, 0, 'x'),
      400,
      'Invalid key: ',
    ],
    ['a method that the protocol has not', () => askTus('PUT', unknown(), service()), 404, 'Not found\n'],
  ];
  it.each(cases)('%s', async (_what, run, status, body) => {
    const answer = await run();
    expect(shown(answer)).toEqual({ status, body });
    expect(answer.headers['tus-resumable']).toBe('1.0.0');
  });

  it('an offset that is not the upload’s, a body of another type, more than was said', async () => {
    const url = await created('offsets');
    await patch(url, 0, '01234');
    expect(shown(await patch(url, 0, '01234'))).toEqual({ status: 409, body: 'Upload-Offset conflict\n' });
    expect(shown(await patch(url, 6, '6'))).toEqual({ status: 409, body: 'Upload-Offset conflict\n' });
    expect(shown(await patch(url, 5, '5', { 'upload-offset': 'x' }))).toEqual({
      status: 400,
      body: 'Invalid upload-offset\n',
    });
    expect(shown(await patch(url, 5, '5', { 'content-type': 'text/plain' }))).toEqual({
      status: 400,
      body: 'Invalid content-type\n',
    });
    expect(shown(await patch(url, 5, '5678901'))).toEqual({ status: 413, body: "upload's size exceeded\n" });
    expect(shown(await askTus('PATCH', url, { ...service(), 'content-type': offsetBytes }))).toEqual({
      status: 403,
      body: 'Upload-Offset header required\n',
    });
    expect((await head(url)).headers['upload-offset']).toBe('5');
  });

  it('more than the bucket takes, of a length that was not said', async () => {
    const { headers } = await askTus('POST', endpoint(), {
      ...service(),
      'upload-defer-length': '1',
      'upload-metadata': encodeMetadata({ bucketName: 'small', objectName: 'long' }),
    });
    expect(shown(await patch(headers.location!, 0, '0123456789X'))).toEqual({
      status: 413,
      body: "upload's size exceeded\n",
    });
    expect(shown(await patch(headers.location!, 0, '0', { 'upload-length': '11' }))).toEqual({
      status: 413,
      body: 'Maximum size exceeded\n',
    });
  });

  it('an upload that is over, until it is cleaned away', async () => {
    const url = await created('expired');
    const version = Buffer.from(url.split('/').at(-1)!, 'base64url').toString().split('/').at(-1)!;
    await asAdmin(
      `update _millrace.resumable_uploads set created_at = now() - interval '25 hours' where version = '${version}'`,
    );
    expect((await head(url)).status).toBe(410);
    expect(shown(await patch(url, 0, 'x'))).toEqual({
      status: 410,
      body: 'The file for this url no longer exists\n',
    });
  });
});

describe('who may', () => {
  const begin = async (headers: Record<string, string>, name: string) =>
    askTus('POST', endpoint(), {
      ...headers,
      'upload-length': '4',
      'upload-metadata': encodeMetadata({ bucketName: 'papers', objectName: name }),
    });
  const refusal = { status: 403, body: 'new row violates row-level security policy' };

  it('the policies say, before a byte is taken and with each that comes', async () => {
    expect(shown(await begin(await person(bob), `${ada}/theirs`))).toEqual(refusal);
    const anonymous = { authorization: `Bearer ${backend.report.ANON_KEY}` };
    expect(shown(await begin(anonymous, `${ada}/theirs`))).toEqual(refusal);
    const url = (await begin(await person(ada), `${ada}/own`)).headers.location!;
    const send = async (who: string, offset: number, text: string) =>
      patch(url, offset, text, await person(who));
    expect(shown(await send(bob, 0, 'mine'))).toEqual(refusal);
    expect(shown(await askTus('DELETE', url, await person(bob)))).toEqual(refusal);
    expect((await send(ada, 0, 'o')).status).toBe(204);
    // Another token of the same person.
    expect((await send(ada, 1, 'wn!')).status).toBe(204);
    expect(
      await asAdmin(`select owner_id, owner::text from storage.objects where name = '${ada}/own'`),
    ).toEqual([{ owner_id: ada, owner: ada }]);
    expect(String(await download(`papers/${ada}/own`, await person(ada)))).toBe('own!');
  });

  it('nobody without a key, or with a token that does not hold', async () => {
    const asked = await askTus('POST', endpoint(), {});
    expect({ status: asked.status, body: JSON.parse(asked.body) }).toEqual({
      status: 400,
      body: {
        statusCode: '403',
        code: 'AccessDenied',
        error: 'Unauthorized',
        message: 'Invalid Compact JWS',
      },
    });
    const expired = await personToken(ada, { expiresInSeconds: -60 });
    const late = await askTus('POST', endpoint(), { authorization: `Bearer ${expired}` });
    expect(JSON.parse(late.body).message).toBe('"exp" claim timestamp check failed');
  });

  it('a refused one keeps its connection', async () => {
    const url = await created('kept');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const send = (text: string, more: Record<string, string>) =>
      new Promise<Socket>((resolve, reject) => {
        const headers = {
          ...service(),
          'tus-resumable': '1.0.0',
          'content-type': offsetBytes,
          'upload-offset': '0',
          'content-length': text.length,
          ...more,
        };
        const request = httpRequest(url, { method: 'PATCH', agent, headers }, (answer) => {
          const { socket } = answer;
          answer.on('end', () => resolve(socket)).resume();
        });
        request.on('error', reject).end(text);
      });
    // What it still sends is read past, and not left lying until it is cut off.
    const first = await send('x'.repeat(1024 * 1024), { 'upload-checksum': 'crc32 AAAA' });
    expect(await send('0123456789', {})).toBe(first);
    agent.destroy();
  });

  it('does not overwrite unless it says so', async () => {
    const first = await created('once');
    const second = await created('once');
    await patch(first, 0, '0123456789');
    expect(shown(await patch(second, 0, 'x'))).toEqual({ status: 409, body: 'The resource already exists' });
    expect(shown(await create('once'))).toEqual({ status: 409, body: 'The resource already exists' });
    const over = { 'x-upsert': 'true' };
    expect((await patch(second, 0, '9876543210', over)).status).toBe(204);
    expect(String(await download('papers/once'))).toBe('9876543210');
  });

  it('one refused at the end may come again: nothing is taken for whole that no object names', async () => {
    const url = await created('late');
    await patch(url, 0, '01234');
    await asAdmin(`create function public.not_now() returns trigger language plpgsql as $$
      begin raise insufficient_privilege using message = 'not now'; end $$`);
    // Asked beforehand a row has version 1.
    await asAdmin(`create trigger not_now before insert on storage.objects for each row
      when (new.name = 'late' and new.version <> '1') execute function public.not_now()`);
    expect(shown(await patch(url, 5, '56789'))).toEqual({ status: 403, body: 'not now' });
    expect((await head(url)).headers['upload-offset']).toBe('5');
    await asAdmin('drop trigger not_now on storage.objects');
    expect((await patch(url, 5, '56789')).status).toBe(204);
    expect(String(await download('papers/late'))).toBe('0123456789');
  });
});

describe('by a link', () => {
  const signed = () => storageUrl('/upload/resumable/sign');
  const start = (headers: Record<string, string>, name = 'linked') =>
    askTus('POST', signed(), {
      ...headers,
      'upload-length': '4',
      'upload-metadata': encodeMetadata({ bucketName: 'papers', objectName: name }),
    });

  it('uploads without a key, for whom the link was made', async () => {
    const name = `${ada}/linked`;
    const made = await fetch(storageUrl(`/object/upload/sign/papers/${name}`), {
      method: 'POST',
      headers: await person(ada),
    });
    const { token } = (await made.json()) as { token: string };
    const link = { 'x-signature': token };
    const url = (await start(link, name)).headers.location!;
    expect(url.startsWith(`${signed()}/`)).toBe(true);
    const send = (headers: Record<string, string>) =>
      askTus(
        'PATCH',
        url,
        { ...headers, 'content-type': offsetBytes, 'upload-offset': '0' },
        Buffer.from('link'),
      );
    expect(shown(await send({}))).toEqual({ status: 400, body: 'Missing x-signature header' });
    expect((await send(link)).headers).toMatchObject({ 'upload-offset': '4', 'tus-complete': '1' });
    expect(String(await download(`papers/${name}`))).toBe('link');
    expect(await asAdmin(`select owner_id from storage.objects where name = '${name}'`)).toEqual([
      { owner_id: ada },
    ]);
    expect(shown(await start(link, `${ada}/another`))).toEqual({ status: 400, body: 'Invalid signature' });
  });

  it('refuses one that does not hold', async () => {
    expect(shown(await start({}))).toEqual({ status: 400, body: 'Missing x-signature header' });
    expect(shown(await start({ 'x-signature': 'invalid-token' }))).toEqual({
      status: 400,
      body: 'Invalid Compact JWS',
    });
  });
});

/** Sends `bytes` of a longer body, and then nothing. */
async function sendSome(url: string, offset: number, bytes: Buffer, of: number): Promise<ClientRequest> {
  const request = httpRequest(url, {
    method: 'PATCH',
    headers: {
      ...service(),
      'tus-resumable': '1.0.0',
      'content-type': offsetBytes,
      'upload-offset': offset,
      'content-length': of - offset,
    },
  });
  request.on('error', () => {});
  await new Promise<void>((resolve) => request.write(bytes, () => resolve()));
  return request;
}
const isWorkedOn = async (url: string) => {
  const version = Buffer.from(url.split('/').at(-1)!, 'base64url').toString().split('/').at(-1)!;
  const [row] = await asAdmin(
    `select held_until > now() as held from _millrace.resumable_uploads where version = '${version}'`,
  );
  return row!.held === true;
};

describe('what breaks off', () => {
  it('keeps what came before the connection broke', async () => {
    const bytes = randomBytes(1024 * 1024);
    const url = await created('broken', { 'upload-length': String(bytes.length) });
    const half = bytes.subarray(0, bytes.length / 2);
    const request = await sendSome(url, 0, half, bytes.length);
    await expect.poll(() => isWorkedOn(url)).toBe(true);
    request.destroy();
    await expect.poll(async () => Number((await head(url)).headers['upload-offset'])).toBeGreaterThan(0);
    const at = Number((await head(url)).headers['upload-offset']);
    expect(at).toBeLessThanOrEqual(half.length);
    expect((await patch(url, at, bytes.subarray(at))).status).toBe(204);
    expect(sha256(await download('papers/broken'))).toBe(sha256(bytes));
  });

  it('gives way to whoever asks at another process, and the upload goes on there', async () => {
    const bytes = randomBytes(600_000);
    const url = await created('moved', { 'upload-length': String(bytes.length) });
    const there = url.replace(backend.report.API_URL, other.report.API_URL);
    const request = await sendSome(url, 0, bytes.subarray(0, 200_000), bytes.length);
    await expect.poll(() => isWorkedOn(url)).toBe(true);
    // The first connection is still open, as that of a telephone that has changed its network.
    expect((await head(there)).headers['upload-offset']).toBe('200000');
    expect((await patch(there, 200_000, bytes.subarray(200_000, 400_000))).status).toBe(204);
    expect((await patch(url, 400_000, bytes.subarray(400_000))).status).toBe(204);
    request.destroy();
    expect(sha256(await download('papers/moved'))).toBe(sha256(bytes));
  });

  it('is whole when the server died between the object and the word of it', async () => {
    const url = await created('word');
    await patch(url, 0, '0123456789');
    const version = Buffer.from(url.split('/').at(-1)!, 'base64url').toString().split('/').at(-1)!;
    await asAdmin(
      `update _millrace.resumable_uploads set is_complete = false, offset_bytes = 0 where version = '${version}'`,
    );
    expect((await head(url)).headers['upload-offset']).toBe('10');
  });

  it('leaves no blob that nothing names', async () => {
    const url = await created('ended', { 'upload-length': '20000000' });
    await patch(url, 0, randomBytes(18_000_000));
    await askTus('DELETE', url, service());
    const named = async () =>
      (
        await asAdmin(
          `select version from storage.objects union all select version from _millrace.resumable_parts`,
        )
      )
        .map(({ version }) => version)
        .sort();
    await expect.poll(blobs, { timeout: 20_000 }).toEqual(await named());
  });
});

/** All blobs of the database that both processes work on, but for the mark that says whose they are. */
async function blobs(): Promise<readonly string[]> {
  const state = join(project.folder, '.millrace');
  const folder = (await readdir(state)).find((name) => name.startsWith('files-'))!;
  const entries = await readdir(join(state, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith('tmp') && entry.name !== markId)
    .map(({ name }) => name)
    .sort();
}

describe('the official client', () => {
  const metadata = (objectName: string) => ({
    bucketName: 'papers',
    objectName,
    contentType: 'application/x-random',
  });

  it('uploads by two processes in turn', async () => {
    const bytes = randomBytes(8_000_000);
    // What stands before several processes sends each request where it likes.
    const ports = [backend, other].map(({ report }) => new URL(report.API_URL).port);
    let turn = 0;
    const balancer = createServer((incoming, outgoing) => {
      const { method, url, headers } = incoming;
      const on = httpRequest(
        { port: ports[turn++ % 2], host: '127.0.0.1', method, path: url, headers },
        (answer) => {
          outgoing.writeHead(answer.statusCode!, {
            ...answer.headers,
            ...(answer.headers.location && { location: new URL(answer.headers.location).pathname }),
          });
          answer.pipe(outgoing);
        },
      );
      incoming.pipe(on);
    });
    await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve));
    const { port } = balancer.address() as AddressInfo;
    await sendByClient(bytes, {
      endpoint: `http://127.0.0.1:${port}/storage/v1/upload/resumable`,
      headers: service(),
      metadata: metadata('balanced'),
      chunkBytes: 1_000_000,
    });
    balancer.close();
    balancer.closeAllConnections();
    expect(turn).toBeGreaterThan(8);
    expect(sha256(await download('papers/balanced'))).toBe(sha256(bytes));
  });
});

describe.each([
  ['in pieces of 6 MB', 6 * 1024 * 1024],
  ['in one request', undefined],
])('a server that is killed three times on the way', (how, chunkBytes) => {
  it(`has the whole file at the end, sent ${how}`, async () => {
    await using own = await makeProject(files);
    const args = ['--port', String(await freePort())];
    let running = await startProgram(own.folder, args);
    const bytes = randomBytes(40 * 1024 * 1024);
    const kills = [10, 20, 30].map((megabytes) => megabytes * 1024 * 1024);
    let restarting: Promise<void> | undefined;
    const restart = async () => {
      running.process.kill('SIGKILL');
      await running.ended;
      running = await startProgram(own.folder, args);
      restarting = undefined;
    };
    const headers = { authorization: `Bearer ${running.report.SERVICE_ROLE_KEY}` };
    await sendByClient(bytes, {
      endpoint: storageUrl('/upload/resumable', running),
      headers,
      metadata: { bucketName: 'papers', objectName: 'killed.bin' },
      ...(chunkBytes !== undefined && { chunkBytes }),
      onProgress(sentBytes) {
        if (restarting || kills.length === 0 || sentBytes < kills[0]!) return;
        kills.shift();
        restarting = restart();
      },
    });
    await restarting;
    expect(kills).toEqual([]);
    const response = await fetch(storageUrl('/object/authenticated/papers/killed.bin', running), { headers });
    expect(sha256(Buffer.from(await response.arrayBuffer()))).toBe(sha256(bytes));
    await running[Symbol.asyncDispose]();
  }, 180_000);
});
