// In charge of: the two pages in a real browser, on the real program: what a person sees after the first command.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const browserFile = process.env.CHROMIUM ?? '/usr/bin/chromium';
const found = existsSync(browserFile);
if (!found)
  console.warn(
    `Skipped: no browser at "${browserFile}". Install Debian's chromium, or name one in CHROMIUM.`,
  );

describe.skipIf(!found)('in a browser', () => {
  let folder: string;
  let program: ChildProcess;
  let report: Readonly<Record<string, string>>;
  let browser: BrowserContext;
  let page: Page;
  /** What the browser complained about, refused requests excepted: a refusal is no mistake of the page. */
  let complaints: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-browser-'));
    // Root's Postgres runs as another user, who has to get through.
    await chmod(folder, 0o711);
    const project = join(root, 'examples', 'tool-library');
    program = spawn(
      process.execPath,
      [
        join(root, 'bin', 'millrace.mjs'),
        'start',
        '--json',
        '--project',
        project,
        '--data',
        join(folder, 'data'),
        '--port',
        '0',
        '--db-port',
        '0',
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, MILLRACE_INBOX_PORT: '0' } },
    );
    report = JSON.parse(await firstLine(program)) as typeof report;
    browser = await chromium.launchPersistentContext(join(folder, 'browser'), {
      executablePath: browserFile,
      args: browserArguments,
      viewport: { width: 1200, height: 900 },
    });
    await browser.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: report.API_URL! });
  });

  afterAll(async () => {
    await browser?.close();
    if (program && program.exitCode === null) {
      const ended = new Promise((resolve) => program.once('exit', resolve));
      program.kill('SIGTERM');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });

  async function visit(path: string): Promise<void> {
    page = await browser.newPage();
    page.setDefaultTimeout(patienceMs);
    complaints = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      const isRefusal = /responded with a status of 40[013] /.test(message.text());
      if (message.type() === 'error' && !isRefusal) complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!/^(?:data|blob):/.test(request.url()) && !request.url().startsWith(report.API_URL!))
        complaints.push(request.url());
    });
    const response = await page.goto(report.API_URL + path, { waitUntil: 'networkidle' });
    expect(response?.status()).toBe(200);
  }

  /** Chooses whose eyes, and waits until the page has been read anew. */
  async function lookAs(name: string): Promise<void> {
    await page.getByRole('radio', { name, exact: true }).check();
    await page
      .getByText(name === 'nobody' ? 'the role anon' : `${name} `, { exact: false })
      .first()
      .waitFor();
    await page.waitForLoadState('networkidle');
  }

  async function openTool(name: string): Promise<void> {
    await page.getByRole('searchbox').fill(name);
    await page.getByText('1 of 1 tools').waitFor();
    await page.locator('#tools').getByRole('button', { name }).click();
    await page.getByRole('dialog').getByRole('heading', { name }).waitFor();
  }

  async function writeReview(body: string): Promise<void> {
    await page.getByLabel('Your review').fill(body);
    await page.locator('.review [name=stars]').selectOption('4');
    await page.getByRole('button', { name: 'Write' }).click();
  }

  const alert = () => page.getByRole('dialog').getByRole('alert');

  describe('GET /', () => {
    it('says what runs here, and every service is healthy', async () => {
      await visit('/');
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('tool-library');
      expect(await page.locator('main').textContent()).toContain(
        `PostgreSQL ${/postgresql (\S+)/.exec(report.ENGINE!)![1]}`,
      );
      expect(await page.getByText('is up and answers.').count()).toBe(1);
    });

    it('copies a snippet that reads rows as it stands', async () => {
      await visit('/');
      await page.locator('[data-copy=snippet]').click();
      await page.getByRole('status').getByText('Copied.').waitFor({ state: 'attached' });
      const snippet = await page.evaluate('navigator.clipboard.readText()');
      expect(snippet).toContain(`'${report.API_URL}'`);
      expect(snippet).toContain(`'${report.PUBLISHABLE_KEY}'`);
      const { stdout, stderr } = await run(
        process.execPath,
        ['--input-type=module', '--eval', String(snippet)],
        { cwd: root },
      );
      expect(stderr).toBe('');
      expect(stdout).toMatch(/^\[\s*\{/);
    });

    it('leads to the example', async () => {
      await visit('/');
      await page.getByRole('link', { name: 'Open the example’s page' }).click();
      await page.getByText('12 of 34 tools').waitFor();
    });
  });

  describe('GET /example/', () => {
    it('shows the seeded tools to a visitor: counted, in pages, filtered', async () => {
      await visit('/example/');
      await page.getByText('12 of 34 tools').waitFor();
      expect(await page.locator('.card').count()).toBe(12);
      await page.getByRole('button', { name: 'Show more' }).click();
      await page.getByText('24 of 34 tools').waitFor();
      await page.locator('#filters [name=kind]').selectOption('kitchen');
      await page.getByText('4 of 4 tools').waitFor();
      expect(await page.locator('.card .name').allTextContents()).toEqual([
        'Apple press',
        'Dehydrator',
        'Jam pot, 15 litres',
        'Pasta machine',
      ]);
      await page.getByRole('searchbox').fill('zeppelin');
      await page.getByText('No tool fits.').waitFor();
    });

    it('shows a visitor what was said of a tool, but not by whom', async () => {
      await visit('/example/');
      await openTool('Canoe, two seats');
      const said = await page.locator('.reviews').textContent();
      expect(said).toContain('Saw a kingfisher.');
      expect(said).toContain('a neighbour');
      expect(said).not.toContain('Sofia');
      await page.keyboard.press('Escape');
      await lookAs('Jonas');
      await openTool('Canoe, two seats');
      expect(await page.locator('.reviews').textContent()).toContain('Sofia Marin');
    });

    it('asks a function with arguments what is free', async () => {
      await visit('/example/');
      await page.locator('#plan').getByLabel('kind').selectOption('kitchen');
      await page.getByRole('button', { name: 'What is free?' }).click();
      await page.getByText('3 tools are free.').waitFor();
      expect(await page.locator('.free button').allTextContents()).toEqual([
        'Apple press',
        'Jam pot, 15 litres',
        'Pasta machine',
      ]);
    });

    it('writes a review for who has borrowed the tool, and deletes it again', async () => {
      await visit('/example/');
      await lookAs('Jonas');
      await openTool('Hedge trimmer');
      await writeReview('Cuts like butter.');
      await alert().getByText('Your review is on the shelf.').waitFor();
      expect(await page.locator('.reviews li').first().textContent()).toContain('Cuts like butter.');
      expect(await page.locator('.reviews li').first().textContent()).toContain('Jonas Okafor');
      await page.getByRole('button', { name: 'delete' }).click();
      await alert().getByText('Your review is gone.').waitFor();
      expect(await page.locator('.reviews').textContent()).not.toContain('Cuts like butter.');
    });

    it('shows the refusal of a policy so that a person understands it', async () => {
      await visit('/example/');
      await lookAs('Wen');
      await openTool('Hedge trimmer');
      await writeReview('I only looked at it.');
      await alert().getByText('Not written.').waitFor();
      const said = await alert().textContent();
      expect(said).toContain(
        'The database refused: a policy or a missing grant says no, and nothing was written.',
      );
      expect(said).toContain('new row violates row-level security policy for table "reviews"');
      expect(said).toContain('42501');
      expect(await page.locator('.reviews').textContent()).not.toContain('I only looked at it.');
    });

    it('refuses a visitor by a missing grant', async () => {
      await visit('/example/');
      await openTool('Apple press');
      await page.getByRole('button', { name: 'Borrow' }).click();
      await alert().getByText('permission denied for function borrow_tool').waitFor();
    });

    it('joins a shed, borrows there, and brings the tool back', async () => {
      await visit('/example/');
      await lookAs('Nell');
      await page.getByText('Nothing at the moment.').waitFor();
      const shed = page.locator('#sheds li', { hasText: 'Canal House' });
      await shed.getByRole('button', { name: 'Join' }).click();
      await page.getByText('Welcome to Canal House.').waitFor();
      await openTool('Apple press');
      await page.getByLabel('days').fill('30');
      await page.getByRole('button', { name: 'Borrow' }).click();
      await alert().getByText('A tool is lent for 1 to 21 days, not for 30.').waitFor();
      expect(await alert().textContent()).toContain('Bring it back and borrow it again.');
      await page.getByLabel('days').fill('3');
      await page.getByRole('button', { name: 'Borrow' }).click();
      await alert().getByText('Yours until').waitFor();
      await page.keyboard.press('Escape');
      await page.locator('#loans').getByRole('button', { name: 'Bring back' }).click();
      await page.getByText('Apple press is back. Thank you.').waitFor();
      await page.getByText('Nothing at the moment.').waitFor();
      await shed.getByRole('button', { name: 'Leave' }).click();
      await page.getByText('You have left Canal House.').waitFor();
    });

    it('tells a keeper that a delete found no row', async () => {
      await visit('/example/');
      await lookAs('Priya');
      await page
        .locator('#sheds li', { hasText: 'Canal House' })
        .getByRole('button', { name: 'Leave' })
        .click();
      await page.getByText('Keepers stay until somebody relieves them').waitFor();
    });
  });

  it.each(['/', '/example/'])('%s fits a phone', async (path) => {
    await visit(path);
    await page.setViewportSize({ width: 320, height: 640 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320);
  });
});

/** The first line a program prints. A program that ends before is an error, with its exit code. */
function firstLine(program: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface({ input: program.stdout! }).once('line', resolve);
    program.once('exit', (code) => reject(new Error(`The program ended with ${code} before it was ready.`)));
  });
}

/** How long the page may take to show what is awaited. */
const patienceMs = 10_000;

const run = promisify(execFile);

const browserArguments = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
