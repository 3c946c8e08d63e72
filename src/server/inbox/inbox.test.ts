// In charge of: what the inbox of development shows, to whom, and in which shape. The database is real, the requests go over a port.
import { Hono } from 'hono';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { withClient } from '../../engine/db/client.ts';
import type { Database } from '../../engine/db/database.ts';
import { openInboxOutbox, putSmsInInbox } from '../../engine/mail/inbox.ts';
import { checkInboxRequest } from './guard.ts';
import { buildInbox } from './inbox.ts';
import { openInboxPort } from './port.ts';
import { type InboxStore, openInboxStore } from './store.ts';

let test: TestDatabase;
let database: Database;
let store: InboxStore;
beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
  store = openInboxStore(database.db);
});
afterAll(async () => {
  await database.close();
  await test[Symbol.asyncDispose]();
});
beforeEach(() => test.run('truncate _millrace.inbox', 'millrace_admin'));

const outbox = openInboxOutbox(() => ({ name: 'Admin', address: 'admin@email.com' }));
const link = 'http://127.0.0.1:54321/auth/v1/verify?token=abc&type=signup&redirect_to=http://127.0.0.1:3000';
const mail = {
  to: 'ada@example.com',
  subject: 'Confirm your email address',
  html: `<h2>Welcome</h2><p>Code: 123456</p><p><a href="${link.replaceAll('&', '&amp;')}">Confirm</a></p>`,
  kind: 'confirmation',
};

/** As the auth service puts one in. */
async function put(message: Partial<typeof mail> = {}, end: 'commit' | 'rollback' = 'commit') {
  await withClient(test.login('supabase_auth_admin'), async (client) => {
    await client.query('begin');
    await outbox.put({ ...mail, ...message }, client);
    await client.query(end);
  });
}

async function open() {
  const inbox = buildInbox({ store, base: '', version: '0.0.0', observe: () => {} });
  const port = await openInboxPort({ port: 0, inbox, observe: () => {} });
  onTestFinished(() => port.close(0));
  const url = `http://127.0.0.1:${port.port}`;
  const json = async (path: string, init?: RequestInit) =>
    (await fetch(url + path, init)).json() as Promise<Any>;
  return { url, json };
}

// biome-ignore lint/suspicious/noExplicitAny: an answer of another program's shape, looked at member by member.
type Any = any;

