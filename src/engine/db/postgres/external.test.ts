// In charge of: a server that somebody else runs. It is the embedded one here, started apart; old and starting ones are played by a socket.
import { chown, copyFile, stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openExternal } from './external.ts';
import { run } from './process.ts';
import type { PostgresServer } from './server.ts';
import { openPostgres } from './supervisor.ts';
import { askValue, makeFolder, removeFolder, until } from './test-support.ts';

const observe = () => {};
let folder: string;
let server: PostgresServer;
let port: number;
beforeAll(async () => {
  folder = await makeFolder();
  server = await openPostgres({ project: folder, port: 0, password: 's3cret', majorVersion: 17, observe });
  port = server.login('postgres').port!;
  const admin = new pg.Client(server.login('supabase_admin'));
  await admin.connect();
  await admin.query(
    `create role postgres login createrole password 's3cret'; create role authenticator login password 'auth'`,
  );
  await admin.end();
});
afterAll(async () => {
  await server.stop();
  await removeFolder(folder);
});
const open = (url: string, more: Partial<Parameters<typeof openExternal>[0]> = {}) =>
  openExternal({ url, observe, ...more });
const urlOf = (rest = 'postgres', user = 'postgres:s3cret', host = '127.0.0.1') =>
  `postgresql://${user}@${host}:${port}/${rest}`;

describe('DATABASE_URL', () => {
  it('gives a server like our own', async () => {
    const url = urlOf('postgres?schema=public&connection_limit=1');
    const external = await open(url, {
      passwordOf: (role) => (role === 'authenticator' ? 'auth' : undefined),
    });
    expect(external).toMatchObject({
      engine: 'external',
      major: 17,
      version: server.version,
      url,
      notices: [],
      prepared: 'auto',
      passwords: {},
      stateFolder: undefined,
      processId: undefined,
    });
    expect(await askValue(external.login('supabase_admin'), 'select current_user')).toBe('postgres');
    expect(await askValue(external.login('authenticator'), 'select current_user')).toBe('authenticator');
    expect(await askValue(external.login('authenticator', 'template1'), 'select current_database()')).toBe(
      'template1',
    );
    expect(external.directLogin('authenticator')).toEqual(external.login('authenticator'));
    expect(await external.health()).toEqual({ ok: true, sentence: 'PostgreSQL answers.' });
    await external.stop();
    expect(server.processId).toBeDefined();
  });

  it.each([
    [
      'a wrong password',
      () => urlOf('postgres', 'postgres:s3cretX'),
      () =>
        `The server of DATABASE_URL at "127.0.0.1" port ${port} does not take the password of "postgres".`,
    ],
    [
      'an unknown database',
      () => urlOf('nosuch'),
      () => `There is no database "nosuch" on the server of DATABASE_URL at "127.0.0.1" port ${port}.`,
    ],
    [
      'a user who may not come by TCP',
      () => urlOf('postgres', 'supabase_admin:s3cret'),
      () =>
        `The server of DATABASE_URL at "127.0.0.1" port ${port} refuses "supabase_admin": pg_hba.conf rejects connection for host "127.0.0.1", user "supabase_admin", database "postgres", no encryption.`,
    ],
    [
      'TLS that the server does not do',
      () => urlOf('postgres?sslmode=require'),
      () =>
        `The server of DATABASE_URL at "127.0.0.1" port ${port} does not do TLS, and sslmode is "require".`,
    ],
    [
      'a port where nobody is',
      () => 'postgresql://a:s3cret@127.0.0.1:1/x',
      () => 'Nothing answers at "127.0.0.1" port 1, where DATABASE_URL leads.',
    ],
    [
      'a host that does not exist',
      () => 'postgresql://a:s3cret@nohost.invalid/x',
      () => 'The host "nohost.invalid" of DATABASE_URL is not known.',
    ],
  ])('with %s is refused in one sentence', async (_, url, message) => {
    const refusal = await open(url()).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ name: 'OperatorError', message: message(), hint: expect.any(String) });
    expect(String(refusal)).not.toContain('s3cret');
  });
});

