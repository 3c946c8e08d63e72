// In charge of: the certificate of the port: what is taken at start, what is taken while connections are open, and what is not.
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { Agent, createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type SecureVersion } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Authority, makeAuthority, type Pair } from '../../../test/harness/certificates.ts';
import type { Observation } from '../../base/observe.ts';
import { openSettings } from '../../engine/settings/live.ts';
import { tlsSettings } from './settings.ts';
import { openTls, type Tls, type TlsOptions } from './tls.ts';

const dayMs = 24 * 3600 * 1000;
let authority: Authority;
let folder: string;
let seen: Observation[];
let clockMs: number | undefined;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  authority = await makeAuthority();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr tls '));
  seen = [];
  clockMs = undefined;
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

async function open(toml: Record<string, unknown>, more: Partial<TlsOptions> = {}): Promise<Tls> {
  const file = { api: { tls: { enabled: true, ...toml } } };
  const tls = await openTls({
    settings: openSettings([tlsSettings], { file, environment: {} }).of(tlsSettings).now(),
    supabaseFolder: join(folder, 'supabase'),
    stateFolder: join(folder, '.millrace'),
    host: '127.0.0.1',
    externalUrl: '',
    production: false,
    whenLeader: async (work) => {
      await work(new AbortController().signal);
      return true;
    },
    egress: {
      fetch: async () => {
        throw new Error('nothing leaves here');
      },
    },
    observe: (event) => seen.push(event),
    now: () => clockMs ?? Date.now(),
    // An hour: what is heard is heard from the operating system, or the test asks for a look.
    timing: { pollMs: 3_600_000, settleMs: 40 },
    ...more,
  });
  closers.push(() => tls.close());
  return tls;
}