describe('Mailpit’s API', () => {
  it('lists what was sent, the newest first, as soon as its transaction has committed', async () => {
    const { json } = await open();
    await put();
    await put({ to: 'eve@example.com', subject: 'Never' }, 'rollback');
    await put({ to: 'bob@example.com', subject: 'Second' });
    expect(await json('/api/v1/messages?limit=1')).toEqual({
      total: 2,
      unread: 2,
      count: 1,
      messages_count: 2,
      messages_unread: 2,
      start: 0,
      tags: ['confirmation', 'mail'],
      messages: [
        {
          ID: expect.stringMatching(/^[0-9a-f]{32}$/),
          MessageID: expect.stringMatching(/@email\.com$/),
          Read: false,
          From: { Name: 'Admin', Address: 'admin@email.com' },
          To: [{ Name: '', Address: 'bob@example.com' }],
          Cc: [],
          Bcc: [],
          ReplyTo: [],
          Subject: 'Second',
          Created: expect.stringMatching(/^\d{4}-.*Z$/),
          Username: '',
          Tags: ['mail', 'confirmation'],
          Size: expect.any(Number),
          Attachments: 0,
          Snippet: expect.stringContaining('Code: 123456'),
        },
      ],
    });
  });

  it('shows one with its HTML and its text, in which tests find code and link', async () => {
    const { json } = await open();
    await put();
    const { messages } = await json('/api/v1/messages');
    const message = await json(`/api/v1/message/${messages[0].ID}`);
    expect(message).toMatchObject({
      ID: messages[0].ID,
      Subject: mail.subject,
      HTML: mail.html,
      Date: messages[0].Created,
      ReturnPath: 'admin@email.com',
      Attachments: [],
      Inline: [],
    });
    expect(message).not.toHaveProperty('Snippet');
    expect(message.Text).toContain(`Confirm ( ${link} )`);
    expect(/\d{6}/.exec(message.Text)?.[0]).toBe('123456');
    expect(await json('/api/v1/message/latest')).toEqual(message);
    // Whoever looked has read it.
    expect(await json('/api/v1/messages')).toMatchObject({ unread: 0, messages: [{ Read: true }] });
  });

  it('finds by words, recipient, subject, and what is unread; a minus excludes', async () => {
    const { json } = await open();
    await put();
    await put({ to: 'bob@example.com', subject: 'Reset your password', kind: 'recovery' });
    const subjects = async (query: string) =>
      (await json(`/api/v1/search?query=${encodeURIComponent(query)}`)).messages.map(
        ({ To }: Any) => To[0].Address,
      );
    expect(await subjects('to:ADA@example.com')).toEqual(['ada@example.com']);
    expect(await subjects('to:"bob@example.com" subject:"your password"')).toEqual(['bob@example.com']);
    expect(await subjects('123456')).toEqual(['bob@example.com', 'ada@example.com']);
    expect(await subjects('-to:bob from:admin is:unread')).toEqual(['ada@example.com']);
    expect(await subjects('tag:recovery')).toEqual(['bob@example.com']);
    expect(await subjects('nothing like it')).toEqual([]);
    const latest = await json('/api/v1/message/latest?query=to%3Aada');
    expect(latest.To[0].Address).toBe('ada@example.com');
    expect((await fetch(`${(await open()).url}/api/v1/search`)).status).toBe(400);
  });

  it('deletes one, those of a search, all', async () => {
    const { json, url } = await open();
    for (const to of ['a@x.io', 'b@x.io', 'c@x.io', 'd@x.io']) await put({ to });
    const left = async () => (await json('/api/v1/messages')).messages.map(({ To }: Any) => To[0].Address);
    const { messages } = await json('/api/v1/messages');
    const answer = await fetch(`${url}/api/v1/messages`, {
      method: 'DELETE',
      body: JSON.stringify({ IDs: [messages[0].ID] }),
    });
    expect(await answer.text()).toBe('ok');
    expect(await left()).toEqual(['c@x.io', 'b@x.io', 'a@x.io']);
    await fetch(`${url}/api/v1/search?query=to:b@x.io`, { method: 'DELETE' });
    expect(await left()).toEqual(['c@x.io', 'a@x.io']);
    await fetch(`${url}/api/v1/messages`, { method: 'DELETE' });
    expect(await left()).toEqual([]);
    expect((await fetch(`${url}/api/v1/message/latest`)).status).toBe(404);
  });

  it('gives HTML, text, source and headers', async () => {
    const { url, json } = await open();
    await put({ subject: 'Grüße' });
    const page = await fetch(`${url}/view/latest.html`);
    expect(await page.text()).toBe(mail.html);
    // It stands on the inbox's own address: whatever it holds must not act as that.
    expect(page.headers.get('content-security-policy')).toMatch(
      /^sandbox allow-popups [^;]*; default-src 'none'/,
    );
    expect(await (await fetch(`${url}/view/latest.txt`)).text()).toContain('Code: 123456');
    const raw = await (await fetch(`${url}/api/v1/message/latest/raw`)).text();
    expect(raw).toContain('Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n');
    expect(Buffer.from(raw.split('\r\n\r\n')[1]!, 'base64').toString()).toBe(mail.html);
    expect(await json('/api/v1/message/latest/headers')).toMatchObject({ To: ['ada@example.com'] });
  });

  it('takes mails of the project’s own functions', async () => {
    const { json, url } = await open();
    const body = {
      From: { Email: 'app@x.io', Name: 'App' },
      To: [{ Email: 'ada@x.io' }],
      Subject: 'Hi',
      HTML: '<p>Hi</p>',
    };
    const { ID } = await json('/api/v1/send', { method: 'POST', body: JSON.stringify(body) });
    expect(await json(`/api/v1/message/${ID}`)).toMatchObject({
      Subject: 'Hi',
      Text: 'Hi',
      From: { Name: 'App' },
    });
    expect((await fetch(`${url}/api/v1/send`, { method: 'POST', body: '{"To": []}' })).status).toBe(400);
    expect((await fetch(`${url}/api/v1/send`, { method: 'POST', body: 'no' })).status).toBe(400);
  });

  it('shows an SMS as a message without a subject', async () => {
    const { json } = await open();
    await withClient(test.login('supabase_auth_admin'), (client) =>
      putSmsInInbox(client, { to: '+15551234567', text: 'Your code is 123456', kind: 'otp' }),
    );
    expect(await json('/api/v1/message/latest')).toMatchObject({
      To: [{ Address: '+15551234567' }],
      Text: 'Your code is 123456',
      HTML: '',
      Tags: ['sms', 'otp'],
    });
  });
});