describe('a transaction pooler', () => {
  it('switches named statements off, and says what DIRECT_URL would change', async () => {
    const pooled = await open(urlOf('postgres?pgbouncer=true'));
    expect(pooled.prepared).toBe('off');
    expect(pooled.directLogin('postgres')).toBeUndefined();
    expect(pooled.notices).toEqual([
      'DATABASE_URL leads to a transaction pooler and DIRECT_URL is not set: a changed schema is noticed by asking every few seconds, Realtime reads changes by triggers, and migrations run through the pooler.',
    ]);
  });

  it('is passed by with DIRECT_URL', async () => {
    const both = await open(urlOf('postgres?pgbouncer=true'), {
      directUrl: urlOf('postgres?application_name=direct'),
    });
    expect(both).toMatchObject({ prepared: 'off', notices: [] });
    expect(both.directLogin('supabase_admin')).toMatchObject({ application_name: 'direct' });
    expect(both.login('supabase_admin')).not.toHaveProperty('application_name');
  });

  it('and a DIRECT_URL to somewhere else are noticed, and one that fails is named', async () => {
    const odd = await open(urlOf('postgres?pgbouncer=true'), { directUrl: urlOf('template1') });
    expect(odd.notices).toEqual(['DATABASE_URL and DIRECT_URL seem to lead to different databases.']);
    await expect(open(urlOf(), { directUrl: urlOf('nosuch') })).rejects.toMatchObject({
      message: `There is no database "nosuch" on the server of DIRECT_URL at "127.0.0.1" port ${port}.`,
    });
  });
});

describe('TLS', () => {
  let certificates: string | undefined;
  beforeAll(async () => {
    const openssl = (...args: string[]) => run('openssl', args, { timeoutMs: 30_000 });
    const at = (name: string) => join(folder, name);
    const steps = [
      [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=Test CA',
        '-keyout',
        at('ca.key'),
        '-out',
        at('ca.pem'),
      ],
      [
        'req',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=DNS:localhost',
        '-keyout',
        at('server.key'),
        '-out',
        at('server.csr'),
      ],
      [
        'x509',
        '-req',
        '-in',
        at('server.csr'),
        '-CA',
        at('ca.pem'),
        '-CAkey',
        at('ca.key'),
        '-CAcreateserial',
        '-days',
        '2',
        '-copy_extensions',
        'copy',
        '-out',
        at('server.pem'),
      ],
    ];
    for (const step of steps) {
      const ended = await openssl(...step);
      if (ended.code !== 0) {
        process.stderr.write(
          `Skipped: no certificate could be made with openssl: ${ended.notStarted ?? ended.stderr.slice(0, 200)}\n`,
        );
        return;
      }
    }
    const data = join(folder, '.millrace', 'db');
    const { uid, gid } = await stat(data);
    for (const name of ['server.key', 'server.pem']) {
      await copyFile(at(name), join(data, name));
      await chown(join(data, name), uid, gid);
    }
    await run('chmod', ['600', join(data, 'server.key')], { timeoutMs: 5_000 });
    const admin = server.login('supabase_admin');
    await askValue(admin, `alter system set ssl_cert_file = 'server.pem'`);
    await askValue(admin, 'alter system set ssl = on');
    await askValue(admin, 'select pg_reload_conf()');
    await until(async () =>
      (await askValue(admin, `select current_setting('ssl')`)) === 'on' ? true : undefined,
    );
    certificates = folder;
  });

  const ca = () => encodeURIComponent(join(folder, 'ca.pem'));
  it.for<[string, string, boolean]>([
    ['disable', '127.0.0.1', false],
    ['allow', '127.0.0.1', false],
    ['prefer', '127.0.0.1', true],
    ['require', '127.0.0.1', true],
    ['verify-ca&sslrootcert=CA', '127.0.0.1', true],
    ['verify-full&sslrootcert=CA', 'localhost', true],
  ])('with sslmode=%s to %s encrypts: %s', async ([mode, host, encrypted], { skip }) => {
    if (certificates === undefined) return skip();
    const external = await open(
      urlOf(`postgres?sslmode=${mode.replace('=CA', `=${ca()}`)}`, 'postgres:s3cret', host),
    );
    const login = external.login('supabase_admin');
    expect(await askValue(login, 'select ssl from pg_stat_ssl where pid = pg_backend_pid()')).toBe(encrypted);
    // Each login is fresh: what `pg` does to one does not harm the next.
    expect(await askValue(external.login('supabase_admin'), 'select 1')).toBe(1);
  });

  it.for<[string, string, (port: number) => string]>([
    [
      'verify-full',
      'localhost',
      (p: number) =>
        `The certificate at "localhost" port ${p}, where DATABASE_URL leads, cannot be verified:`,
    ],
    [
      'verify-ca',
      '127.0.0.1',
      (p: number) =>
        `The certificate at "127.0.0.1" port ${p}, where DATABASE_URL leads, cannot be verified:`,
    ],
    [
      'verify-full&sslrootcert=CA',
      '127.0.0.1',
      (p: number) =>
        `The certificate at "127.0.0.1" port ${p}, where DATABASE_URL leads, is not for "127.0.0.1".`,
    ],
  ])(
    'with sslmode=%s to %s refuses a certificate that it cannot verify',
    async ([mode, host, message], { skip }) => {
      if (certificates === undefined) return skip();
      await expect(
        open(urlOf(`postgres?sslmode=${mode.replace('=CA', `=${ca()}`)}`, 'postgres:s3cret', host)),
      ).rejects.toMatchObject({
        name: 'OperatorError',
        message: expect.stringContaining(message(port)),
      });
    },
  );
});

