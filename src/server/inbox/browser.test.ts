// In charge of: that a mail cannot act as the inbox, seen in a real browser. Mails hold what strangers wrote.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import { buildInbox } from './inbox.ts';
import { openInboxPort } from './port.ts';
import type { Message } from './store.ts';

const browserFile = process.env.CHROMIUM ?? '/usr/bin/chromium';

const message: Message = {
  id: 'a1',
  medium: 'mail',
  kind: 'invite',
  senderName: 'App',
  sender: 'app@example.com',
  recipient: 'ada@example.com',
  subject: 'Hello',
  html: `<p id="p">Hi</p><script>p.textContent = 'ran'; fetch('/api/v1/messages', { method: 'DELETE' })</script>
<img src="x" onerror="p.textContent = 'ran'"><form action="/delete" method="post"><button>Click me</button></form>`,
  text: 'Hi',
  seen: false,
  createdAt: new Date('2026-01-01T00:00:00Z'),
};

it.skipIf(!existsSync(browserFile))(
  'shows a mail whose script, form and pictures do nothing; its own buttons work',
  async () => {
    const removed: unknown[] = [];
    const store = {
      list: async () => [message],
      find: async () => message,
      setSeen: async () => {},
      remove: async (ids?: readonly string[]) => void removed.push(ids),
      add: async () => '',
    };
    const inbox = buildInbox({ store, base: '', version: '0', observe: () => {} });
    const port = await openInboxPort({ port: 0, inbox, observe: () => {} });
    onTestFinished(() => port.close(0));
    const browser = await chromium.launch({ executablePath: browserFile, args: ['--no-sandbox'] });
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    const url = `http://127.0.0.1:${port.port}`;

    await page.goto(url);
    await page.click('text=Hello');
    const mail = page.frameLocator('iframe');
    await mail.locator('button').click();
    expect(await mail.locator('#p').textContent()).toBe('Hi');
    await page.goto(`${url}/view/a1.html`);
    await page.click('button');
    expect(await page.textContent('#p')).toBe('Hi');
    expect(removed).toEqual([]);

    await page.goto(`${url}/message/a1`);
    await page.click('text=Delete');
    expect(removed).toEqual([['a1']]);
    expect(page.url()).toBe(`${url}/`);
  },
);
