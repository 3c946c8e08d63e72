// In charge of: sign-in as a server-rendered site has it, in a real browser: @supabase/ssr keeps the session in cookies, and the code of the
// mail's link is exchanged by the site's own server.
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createServerClient, parseCookieHeader, serializeCookieHeader } from '@supabase/ssr';
import { type Browser, type BrowserContext, type Cookie, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

const browserFile = process.env.CHROMIUM ?? '/usr/bin/chromium';
const found = existsSync(browserFile);
if (!found)
  console.warn(
    `Skipped: no browser at "${browserFile}". Install Debian's chromium, or name one in CHROMIUM.`,
  );

const password = 'correct horse battery';

/** Each user sees one row: their own. */
const notes = `
create view public.notes with (security_invoker = true) as select auth.uid() as owner where auth.uid() is not null;
grant select on public.notes to authenticated;
`;

describe.skipIf(!found)('a server-rendered site', () => {
  let project: Awaited<ReturnType<typeof makeProject>>;
  let backend: RunningBackend;
  let site: Server;
  let siteUrl: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    site = createServer((request, response) => {
      serve(backend, siteUrl, request, response).catch((error: unknown) => {
        response.writeHead(500).end(String(error));
      });
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    siteUrl = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    const config = `
project_id = "ssr"
[auth]
site_url = "${siteUrl}"
additional_redirect_urls = ["${siteUrl}/callback"]
[auth.email]
enable_confirmations = true
max_frequency = "0s"
`;
    project = await makeProject({ 'supabase/config.toml': config, 'supabase/migrations/1_notes.sql': notes });
    backend = await startBackend(project.folder);
    browser = await chromium.launch({
      executablePath: browserFile,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    });
  });
  afterAll(async () => {
    await browser?.close();
    site?.closeAllConnections();
    site?.close();
    await backend?.[Symbol.asyncDispose]();
    await project?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    onTestFinished(() => context.close());
    page = await context.newPage();
    page.setDefaultTimeout(10_000);
  });

  async function signUp(email: string): Promise<void> {
    await page.goto(siteUrl);
    await page.fill('[name=email]', email);
    await page.fill('[name=password]', password);
    await page.click('text=Sign up');
    await page.getByText('Look into your mail.').waitFor();
  }

  /** The link of the newest mail, as Mailpit's API has it. */
  async function linkFor(email: string): Promise<string> {
    const query = encodeURIComponent(`to:${email}`);
    const answer = await fetch(`${backend.report.MAILPIT_URL}/api/v1/message/latest?query=${query}`);
    const { HTML } = (await answer.json()) as { readonly HTML: string };
    return /href="([^"]+)"/.exec(HTML)![1]!.replaceAll('&amp;', '&');
  }

  const said = () => page.textContent('main');
  const sessionCookies = async () =>
    (await context.cookies()).filter(({ name }) => /-auth-token(?:\.\d+)?$/.test(name));

  it('signs up, confirms by the mail’s link, stays signed in, and signs out', async () => {
    const email = 'ada@example.com';
    await signUp(email);
    const kept = (await context.cookies()).map(({ name }) => name);
    expect(kept.filter((name) => name.endsWith('-code-verifier'))).not.toEqual([]);
    expect(await sessionCookies()).toEqual([]);

    await page.goto(await linkFor(email));
    expect(new URL(page.url()).pathname).toBe('/');
    expect(await said()).toBe(`Signed in as ${email}, who sees 1 row.`);
    const first = await sessionCookies();
    expect(first).not.toEqual([]);

    await page.reload();
    expect(await said()).toBe(`Signed in as ${email}, who sees 1 row.`);
    expect(await sessionCookies()).toEqual(first);

    // An hour later: the visit renews the token, with one refresh token in the place of the other.
    await context.addCookies(aged(first));
    await page.reload();
    expect(await said()).toBe(`Signed in as ${email}, who sees 1 row.`);
    const renewed = sessionOf(await sessionCookies());
    expect(renewed.refresh_token).not.toBe(sessionOf(first).refresh_token);
    expect(renewed.expires_at).toBeGreaterThan(Date.now() / 1000);

    await page.click('text=Sign out');
    expect(await said()).toBe('Signed out.');
    expect(await sessionCookies()).toEqual([]);
    await page.reload();
    expect(await said()).toBe('Signed out.');

    // Who kept the cookies of before signs in by them no more: the session itself has ended.
    await context.addCookies(first);
    await page.reload();
    expect(await said()).toBe('Signed out.');
  });

  it('signs nobody in by a link in another browser than the one that asked for it', async () => {
    const email = 'bob@example.com';
    await signUp(email);
    const link = await linkFor(email);
    const other = await browser.newContext();
    onTestFinished(() => other.close());
    const stranger = await other.newPage();
    await stranger.goto(link);
    expect(await stranger.textContent('main')).toMatch(/^Not signed in: .*code verifier/);
    expect((await other.cookies()).filter(({ name }) => /-auth-token$/.test(name))).toEqual([]);
  });

  it('says what is wrong with a link that was used before', async () => {
    const email = 'eve@example.com';
    await signUp(email);
    const link = await linkFor(email);
    await page.goto(link);
    expect(await said()).toBe(`Signed in as ${email}, who sees 1 row.`);
    await page.goto(link);
    expect(await said()).toBe('Not signed in: Email link is invalid or has expired');
  });
});