describe('a server that', () => {
  let played: Server | undefined;
  const sockets = new Set<Socket>();
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => (played === undefined ? resolve(undefined) : played.close(resolve)));
    played = undefined;
  });
  const play = async (onConnection: (socket: Socket) => void): Promise<string> => {
    played = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      onConnection(socket);
    });
    await new Promise<void>((resolve) => played!.listen(0, '127.0.0.1', resolve));
    return `postgresql://postgres:s3cret@127.0.0.1:${(played.address() as { port: number }).port}/postgres?sslmode=disable`;
  };
  /** One message of the protocol: its letter, its length, its body. */
  const message = (letter: string, body: Buffer) => {
    const head = Buffer.alloc(5);
    head.write(letter);
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const refusal = (code: string, text: string) =>
    message('E', Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${text}\0\0`));

  it('is starting up is waited for', async () => {
    let refusals = 0;
    const url = await play((socket) => {
      if (refusals++ < 2) {
        socket.once('data', () => socket.end(refusal('57P03', 'the database system is starting up')));
        return;
      }
      const real = connect(port, '127.0.0.1');
      sockets.add(real);
      real.on('error', () => {});
      socket.pipe(real).pipe(socket);
    });
    const waits: unknown[] = [];
    const external = await open(url, { observe: (observation) => waits.push(observation.kind) });
    expect(external.major).toBe(17);
    expect(waits).toEqual(['postgres.waiting', 'postgres.waiting']);
  });

  it('does not get ready is given up', async () => {
    const url = await play((socket) => {
      socket.once('data', () => socket.end(refusal('57P03', 'the database system is starting up')));
    });
    await expect(open(url, { startingWithinMs: 0 })).rejects.toMatchObject({
      message: expect.stringMatching(/is still starting up\.$/),
    });
  });

  it.each([
    [
      'is older than 15',
      ['140019', '14.19', 'postgres', 'f', '1'],
      /^The server of DATABASE_URL at "127\.0\.0\.1" port \d+ is PostgreSQL 14\.19; Millrace needs 15 or later\.$/,
    ],
    ['is a standby', ['170005', '17.5', 'postgres', 't', '1'], /is a standby, which takes no writes\.$/],
  ])('%s is refused', async (_, row, sentence) => {
    const types = [25, 25, 19, 16, 1700];
    const url = await play((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]));
        socket.once('data', () => {
          const fields = types.map((type, index) => {
            const tail = Buffer.alloc(18);
            tail.writeInt32BE(type, 6);
            return Buffer.concat([Buffer.from(`c${index}\0`), tail]);
          });
          const values = row.map((value) => {
            const length = Buffer.alloc(4);
            length.writeInt32BE(value.length);
            return Buffer.concat([length, Buffer.from(value)]);
          });
          const count = Buffer.from([0, row.length]);
          socket.write(
            Buffer.concat([
              message('T', Buffer.concat([count, ...fields])),
              message('D', Buffer.concat([count, ...values])),
              message('C', Buffer.from('SELECT 1\0')),
              message('Z', Buffer.from('I')),
            ]),
          );
        });
      });
    });
    await expect(open(url)).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringMatching(sentence),
    });
  });

  it('says something with the password in it is quoted without', async () => {
    const url = await play((socket) => {
      socket.once('data', () => socket.end(refusal('XX000', 'no tenant for s3cret')));
    });
    await expect(open(url)).rejects.toMatchObject({
      message: expect.stringContaining('no tenant for ****.'),
    });
  });
});