describe('the inbox', () => {
  it('keeps the last 500', async () => {
    await test.run(
      `select _millrace.deliver_to_inbox(jsonb_build_object('recipient', n || '@x.io')) from generate_series(1, 510) as n`,
      'supabase_auth_admin',
    );
    const messages = await store.list();
    expect(messages).toHaveLength(500);
    expect([messages[0]!.recipient, messages.at(-1)!.recipient]).toEqual(['510@x.io', '11@x.io']);
  });

  it('can be read by nobody through a role of requests', async () => {
    for (const role of ['authenticator', 'supabase_auth_admin'] as const)
      await expect(test.run('select * from _millrace.inbox', role)).rejects.toThrow('permission denied');
    await expect(test.run(`select _millrace.deliver_to_inbox('{}')`, 'authenticator')).rejects.toThrow(
      'permission denied',
    );
  });

  it('is a page as well, also below a path, which escapes what it shows', async () => {
    await put({ subject: '<img src=x onerror=alert(1)>' });
    const app = new Hono().route(
      '/inbox',
      buildInbox({ store, base: '/inbox', version: '0', observe: () => {} }),
    );
    const get = (path: string, init: RequestInit = {}) =>
      app.request(`http://localhost:54321${path}`, {
        ...init,
        headers: { host: 'localhost:54321', ...init.headers },
      });
    const list = await get('/inbox');
    const text = await list.text();
    expect(text).toContain('&#60;img src=x onerror=alert(1)&#62;');
    expect(text).not.toContain('<img');
    expect(list.headers.get('content-security-policy')).toContain("default-src 'none'");
    const path = /href="(\/inbox\/message\/[0-9a-f]+)"/.exec(text)![1]!;
    const page = await (await get(path)).text();
    expect(page).toMatch(
      /<iframe title="The mail" sandbox="allow-popups allow-popups-to-escape-sandbox" src="\/inbox\/view\/[0-9a-f]+\.html\?embed=1">/,
    );
    expect((await get('/inbox/view/latest.html')).status).toBe(200);
    const deleted = await get('/inbox/delete', {
      method: 'POST',
      body: new URLSearchParams({ id: path.split('/').at(-1)! }),
    });
    expect([deleted.status, deleted.headers.get('location')]).toEqual([303, '/inbox']);
    expect(await (await get('/inbox')).text()).toContain('Nothing has been sent yet');
  });
});

describe('who may look', () => {
  const check = (method: string, headers: Record<string, string>) => {
    try {
      checkInboxRequest(method, (name) => headers[name]);
      return 'welcome';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it.each([
    ['a program on this machine', 'GET', { host: '127.0.0.1:54324' }, 'welcome'],
    [
      'a person who typed the address',
      'GET',
      { host: 'localhost:54324', 'sec-fetch-site': 'none' },
      'welcome',
    ],
    [
      'its own page',
      'POST',
      { host: 'localhost:1', origin: 'http://localhost:1', 'sec-fetch-site': 'same-origin' },
      'welcome',
    ],
    [
      'a link to it',
      'GET',
      {
        host: 'localhost:1',
        'sec-fetch-site': 'cross-site',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
      },
      'welcome',
    ],
    [
      'a rebound name',
      'GET',
      { host: 'evil.example:54324' },
      'The inbox does not answer for the host "evil.example:54324".',
    ],
    ['nobody in particular', 'GET', {}, 'The inbox does not answer for the host "".'],
    [
      'a page on the Internet',
      'GET',
      { host: 'localhost:1', origin: 'https://evil.example' },
      'The inbox does not answer to pages of "https://evil.example".',
    ],
    [
      'another port of this machine',
      'DELETE',
      { host: 'localhost:1', origin: 'http://localhost:3000' },
      'The inbox does not answer to pages of "http://localhost:3000".',
    ],
    [
      'a page without an origin',
      'POST',
      { host: 'localhost:1', origin: 'null' },
      'The inbox does not answer to pages of "null".',
    ],
    [
      'a picture on a page',
      'GET',
      { host: 'localhost:1', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
      'The inbox does not answer to pages of other origins.',
    ],
    [
      'a frame on a page',
      'GET',
      {
        host: 'localhost:1',
        'sec-fetch-site': 'cross-site',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'iframe',
      },
      'The inbox does not answer to pages of other origins.',
    ],
    [
      'a proxy',
      'GET',
      { host: 'localhost:1', 'x-forwarded-for': '1.2.3.4' },
      'The inbox does not answer through a proxy, as x-forwarded-for says.',
    ],
  ])('%s', (_who, method, headers, answer) => {
    expect(check(method, headers as Record<string, string>)).toBe(answer);
  });

  it('is asked at every path, and nobody else may read the answer', async () => {
    const { url } = await open();
    for (const path of ['/', '/api/v1/messages', '/view/latest.html', '/message/x', '/api/v1/info']) {
      const answer = await fetch(url + path, { headers: { origin: 'https://evil.example' } });
      expect(answer.status).toBe(403);
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    }
  });
});
