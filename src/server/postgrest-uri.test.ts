// In charge of: connection strings of all of libpq's kinds, and PostgREST's file, up to what is read of them.
import { describe, expect, it } from 'vitest';
import { parseDatabaseUrl } from '../engine/db/postgres/database-url.ts';
import { parsePostgrestFile } from './postgrest-file.ts';
import { databaseUrlOf } from './postgrest-uri.ts';

const environment = {
  PGHOST: 'db.example',
  PGPORT: '5433',
  PGUSER: 'api',
  PGPASSWORD: 'p@ss',
  PGDATABASE: 'app',
};

const read = (connection: string, variables: Readonly<Record<string, string>> = {}) => {
  const { host, port, user, password, database } = parseDatabaseUrl(
    databaseUrlOf(connection, variables),
    'PGRST_DB_URI',
  );
  return { host, port, user, password, database };
};

describe('a connection string', () => {
  const whole = { host: 'db.example', port: 5433, user: 'api', password: 'p@ss', database: 'app' };
  it.each([
    ['as a URL', 'postgres://api:p%40ss@db.example:5433/app', {}, whole],
    ['as pairs', `host=db.example port=5433 user=api password='p@ss' dbname=app`, {}, whole],
    ['all from the environment, the default', 'postgresql://', environment, whole],
    [
      'whose gaps the environment fills',
      'postgres://other@elsewhere/',
      environment,
      { ...whole, host: 'elsewhere', user: 'other' },
    ],
    [
      'that needs nothing of the environment',
      'postgres://a:b@c:1/d',
      environment,
      { host: 'c', port: 1, user: 'a', password: 'b', database: 'd' },
    ],
    [
      'with quotes and spaces',
      `host = /run/pg  user='it''s' dbname='a b\\'c'`.replace("it''s", "it\\'s"),
      {},
      { host: '/run/pg', port: 5432, user: "it's", password: undefined, database: "a b'c" },
    ],
  ])('%s', (_, connection, variables, expected) => {
    expect(read(connection, variables)).toEqual(expected);
  });
});

describe("PostgREST's file", () => {
  it('stands for variables', () => {
    const text = [
      '# comment',
      'db-uri = "postgres://$(WHO)@h/d" # behind it',
      'db-max-rows = 7',
      'jwt-role-claim-key = "$$.role"',
      'app.settings.a_b = "say \\"hi\\""',
      '',
    ].join('\n');
    expect(parsePostgrestFile(text, 'p.conf', { WHO: 'me' })).toEqual({
      PGRST_DB_URI: 'postgres://me@h/d',
      PGRST_DB_MAX_ROWS: '7',
      PGRST_JWT_ROLE_CLAIM_KEY: '$.role',
      PGRST_APP_SETTINGS_a_b: 'say "hi"',
    });
  });

  it('is refused with the line that is none', () => {
    expect(() => parsePostgrestFile('db-pool = 1\nnonsense\n', 'p.conf', {})).toThrow('Line 2 of "p.conf"');
  });
});
