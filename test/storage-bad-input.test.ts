// In charge of: files from clients that mean no good: names that want to be other places, lengths that are lies, bodies that hardly come; by every way in.
// Each is refused in its protocol's own shape, and nothing of it is kept.
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blobIdPattern } from '../src/services/storage/blobs/blobs.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';
import { askFiles, askS3, askUpload, authorizationOf, baseOf, fileKeysEnv } from './harness/file-requests.ts';
import { encodeMetadata } from './harness/tus.ts';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let base: string;
let database: pg.Client;
beforeAll(async () => {
  project = await makeProject({
    // Half a second of patience, so that a slow client is cut off within the test.
    'supabase/config.toml':
      'project_id = "bad"\n[gateway]\nmin_bytes_per_second = 1000\nslow_grace = "500ms"\n',
    'supabase/migrations/20260601000000_files.sql': `insert into storage.buckets (id, name) values ('b', 'b')`,
  });
  backend = await startBackend(project.folder, [], { env: fileKeysEnv });
  base = baseOf(backend.report);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  expect((await askFiles(base, 'POST', '/object/b/there', Buffer.from('x'))).status).toBe(200);
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const namesThere = async () => {
  const { rows } = await database.query<{ name: string }>('select name from storage.objects order by name');
  return rows.map(({ name }) => name);
};

/** What lies below the folder of files, and is no blob in its place. */
async function strangers(): Promise<readonly string[]> {
  const folder = join(project.folder, '.millrace', 'files');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .filter(
      ({ name, parentPath }) => !(blobIdPattern.test(name) && parentPath === join(folder, name.slice(0, 2))),
    )
    .map(({ name, parentPath }) => join(parentPath, name));
}

const bad = {
  'a step up': '../b',
  'steps up in the middle': 'a/../../b',
  'a step that stays': './a',
  'a step up at the end': 'a/..',
  NUL: 'a\u0000.txt',
  'a line break': 'a\nb',
  'a backslash': '..\\..\\a',
  'full stops of another width': '．．/a',
  'leaders that look like steps': '․․/a',
  'a slash that is none': 'a∕b',
  'letters that look like others': 'раper.txt',
  'a direction of writing': 'a\u202etxt.exe',
  'half a character': 'a\ud800',
  'too long': 'n'.repeat(1_025),
  'too long in characters of four bytes': '🙂'.repeat(300),
};

describe('a name that is none', () => {
  const json = (value: unknown) => JSON.stringify(value);
  const inPath = (name: string) => encodeURIComponent(name.toWellFormed());
  const ways: Record<string, (name: string) => Promise<{ status: number; text: string }>> = {
    'an upload': (name) => askFiles(base, 'POST', `/object/b/${inPath(name)}`, Buffer.from('x')),
    'an overwriting upload': (name) => askFiles(base, 'PUT', `/object/b/${inPath(name)}`, Buffer.from('x')),
    'a link for an upload': (name) => askFiles(base, 'POST', `/object/upload/sign/b/${inPath(name)}`),
    'a move': (name) =>
      askFiles(
        base,
        'POST',
        '/object/move',
        json({ bucketId: 'b', sourceKey: 'there', destinationKey: name }),
      ),
    'a copy': (name) =>
      askFiles(
        base,
        'POST',
        '/object/copy',
        json({ bucketId: 'b', sourceKey: 'there', destinationKey: name }),
      ),
    tus: (name) =>
      askUpload(base, 'POST', '/upload/resumable', {
        'upload-length': '1',
        'upload-metadata': encodeMetadata({ bucketName: 'b', objectName: name }),
      }),
    'S3, an object': (name) => askS3(base, 'PUT', `/b/${inPath(name)}`, 'x'),
    'S3, an upload in parts': (name) => askS3(base, 'POST', `/b/${inPath(name)}?uploads=`),
    'S3, a copy': (name) => askS3(base, 'PUT', `/b/${inPath(name)}`, '', { 'x-amz-copy-source': 'b/there' }),
  };

  it.each(Object.entries(bad))('%s', async (_, name) => {
    for (const [way, ask] of Object.entries(ways)) {
      const { status, text: said } = await ask(name);
      expect({ way, status, said }).toEqual({
        way,
        status: expect.toSatisfy((code: number) => code >= 400 && code < 500),
        // A step up may have been taken by a client or a signature's reader before the name is looked at.
        said: expect.stringMatching(
          /Invalid ?Key|Invalid key|SignatureDoesNotMatch|NoSuchBucket|MethodNotAllowed/i,
        ),
      });
    }
    expect(await namesThere()).toEqual(['there']);
    expect(await strangers()).toEqual([]);
  });

  it.each(['%C0%AE%C0%AE%2Fa', '%c0%af', '%ff', '%E0%80%AF', '%', '%zz', '%ED%A0%80'])(
    'in bytes that no text has: %s',
    async (encoded) => {
      for (const path of [`/object/b/${encoded}`, `/object/${encoded}/a`, `/s3/b/${encoded}`]) {
        const response = await raw(`PUT /storage/v1${path} HTTP/1.1`, ['content-length: 1'], 'x');
        expect({ path, response }).toEqual({ path, response: expect.stringMatching(/^HTTP\/1\.1 4\d\d /) });
      }
      expect(await namesThere()).toEqual(['there']);
    },
  );
});

describe('names that mean something elsewhere', () => {
  it.each([
    'CON',
    'nul.txt',
    'LPT1',
    '__proto__',
    'constructor',
    'tmp',
    'a//b',
    ' ',
    '*',
    '.htaccess',
    '-rf',
  ])('%j is a name as any other', async (name) => {
    const path = `/object/b/${encodeURIComponent(name)}`;
    expect((await askFiles(base, 'POST', path, Buffer.from(`this is ${name}`))).status).toBe(200);
    expect((await askFiles(base, 'GET', path)).text).toBe(`this is ${name}`);
    expect((await askFiles(base, 'DELETE', path)).status).toBe(200);
    expect(await namesThere()).toEqual(['there']);
    expect(await strangers()).toEqual([]);
  });
});

const tusUpload = async (name: string) => {
  const { headers } = await askUpload(base, 'POST', '/upload/resumable', {
    'upload-length': '1000',
    'upload-metadata': encodeMetadata({ bucketName: 'b', objectName: name }),
  });
  return headers.get('location')!.replace(/^https?:\/\/[^/]+/, '');
};

/** Where a body goes by each protocol; the head of a request that has 1,000 bytes to come. */
const bodies: Record<string, () => Promise<readonly [line: string, headers: readonly string[]]>> = {
  'an upload': async () => ['POST /storage/v1/object/b/slow HTTP/1.1', ['content-type: text/plain']],
  'a form': async () => [
    'POST /storage/v1/object/b/slow HTTP/1.1',
    ['content-type: multipart/form-data; boundary=x'],
  ],
  tus: async () => [
    `PATCH ${await tusUpload('slow')} HTTP/1.1`,
    ['tus-resumable: 1.0.0', 'upload-offset: 0', 'content-type: application/offset+octet-stream'],
  ],
};

const drafts = () => readdir(join(project.folder, '.millrace', 'files', 'tmp'));

describe('a body that hardly comes', () => {
  it.each(Object.entries(bodies))('%s is cut off', async (_, open) => {
    const [line, headers] = await open();
    const said = await raw(line, [...headers, 'content-length: 1000'], 'ten bytes.');
    expect(said).toMatch(/^HTTP\/1\.1 408 /);
    await expect.poll(drafts).toEqual([]);
    expect(await namesThere()).toEqual(['there']);
  });
});

describe('a length that is a lie', () => {
  it.each(Object.entries(bodies))('more than comes of %s: nothing is there', async (_, open) => {
    const [line, headers] = await open();
    await raw(line, [...headers, 'content-length: 1000'], 'ten bytes.', 'end');
    await expect.poll(drafts).toEqual([]);
    expect(await namesThere()).toEqual(['there']);
  });

  it('less than comes: what is more is no part of the file', async () => {
    const head = ['content-type: text/plain', 'content-length: 4'];
    await raw('POST /storage/v1/object/b/short HTTP/1.1', head, 'four and more');
    const { text: found } = await askFiles(base, 'GET', '/object/b/short');
    // What is more is no request: whether the connection ends before the file has come is not said.
    expect(found).toMatch(/^four$|Object not found/);
    await askFiles(base, 'DELETE', '/object/b/short');
  });

  it.each(['-1', '1e3', '0x10', '99999999999999999999', '4, 4', ''])('"%s" is none', async (length) => {
    const said = await raw('POST /storage/v1/object/b/none HTTP/1.1', [`content-length: ${length}`], 'four');
    expect(said).toMatch(/^HTTP\/1\.1 4(?:00|13) /);
    expect(await namesThere()).toEqual(['there']);
  });
});

/** A request as it is written, and all that is answered until the connection ends. @param end: what is sent is all that comes */
async function raw(line: string, headers: readonly string[], body: string, end?: 'end'): Promise<string> {
  const { hostname, port } = new URL(backend.report.API_URL);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const own = Object.entries(authorizationOf(base)).map(([name, value]) => `${name}: ${value}`);
  socket.write(
    `${[line, `host: ${hostname}:${port}`, 'connection: close', ...own, ...headers].join('\r\n')}\r\n\r\n${body}`,
  );
  if (end) socket.end();
  return text(socket);
}