async function serve(tls: Tls, work = () => 'hello'): Promise<Server & { readonly port: number }> {
  const server = createServer(tls.secureOptions(), (_, response) => response.end(work()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  tls.attach(server);
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

/** The files that the settings name, in `supabase/`. */
const ownFiles = { cert_path: '../certs/site.crt', key_path: '../certs/site.key' };
async function put({ cert, key }: Partial<Pair>): Promise<void> {
  await mkdir(join(folder, 'certs'), { recursive: true });
  if (cert !== undefined) await writeFile(join(folder, 'certs', 'site.crt'), cert);
  if (key !== undefined) await writeFile(join(folder, 'certs', 'site.key'), key);
}

/** What a new connection is shown: the certificate's fingerprint and what was agreed on. */
function handshake(port: number, more: ConnectionOptions = {}) {
  return new Promise<{ fingerprint: string; protocol: string | null; alpn: string | false | null }>(
    (resolve, reject) => {
      const socket = connect(
        { host: '127.0.0.1', port, ca: authority.cert, servername: 'localhost', ...more },
        () => {
          resolve({
            fingerprint: socket.getPeerCertificate().fingerprint256,
            protocol: socket.getProtocol(),
            alpn: socket.alpnProtocol,
          });
          socket.destroy();
        },
      );
      socket.once('error', reject);
    },
  );
}
const shown = async (port: number) => (await handshake(port)).fingerprint;

describe('a certificate of the owner', () => {
  it('is shown, and replaced without a cut connection while requests run', async () => {
    await put(await authority.issue());
    const server = await serve(await open(ownFiles));
    const before = await shown(server.port);

    // Eight connections that ask again and again, until the new certificate has been shown to somebody else.
    const agent = new Agent({ keepAlive: true, maxSockets: 8, ca: authority.cert });
    closers.push(async () => agent.destroy());
    const sockets = new Set<object>();
    let isOver = false;
    let answersAfter = 0;
    let isReplaced = false;
    const ask = () =>
      new Promise<void>((resolve, reject) => {
        const sent = httpsRequest({ host: 'localhost', port: server.port, agent, family: 4 }, (response) => {
          response.resume();
          response.once('end', resolve);
        });
        sent.once('socket', (socket) => sockets.add(socket));
        sent.once('error', reject).end();
      });
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        await ask();
        if (isReplaced) answersAfter += 1;
      }
    });
    await put(await authority.issue());
    await expect.poll(() => shown(server.port), { timeout: 20_000 }).not.toBe(before);
    isReplaced = true;
    await expect.poll(() => answersAfter, { timeout: 20_000 }).toBeGreaterThan(100);
    isOver = true;
    // None was refused, and no connection had to be opened again.
    await Promise.all(clients);
    expect(sockets.size).toBe(8);
    expect(seen.map(({ kind }) => kind)).toEqual(['tls.certificate']);
  });

  it('is found behind the links that certbot turns round', async () => {
    const live = join(folder, 'live');
    await mkdir(join(folder, 'archive'));
    await mkdir(live);
    const issue = async (number: number) => {
      const { cert, key } = await authority.issue();
      for (const [name, text] of [
        ['fullchain', cert],
        ['privkey', key],
      ] as const) {
        const target = join(folder, 'archive', `${name}${number}.pem`);
        await writeFile(target, text);
        await symlink(target, join(live, `${name}.new`));
        await rename(join(live, `${name}.new`), join(live, `${name}.pem`));
      }
    };
    await issue(1);
    const server = await serve(
      await open({ cert_path: join(live, 'fullchain.pem'), key_path: join(live, 'privkey.pem') }),
    );
    const before = await shown(server.port);
    await issue(2);
    await expect.poll(() => shown(server.port), { timeout: 20_000 }).not.toBe(before);
  });

  it('may be one file that holds both', async () => {
    const { cert, key } = await authority.issue();
    await put({ cert: key + cert });
    const server = await serve(await open({ cert_path: '../certs/site.crt', key_path: '../certs/site.crt' }));
    expect((await handshake(server.port)).protocol).toBe('TLSv1.3');
  });

  it('stays when a new one comes whose key is another, and goes when that has come, too', async () => {
    await put(await authority.issue());
    const tls = await open(ownFiles);
    const server = await serve(tls);
    const before = await shown(server.port);
    const next = await authority.issue();
    await put({ cert: next.cert });
    await tls.check();
    expect(await shown(server.port)).toBe(before);
    const sentence = `The key in "${join(folder, 'certs', 'site.key')}" is not that of the certificate in "${join(folder, 'certs', 'site.crt')}". The certificate from before stays in use.`;
    expect(seen).toEqual([{ kind: 'tls.not_taken', level: 'warn', message: sentence }]);
    // Said once, not at each look.
    await tls.check();
    expect(seen).toHaveLength(1);
    await put({ key: next.key });
    await tls.check();
    expect(await shown(server.port)).not.toBe(before);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['is gone', () => rm(join(folder, 'certs', 'site.crt')), /^There is no file "/],
    [
      'is half written',
      () => put({ cert: '-----BEGIN CERTIFICATE-----\nMIIB' }),
      /holds no certificate in PEM form/,
    ],
    [
      'is no certificate',
      () => put({ cert: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n' }),
      /cannot be read/,
    ],
    [
      'is over already',
      async () => put(await authority.issue({ notAfter: new Date(Date.now() - 1000) })),
      /is not valid now/,
    ],
    [
      'is not valid yet',
      async () => put(await authority.issue({ notBefore: new Date(Date.now() + dayMs) })),
      /is not valid now/,
    ],
  ])('stays when the new one %s', async (_, spoil, problem) => {
    await put(await authority.issue());
    const tls = await open(ownFiles);
    const server = await serve(tls);
    const before = await shown(server.port);
    await spoil();
    await tls.check();
    expect(await shown(server.port)).toBe(before);
    expect(seen).toEqual([{ kind: 'tls.not_taken', level: 'warn', message: expect.stringMatching(problem) }]);
  });

  it('is said to expire two weeks before, once a day, and to be over when it is', async () => {
    const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 + 60 * dayMs);
    await put(await authority.issue({ notAfter, notBefore: new Date(Date.now() - 60 * dayMs) }));
    const tls = await open(ownFiles);
    expect(tls.notices).toEqual([]);
    const sayings = async (daysBefore: number) => {
      clockMs = notAfter.getTime() - daysBefore * dayMs;
      await tls.check();
      return seen.splice(0);
    };
    expect(await sayings(15)).toEqual([]);
    const expiring = {
      kind: 'tls.validity',
      level: 'warn',
      message: `The TLS certificate expires at ${notAfter.toISOString()}. Renew it.`,
    };
    expect(await sayings(13.5)).toEqual([expiring]);
    expect(await sayings(13)).toEqual([]);
    expect(await sayings(12)).toEqual([expiring]);
    expect(await sayings(0)).toEqual([
      {
        kind: 'tls.validity',
        level: 'error',
        message: `The TLS certificate expired at ${notAfter.toISOString()}; clients refuse it. Renew it.`,
      },
    ]);
  });

  it('that is not for the external name is said at start', async () => {
    await put(await authority.issue({ names: ['other.example'] }));
    const tls = await open(ownFiles, { externalUrl: 'https://api.example' });
    expect(tls.notices).toEqual([
      'The TLS certificate is not for "api.example", the host of [api].external_url, but for DNS:other.example.',
    ]);
  });
});

describe('what is spoken', () => {
  /** A client that would speak the oldest, which OpenSSL only does on security level 0. */
  const old = (version: SecureVersion) => ({
    minVersion: version,
    maxVersion: version,
    ciphers: 'DEFAULT@SECLEVEL=0',
  });

  it.each<[SecureVersion, string]>([
    ['TLSv1', 'TLSv1.2'],
    ['TLSv1.1', 'TLSv1.2'],
    ['TLSv1.2', 'TLSv1.3'],
  ])('%s is refused with min_version %s', async (version, minVersion) => {
    await put(await authority.issue());
    const server = await serve(await open({ ...ownFiles, min_version: minVersion }));
    await expect(handshake(server.port, old(version))).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    });
    // The twin: the same client with the version that is allowed.
    const allowed = minVersion as SecureVersion;
    expect((await handshake(server.port, old(allowed))).protocol).toBe(allowed);
  });

  it.each<SecureVersion>(['TLSv1', 'TLSv1.1'])(
    '%s is what this client really speaks: a server that allows it takes it',
    async (version) => {
      const server = createServer({ ...(await authority.issue()), ...old(version) });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      closers.push(() => new Promise((resolve) => server.close(resolve)));
      const { port } = server.address() as AddressInfo;
      expect((await handshake(port, old(version))).protocol).toBe(version);
    },
  );

  it('stays refused after a certificate was replaced', async () => {
    await put(await authority.issue());
    const tls = await open({ ...ownFiles, min_version: 'TLSv1.3' });
    const server = await serve(tls);
    await put(await authority.issue());
    await tls.check();
    expect(seen.map(({ kind }) => kind)).toEqual(['tls.certificate']);
    await expect(handshake(server.port, old('TLSv1.2'))).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    });
  });

  it('is http/1.1, and a client that wants only another protocol is refused', async () => {
    await put(await authority.issue());
    const server = await serve(await open(ownFiles));
    expect(await handshake(server.port, { ALPNProtocols: ['h2', 'http/1.1'] })).toMatchObject({
      alpn: 'http/1.1',
    });
    expect(await handshake(server.port)).toMatchObject({ alpn: false });
    await expect(handshake(server.port, { ALPNProtocols: ['ftp'] })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    });
  });

  it('needs a cipher with forward secrecy that is not broken', async () => {
    await put(await authority.issue());
    const server = await serve(await open(ownFiles));
    const offer = (ciphers: string) => handshake(server.port, { maxVersion: 'TLSv1.2', ciphers });
    await expect(offer('ECDHE-ECDSA-AES128-GCM-SHA256')).resolves.toMatchObject({ protocol: 'TLSv1.2' });
    await expect(offer('AES128-SHA:@SECLEVEL=0')).rejects.toThrow();
    await expect(offer('ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0')).rejects.toThrow();
  });
});

