// In charge of: which files the example's page may be served from, and which never.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exampleRoutes, findFile } from './example.ts';

let folder: string;
let app: Hono;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace example '));
  const directory = join(folder, 'web');
  await mkdir(join(directory, 'pictures'), { recursive: true });
  await mkdir(join(folder, 'web-secret'));
  await Promise.all([
    writeFile(join(directory, 'index.html'), '<!doctype html>'),
    writeFile(join(directory, 'app.js'), 'export {};'),
    writeFile(join(directory, 'notes.env'), 'SECRET=1'),
    writeFile(join(directory, '.env'), 'SECRET=1'),
    writeFile(join(directory, 'pictures', 'a shed.svg'), '<svg/>'),
    writeFile(join(folder, 'outside.txt'), 'SECRET'),
    writeFile(join(folder, 'web-secret', 'a.txt'), 'SECRET'),
    writeFile(join(folder, 'supabase.js'), 'var supabase;'),
  ]);
  await symlink(join(folder, 'outside.txt'), join(directory, 'link.txt'));
  await symlink(join(folder, 'web-secret'), join(directory, 'folder'));
  app = new Hono();
  app.route('/example', exampleRoutes(options({})));
});

afterAll(() => rm(folder, { recursive: true }));

function options(more: Partial<Parameters<typeof exampleRoutes>[0]>) {
  return {
    directory: join(folder, 'web'),
    url: () => 'http://127.0.0.1:54321',
    publishableKey: 'sb_publishable_example',
    supabaseJsFile: join(folder, 'supabase.js'),
    ...more,
  };
}

describe('GET /example/', () => {
  it('answers the page, strictly', async () => {
    const response = await app.request('/example/');
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('<!doctype html>');
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
        "connect-src 'self' http://127.0.0.1:54321 ws://127.0.0.1:54321; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    });
  });

  it.each([
    ['/example/app.js', 'text/javascript; charset=utf-8', 'export {};'],
    ['/example/pictures/a%20shed.svg', 'image/svg+xml', '<svg/>'],
    ['/example/supabase.js', 'text/javascript; charset=utf-8', 'var supabase;'],
  ])('answers %s as %s', async (path, type, body) => {
    const response = await app.request(path);
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      type,
      body,
    ]);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('sends /example to /example/, so that relative links work', async () => {
    const response = await app.request('/example');
    expect([response.status, response.headers.get('location')]).toEqual([308, '/example/']);
  });

  it.each([
    '/example/../outside.txt',
    '/example/%2e%2e/outside.txt',
    '/example/..%2foutside.txt',
    '/example/..%5coutside.txt',
    '/example/%252e%252e/outside.txt',
    '/example/pictures/..%2f..%2foutside.txt',
    '/example//outside.txt',
    '/example/%2foutside.txt',
    '/example/link.txt',
    '/example/folder/a.txt',
    '/example/.env',
    '/example/notes.env',
    '/example/pictures',
    '/example/pictures/',
    '/example/app.js/',
    '/example/app.js%00.html',
    '/example/%ff',
    `/example/${'a'.repeat(5000)}.js`,
    '/example/nothing.html',
  ])('answers 404 to %s', async (path) => {
    const response = await app.request(path);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain('SECRET');
  });

  it('answers 405 to other methods', async () => {
    const response = await app.request('/example/', { method: 'POST' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });
});

describe('the files below a folder', () => {
  it.each(['/../outside.txt', '/./app.js', '/a/../app.js', '/web-secret/../../outside.txt', '', 'app.js'])(
    'do not include %j, which no URL parser has seen',
    async (path) => expect(await findFile(join(folder, 'web'), path)).toBeUndefined(),
  );

  it('include a plain file', async () => {
    expect(await findFile(join(folder, 'web'), '/app.js')).toMatch(/web\/app\.js$/);
  });
});

describe('GET /example/config.json', () => {
  it('tells the page where the API is, with which key', async () => {
    const response = await app.request('/example/config.json');
    expect(await response.json()).toEqual({
      url: 'http://127.0.0.1:54321',
      publishableKey: 'sb_publishable_example',
    });
  });

  it('lets the page connect to the address it is told', async () => {
    const response = await app.request('/example/', { headers: { host: 'localhost:4000' } });
    expect(response.headers.get('content-security-policy')).toContain(
      "connect-src 'self' http://127.0.0.1:54321 ws://127.0.0.1:54321 http://localhost:4000 ws://localhost:4000;",
    );
  });

  it('follows the loopback name and port it was asked under, as behind a forwarded port', async () => {
    const response = await app.request('/example/config.json', { headers: { host: 'localhost:4000' } });
    expect(await response.json()).toMatchObject({ url: 'http://localhost:4000' });
  });

  it('does not follow another name', async () => {
    const response = await app.request('/example/config.json', { headers: { host: 'evil.example' } });
    expect(await response.json()).toMatchObject({ url: 'http://127.0.0.1:54321' });
  });
});

it('answers 404 for supabase-js when it is not installed', async () => {
  const other = new Hono().route('/example', exampleRoutes(options({ supabaseJsFile: undefined })));
  expect((await other.request('/example/supabase.js')).status).toBe(404);
});
