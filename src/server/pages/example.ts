// In charge of: the example's web page at `/example/`. Files of one folder, the page's configuration, and supabase-js without a CDN.
import { open, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { type Context, Hono } from 'hono';
import { errorCode } from '../../base/errors.ts';

export interface ExampleOptions {
  /** The project's `web/` folder. Nothing outside it is ever read, not through a link either. */
  readonly directory: string;
  /** Where the page finds the API: `http://127.0.0.1:54321`. A function, because the port is known only when it is open. */
  readonly url: () => string;
  readonly publishableKey: string;
  /** `@supabase/supabase-js`'s `dist/umd/supabase.js`; undefined when it is not installed, and the page says so. */
  readonly supabaseJsFile: string | undefined;
  /** Where the routes are mounted, without a slash at the end. */
  readonly mount?: string;
}

/**
 * The routes of the example's page: `GET <mount>/…`, mounted with `app.route(mount, exampleRoutes(…))`.
 * Answers 404 for whatever is not a plain file below the folder with a known ending, 405 for other methods.
 */
export function exampleRoutes(options: ExampleOptions): Hono {
  const mount = options.mount ?? '/example';
  const routes = new Hono();
  routes.use(async (c, next) => {
    await next();
    c.header('x-content-type-options', 'nosniff');
    c.header('referrer-policy', 'no-referrer');
    c.header('cache-control', 'no-cache');
  });
  routes.all('*', async (c) => {
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD')
      return c.text('Only GET is answered here.\n', 405, { allow: 'GET, HEAD' });
    const path = new URL(c.req.url).pathname.slice(mount.length);
    // The page's links are relative, and relative to the folder.
    if (path === '') return c.redirect(`${mount}/`, 308);
    if (path === '/config.json') return c.json(pageConfig(options, c.req.header('host')));
    if (path === '/supabase.js') return await answerFile(c, options, options.supabaseJsFile);
    return await answerFile(c, options, await findFile(options.directory, path));
  });
  return routes;
}

/** Where the page finds the API, with which key. On this machine under whichever loopback name or forwarded port it was asked. */
function pageConfig(options: ExampleOptions, host: string | undefined): Readonly<Record<string, string>> {
  const url = host !== undefined && loopbackHost.test(host) ? `http://${host}` : options.url();
  return { url, publishableKey: options.publishableKey };
}

/** The file below `directory` that a URL's path names; undefined when there is none that may be shown. */
export async function findFile(directory: string, path: string): Promise<string | undefined> {
  const names = splitPath(path);
  if (names === undefined) return undefined;
  try {
    const root = await realpath(directory);
    const file = await realpath(join(root, ...names));
    return file.startsWith(root + sep) ? file : undefined;
  } catch (error) {
    if (absent.has(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

/** The names in a URL's path, decoded once; undefined when one of them is hidden, climbs, or holds a separator. */
function splitPath(path: string): readonly string[] | undefined {
  const names: string[] = [];
  for (const part of (path.endsWith('/') ? `${path}index.html` : path).split('/').slice(1)) {
    let name: string;
    try {
      name = decodeURIComponent(part);
    } catch {
      return undefined;
    }
    if (name === '' || name.startsWith('.') || /[/\\:\0]/.test(name)) return undefined;
    names.push(name);
  }
  return names;
}

async function answerFile(c: Context, options: ExampleOptions, file: string | undefined): Promise<Response> {
  const type = file === undefined ? undefined : contentTypes[extname(file).toLowerCase()];
  const body = file === undefined || type === undefined ? undefined : await loadFile(file);
  if (body === undefined || type === undefined) return c.text('There is no such file here.\n', 404);
  c.header('content-type', type);
  if (type.startsWith('text/html'))
    c.header('content-security-policy', pagePolicy(options.url(), c.req.header('host')));
  return c.body(body);
}

/** A file's bytes; undefined when it is no plain file or too long for a page. */
async function loadFile(file: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    await using handle = await open(file, 'r');
    const facts = await handle.stat();
    if (!facts.isFile() || facts.size > maxFileBytes) return undefined;
    return new Uint8Array(await handle.readFile());
  } catch (error) {
    if (absent.has(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

/** The page's own files and the API, nothing else: no inline script, no other host. */
function pagePolicy(url: string, host: string | undefined): string {
  const origins = new Set([new URL(url).origin]);
  if (host !== undefined && loopbackHost.test(host)) origins.add(`http://${host}`);
  const hosts = [...origins].flatMap((origin) => [origin, origin.replace(/^http/, 'ws')]);
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    `connect-src 'self' ${hosts.join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

const maxFileBytes = 8 * 2 ** 20;
const loopbackHost = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/;
const absent: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'EACCES',
]);
const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};
