// In charge of: how a connection URL is read.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDatabaseUrl } from './database-url.ts';
import { makeFolder, removeFolder } from './test-support.ts';

const parse = (url: string) => parseDatabaseUrl(url, 'DATABASE_URL');

describe('a connection URL', () => {
  it.each([
    [
      'postgresql://ann@db.example',
      {
        host: 'db.example',
        port: 5432,
        user: 'ann',
        password: undefined,
        database: 'ann',
        sslMode: 'prefer',
      },
    ],
    ['postgres://ann:p%40ss%23@db.example:6000/shop', { port: 6000, password: 'p@ss#', database: 'shop' }],
    ['postgresql://ann@[::1]:6000/shop', { host: '::1' }],
    [
      'postgresql:///shop?host=/var/run/postgresql&user=ann',
      { host: '/var/run/postgresql', user: 'ann', database: 'shop' },
    ],
    ['postgresql://ann@%2Fvar%2Frun%2Fpostgresql/shop', { host: '/var/run/postgresql' }],
    [
      'postgresql://ann@h/shop?sslmode=verify-full',
      { sslMode: 'verify-full', tls: { rejectUnauthorized: true } },
    ],
    [
      'postgresql://ann@h/shop?sslnegotiation=direct',
      { sslMode: 'require', extra: { sslnegotiation: 'direct' } },
    ],
    [
      'postgresql://ann@h/shop?application_name=x&options=-c%20work_mem%3D8MB',
      { extra: { application_name: 'x', options: '-c work_mem=8MB' } },
    ],
    [
      'postgresql://ann@h/shop?schema=public&connection_limit=5&pool_timeout=3&statement_cache_size=0',
      { extra: {}, pooled: false },
    ],
  ])('%s', (url, expected) => {
    expect(parse(url)).toMatchObject(expected);
  });

  it.each([
    ['postgresql://u:p@h:6543/postgres', true],
    ['postgresql://u:p@h:5432/postgres?pgbouncer=true', true],
    ['postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/db?sslmode=require&channel_binding=require', true],
    ['postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:6543/postgres', true],
    // Supabase's session pooler keeps a session for each client, as a server does.
    ['postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:5432/postgres', false],
    ['postgresql://u:p@db.abc.supabase.co:5432/postgres', false],
  ])('%s leads to a transaction pooler: %s', (url, pooled) => {
    expect(parse(url).pooled).toBe(pooled);
  });

  it("of Supabase's pooler names a role together with the project", () => {
    expect(parse('postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:6543/postgres').userSuffix).toBe(
      '.abc',
    );
    expect(parse('postgresql://first.last:p@db.example/postgres').userSuffix).toBe('');
  });

  it.each([
    ['no URL at all', 'is not a URL of a PostgreSQL database.'],
    ['mysql://ann:secret@h/shop', 'is not a URL of a PostgreSQL database.'],
    ['postgresql://ann:sec#ret@h/shop', 'is not a URL of a PostgreSQL database.'],
    ['postgresql://ann:secret%zz@h/shop', 'is not a URL of a PostgreSQL database.'],
    ['postgresql://:secret@h/shop', 'names no user.'],
    ['postgresql://ann:secret@h,i/shop', 'names several hosts ("h,i").'],
    ['postgresql://ann:secret@h/shop?port=x', 'holds the port "x".'],
    ['postgresql://ann:secret@h/shop?sslmode=on', 'has sslmode "on".'],
    [
      'postgresql://ann:secret@h/shop?sslrootcert=/nowhere.pem',
      'names the sslrootcert "/nowhere.pem", which cannot be read: ENOENT: no such file or directory, open \'/nowhere.pem\'.',
    ],
  ])('%s is refused, and the password is not repeated', (url, message) => {
    let refusal: unknown;
    try {
      parse(url);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ name: 'OperatorError', message: `DATABASE_URL ${message}` });
    expect(JSON.stringify([refusal, String(refusal)])).not.toMatch(/sec#?ret/);
  });
});

describe('sslmode', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await makeFolder();
    for (const name of ['ca', 'cert', 'key', 'crl']) await writeFile(join(folder, name), name);
  });
  afterAll(() => removeFolder(folder));

  // What of the server's certificate is checked: its authority, and its name.
  it.each([
    ['disable', undefined, undefined],
    ['prefer', false, false],
    ['require', false, false],
    ['require&sslrootcert=ca', true, false],
    ['verify-ca&sslrootcert=ca', true, false],
    ['verify-full&sslrootcert=ca', true, true],
    ['require&sslrootcert=system', true, true],
  ])('%s checks the authority: %s, the name: %s', (mode, authority, name) => {
    const { tls } = parse(
      `postgresql://ann@h/shop?sslmode=${mode.replace('=ca', `=${encodeURIComponent(join(folder, 'ca'))}`)}`,
    );
    expect(tls.rejectUnauthorized).toBe(authority);
    if (authority !== undefined) expect(tls.checkServerIdentity === undefined).toBe(name);
  });

  it('takes a certificate of its own along', () => {
    const file = (name: string) => encodeURIComponent(join(folder, name));
    const { tls } = parse(
      `postgresql://ann@h/shop?sslmode=require&sslcert=${file('cert')}&sslkey=${file('key')}&sslcrl=${file('crl')}&sslpassword=x&ssl_min_protocol_version=TLSv1.3`,
    );
    expect(tls).toMatchObject({
      cert: 'cert',
      key: 'key',
      crl: 'crl',
      passphrase: 'x',
      minVersion: 'TLSv1.3',
    });
  });
});