interface Session {
  readonly refresh_token: string;
  readonly expires_at: number;
}

/** What stands in the cookies: JSON in base64url, cut into pieces where one cookie does not hold it. */
function sessionOf(cookies: readonly Cookie[]): Session {
  const pieces = cookies.toSorted((a, b) => a.name.localeCompare(b.name)).map(({ value }) => value);
  return JSON.parse(Buffer.from(pieces.join('').replace(/^base64-/, ''), 'base64url').toString()) as Session;
}

/** The same cookies as they are for a client whose token has run out. */
function aged(cookies: readonly Cookie[]): Cookie[] {
  const session = JSON.stringify({ ...sessionOf(cookies), expires_at: 1 });
  const value = `base64-${Buffer.from(session).toString('base64url')}`;
  const length = Math.ceil(value.length / cookies.length);
  return cookies
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map((cookie, index) => ({ ...cookie, value: value.slice(index * length, (index + 1) * length) }));
}

/** The site: one page, and what its forms and the mail's link lead to. */
async function serve(
  { report }: RunningBackend,
  siteUrl: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', siteUrl);
  const supabase = createServerClient(report.API_URL, report.PUBLISHABLE_KEY, {
    cookies: {
      getAll: () =>
        parseCookieHeader(request.headers.cookie ?? '').map(({ name, value = '' }) => ({ name, value })),
      setAll: (cookies) => {
        for (const { name, value, options } of cookies)
          response.appendHeader('set-cookie', serializeCookieHeader(name, value, options));
      },
    },
  });
  const render = (words: string) =>
    response
      .setHeader('content-type', 'text/html; charset=utf-8')
      .end(`<!doctype html><title>Site</title><main>${words}</main>${forms}`);
  const leadTo = (path: string) => response.writeHead(303, { location: path }).end();

  switch (`${request.method} ${url.pathname}`) {
    case 'GET /': {
      const { data } = await supabase.auth.getUser();
      if (data.user === null) return void render('Signed out.');
      const { data: notes } = await supabase.from('notes').select();
      return void render(`Signed in as ${data.user.email}, who sees ${notes?.length} row.`);
    }
    case 'POST /sign-up': {
      const form = new URLSearchParams(await text(request));
      const { error } = await supabase.auth.signUp({
        email: form.get('email') ?? '',
        password: form.get('password') ?? '',
        options: { emailRedirectTo: `${siteUrl}/callback` },
      });
      return void render(error?.message ?? 'Look into your mail.');
    }
    case 'GET /callback': {
      const refusal = url.searchParams.get('error_description');
      if (refusal !== null) return void render(`Not signed in: ${refusal}`);
      const { error } = await supabase.auth.exchangeCodeForSession(url.searchParams.get('code') ?? '');
      return void (error ? render(`Not signed in: ${error.message}`) : leadTo('/'));
    }
    case 'POST /sign-out':
      await supabase.auth.signOut();
      return void leadTo('/');
    default:
      response.writeHead(404).end();
  }
}

const forms = `<form method="post" action="/sign-up"><input name="email"><input name="password"><button>Sign up</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>`;