describe('without a certificate', () => {
  it('development gets a self-signed one that a client can be told to trust, and keeps it', async () => {
    const server = await serve(await open({}));
    const path = join(folder, '.millrace', 'tls', 'self-signed.crt');
    const ca = await readFile(path, 'utf8');
    expect(await handshake(server.port, { ca })).toMatchObject({ protocol: 'TLSv1.3' });
    await expect(handshake(server.port, { ca, servername: 'evil.example' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
    const again = await open({});
    expect(again.notices).toEqual([`The TLS certificate is self-signed. To trust it: ${path}`]);
    expect(again.secureOptions().cert).toBe(ca.endsWith('\n') ? ca : `${ca}\n`);
  });

  it('its key is for this user alone', async () => {
    await open({});
    const own = join(folder, '.millrace', 'tls');
    expect((await stat(own)).mode & 0o777).toBe(0o700);
    expect((await stat(join(own, 'self-signed.pem'))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(own, '.gitignore'), 'utf8')).toBe('*\n');
    expect((await readdir(own)).sort()).toEqual(['.gitignore', 'self-signed.crt', 'self-signed.pem']);
  });

  it.each<[string, Record<string, unknown>, Partial<TlsOptions>, RegExp]>([
    ['production', {}, { production: true }, /there is no certificate/],
    ['half a pair', { cert_path: 'x.pem' }, {}, /"api.tls.key_path" is not/],
    ['the other half', { key_path: 'x.pem' }, {}, /"api.tls.cert_path" is not/],
    [
      'a file that is not there',
      { cert_path: 'x.pem', key_path: 'y.pem' },
      {},
      /There is no file ".*supabase\/x.pem"/,
    ],
    ['two sources', { ...ownFiles, acme: { enabled: true } }, {}, /there is one certificate/],
    ['ACME without its terms', { acme: { enabled: true } }, {}, /are not accepted/],
    ['ACME without a name', { acme: { enabled: true, accept_terms: true } }, {}, /for which name/],
    [
      'ACME for this machine',
      { acme: { enabled: true, accept_terms: true } },
      { externalUrl: 'https://localhost' },
      /"localhost": no certificate authority/,
    ],
    [
      'ACME for an address',
      { acme: { enabled: true, accept_terms: true } },
      { externalUrl: 'https://192.0.2.1' },
      /"192.0.2.1": an address/,
    ],
    [
      'ACME for all names',
      { acme: { enabled: true, accept_terms: true, domains: ['*.example.com'] } },
      {},
      /"\*.example.com": .* by DNS/,
    ],
    [
      'ACME in plain text',
      {
        acme: {
          enabled: true,
          accept_terms: true,
          domains: ['a.example'],
          directory_url: 'http://ca.example',
        },
      },
      {},
      /must be an https URL/,
    ],
  ])('%s is refused at start', async (_, toml, more, sentence) => {
    await expect(open(toml, more)).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringMatching(sentence),
    });
  });
});
