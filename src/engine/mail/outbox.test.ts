// In charge of: a mail's way from a transaction to a mail server, and what a server that is away does to it.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { openSmtpServer } from '../../../test/harness/smtp-server.ts';
import { withClient } from '../db/client.ts';
import type { Database } from '../db/database.ts';
import { openEgress } from '../egress/egress.ts';
import { openQueue } from '../queue/queue.ts';
import { openWrap } from '../secrets/wrap.ts';
import { openSettings } from '../settings/live.ts';
import { openMailOutbox } from './outbox.ts';
import { smtpSettings } from './settings.ts';
import { openSmtpMailer } from './smtp.ts';

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
});
afterAll(async () => {
  await database.close();
  await test[Symbol.asyncDispose]();
});

async function open() {
  const server = await openSmtpServer();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const smtp = { enabled: true, host: '127.0.0.1', port: server.port, admin_email: 'app@example.com' };
  const settings = openSettings([smtpSettings], { file: { auth: { email: { smtp } } }, environment: {} });
  const egress = openEgress({ allow: () => ['127.0.0.1'], observe: () => {}, now: Date.now });
  const mailer = openSmtpMailer({
    config: settings.of(smtpSettings),
    connect: egress.connect,
    localName: () => '',
    observe: () => {},
    now: Date.now,
  });
  const { db, listener } = database;
  const failed: unknown[] = [];
  let onFailed: () => void = () => {};
  const queue = openQueue({
    db,
    listener,
    backoffSeconds: () => 0.05,
    observe: (observation) => {
      if (observation.kind !== 'queue.failed') return;
      failed.push(observation);
      onFailed();
    },
  });
  onTestFinished(async () => {
    await queue.close(1_000);
    mailer.close();
    await egress.close();
  });
  const nextFailure = () =>
    new Promise<void>((resolve) => {
      onFailed = resolve;
    });
  return { server, outbox: openMailOutbox(queue, mailer, openWrap(masterKey)), failed, nextFailure };
}

const masterKey = 'a master key for tests alone, 0123';

const mail = { to: 'ada@example.com', subject: 'Hi', html: '<p>Hi</p>', kind: 'invite' };

async function inTransaction(
  end: 'commit' | 'rollback',
  work: (client: { query(text: string, values: unknown[]): Promise<{ rows: unknown[] }> }) => Promise<void>,
) {
  await withClient(test.login('supabase_auth_admin'), async (client) => {
    await client.query('begin');
    await work(client);
    await client.query(end);
  });
}

describe('a mail in the outbox', () => {
  it('is sent once the transaction has committed, and not at all when it was undone', async () => {
    const { server, outbox } = await open();
    await inTransaction('rollback', (client) => outbox.put({ ...mail, subject: 'Never' }, client));
    await inTransaction('commit', (client) => outbox.put(mail, client));
    expect((await server.mail(1)).source).toContain('Subject: Hi');
    expect(server.mails).toHaveLength(1);
  });

  it('is sent later by a server that was away, under one Message-ID', async () => {
    const { server, outbox, nextFailure } = await open();
    // It has taken the mail, but nobody hears of that.
    server.answers.BODY = '421 going down';
    const failure = nextFailure();
    await inTransaction('commit', (client) => outbox.put(mail, client));
    await failure;
    delete server.answers.BODY;
    await server.mail(1);
    const [job] = await test.run(
      `select attempts from _millrace.jobs where state = 'waiting' or attempts > 1`,
      'millrace_admin',
    );
    expect(job?.attempts).toBeGreaterThan(1);
    expect(server.mails[0]?.source).toMatch(/Message-ID: <[0-9a-f]{32}@example\.com>/);
  });

  it('cannot be read in its table while it waits, and is gone from there when it has been sent', async () => {
    const { server, outbox, nextFailure } = await open();
    server.answers.BODY = '421 going down';
    const failure = nextFailure();
    const html = '<p>The code is 424242</p>';
    await inTransaction('commit', (client) => outbox.put({ ...mail, html }, client));
    await failure;
    const waiting = await test.run(
      `select payload from _millrace.jobs where payload is not null order by id desc limit 1`,
      'millrace_admin',
    );
    expect(waiting).toEqual([{ payload: { kind: 'invite', sealed: expect.any(String) } }]);
    const sealed = Buffer.from(String(Object(waiting[0]?.payload).sealed), 'base64');
    expect(sealed.includes('424242') || sealed.includes('ada@example.com')).toBe(false);
    delete server.answers.BODY;
    expect((await server.mail(1)).source).toContain('424242');
    await expect
      .poll(() => test.run('select id from _millrace.jobs where payload is not null', 'millrace_admin'))
      .toEqual([]);
  });

  it('that can never be sent is given up', async () => {
    const { server, outbox, failed, nextFailure } = await open();
    const failure = nextFailure();
    await inTransaction('commit', (client) => outbox.put({ ...mail, to: 'a@b.c, d@e.f' }, client));
    await failure;
    const second = nextFailure();
    await test.run(`select _millrace.enqueue('mail', '{"to": 1}')`, 'postgres');
    await second;
    expect(failed).toMatchObject([{ outcome: 'dead' }, { outcome: 'dead' }]);
    expect(server.mails).toEqual([]);
  });
});
