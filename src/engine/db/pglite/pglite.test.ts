// In charge of: PGlite as a server: sessions that know nothing of each other, roles that stay what they logged in as, commits on the disk.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { errorCode } from '../../../base/errors.ts';
import { cancelQuery } from '../cancel.ts';
import { openPglite } from './pglite.ts';
import type { PgliteServer } from './pglite-server.ts';
import { openLook } from './upkeep.ts';

let folder: string;
let server: PgliteServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-pglite-'));
  // The same folder would do for the other engines, whose server root runs as another user.
  await chmod(folder, 0o711);
  server = await openPglite({
    project: folder,
    data: join(folder, 'state'),
    port: 0,
    password: 'postgres',
    observe: () => {},
  });
  await as('supabase_admin', (client) =>
    client.query(`
      create role postgres login createrole createdb bypassrls password 'postgres';
      create role authenticator login noinherit;
      create role anon nologin;
      create role visitor login password 'visitor';
      grant anon to authenticator;
      alter role visitor set search_path = pg_catalog;
      grant all on schema public to postgres, visitor;
      create table public.notes (id int primary key, note text);
      grant all on public.notes to visitor, anon;
    `),
  );
}, 240_000);

afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('who a session is', () => {
  const ways = [
    'reset session authorization',
    'set session authorization default',
    'set session authorization supabase_admin',
    "set session authorization 'supabase_admin'",
    'set local session authorization supabase_admin',
    'set role supabase_admin',
    "select set_config('session_authorization', 'supabase_admin', false)",
    "select set_config('role', 'supabase_admin', false)",
    "do $$ begin execute 'set session authorization supabase_admin'; end $$",
    "do $$ begin execute 'reset session authorization'; perform set_config('role', 'supabase_admin', false); end $$",
    'begin; reset session authorization; set role supabase_admin; commit',
    'reset all',
    'discard all',
    'alter role current_user superuser',
    'select pg_terminate_backend(pg_backend_pid())',
  ];

  it.each(ways)('is its role’s after "%s"', async (way) => {
    await as('visitor', async (client) => {
      await client.query(way).catch(() => {});
      await client.query('rollback').catch(() => {});
      expect(await rowOf(client, 'select session_user, current_user')).toEqual(['visitor', 'visitor']);
      expect(await codeOf(client, "select pg_read_file('postgresql.conf')")).toBe('42501');
      expect(await codeOf(client, "copy (select 1) to program 'id'")).toBe('42501');
      expect(await codeOf(client, 'select * from pg_authid')).toBe('42501');
    });
  });

  it('is the role again behind functions of the superuser', async () => {
    await as('supabase_admin', (client) =>
      client.query(`create function public.as_owner() returns text language plpgsql security definer as
        $$ begin return current_user; end $$`),
    );
    await as('visitor', async (client) => {
      expect(await rowOf(client, 'select public.as_owner(), current_user')).toEqual([
        'supabase_admin',
        'visitor',
      ]);
      const way = `create function public.escape() returns void language plpgsql as
        $$ begin execute 'set session authorization supabase_admin'; end $$`;
      await client.query(way);
      expect(await codeOf(client, 'select public.escape()')).toBe('42501');
    });
  });

  it('does not become the superuser by operators that the program would find first', async () => {
    await as('supabase_admin', (client) =>
      client.query('create schema evil authorization visitor; alter role authenticator set my.place = here'),
    );
    await as('visitor', async (client) => {
      await client.query('create table evil.calls (who text, what text)');
      const operators = [
        ['=', 'oid', 'integer'],
        ['=', 'oid', 'oid'],
        ['=', 'text', 'text'],
        ['=', 'name', 'name'],
        ['<>', 'oid', 'integer'],
        ['*', 'numeric', 'bigint'],
        ['>', 'bigint', 'numeric'],
        ['+', 'integer', 'numeric'],
      ];
      for (const [at, [name, left, right]] of operators.entries()) {
        const result = name === '*' || name === '+' ? 'numeric' : 'boolean';
        await client.query(`create function evil.f${at}(${left}, ${right}) returns ${result} language plpgsql as $$ begin
            insert into evil.calls values (current_user, 'f${at}'); return ${result === 'numeric' ? '0' : 'true'}; end $$;
          create operator evil.${name} (leftarg = ${left}, rightarg = ${right}, function = evil.f${at})`);
      }
      await client.query('set search_path = evil, pg_catalog');
      // The bait works: whoever reads statements by this path calls them.
      await client.query('select 1::oid = 1::oid, 1.0 * 1::bigint');
      expect((await client.query('select who, what from evil.calls')).rows).toEqual([
        { who: 'visitor', what: 'f1' },
        { who: 'visitor', what: 'f5' },
      ]);
      await client.query('delete from evil.calls');
      await as('authenticator', async (other) => {
        expect(
          await rowOf(other, "select current_setting('my.place'), current_setting('search_path')"),
        ).toEqual(['here', '"$user", public']);
      });
    });
    const [overdue] = await whatUpkeepAsks();
    await as('supabase_admin', async (client) => {
      await client.query('set search_path = evil, pg_catalog');
      await client.query(overdue!);
      expect((await client.query('table evil.calls')).rows).toEqual([]);
      await client.query('drop schema evil cascade; alter role authenticator reset my.place');
    });
  });

  it('may become what its role may', async () => {
    await as('authenticator', async (client) => {
      await client.query('set role anon');
      expect(await rowOf(client, 'select session_user, current_user')).toEqual(['authenticator', 'anon']);
      // Another session in between does not take that away, nor does it get it.
      await as('visitor', async (other) => {
        expect(await rowOf(other, 'select current_user')).toEqual(['visitor']);
      });
      expect(await rowOf(client, 'select current_user')).toEqual(['anon']);
    });
  });
});

describe('who comes in', () => {
  const cases: readonly (readonly [string, pg.ClientConfig, string])[] = [
    ['a wrong password', { user: 'postgres', password: 'wrong' }, '28P01'],
    ['the superuser by TCP', { user: 'supabase_admin', password: 'postgres' }, '28P01'],
    ['a role that does not exist', { user: 'nobody', password: 'x' }, '28P01'],
    ['a role without a password', { user: 'authenticator', password: 'any' }, '28P01'],
    ['another database', { user: 'postgres', password: 'postgres', database: 'other' }, '3D000'],
  ];

  it.each(cases)('refuses %s', async (_what, login, code) => {
    const client = new pg.Client({ ...byTcp(), ...login });
    await expect(client.connect()).rejects.toMatchObject({ code });
  });

  it('lets a role in by its password', async () => {
    const client = new pg.Client({ ...byTcp(), user: 'visitor', password: 'visitor' });
    await client.connect();
    expect(await rowOf(client, 'select session_user')).toEqual(['visitor']);
    await client.end();
  });

  it('refuses a setting in the login that the role may not set', async () => {
    const client = new pg.Client({
      ...server.login('postgres'),
      user: 'visitor',
      options: '-c session_replication_role=replica',
    });
    await expect(client.connect()).rejects.toMatchObject({ code: '42501' });
  });
});

describe('clients without a password', () => {
  const open = () => {
    const socket = createConnection(byTcp() as { host: string; port: number });
    const said: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => said.push(chunk)).on('error', () => {});
    return { socket, said: () => Buffer.concat(said).toString('latin1') };
  };
  const openAll = async (count: number) => {
    const clients = Array.from({ length: count }, open);
    await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
    return clients;
  };
  const closeAll = (clients: readonly { readonly socket: Socket }[]) =>
    Promise.all(clients.map(({ socket }) => once(socket.destroy(), 'close')));

  it('are a hundred at once and no more, and keep nobody away from the program’s own socket', async () => {
    const silent = await openAll(100);
    const [late] = await openAll(1);
    await once(late!.socket, 'close');
    expect(late!.said()).toContain('C53300\0Msorry, too many clients already');
    await as('visitor', async (client) => expect(await rowOf(client, 'select 1')).toEqual([1]));
    await closeAll(silent);
    await vi.waitFor(async () => {
      const client = new pg.Client({ ...byTcp(), user: 'visitor', password: 'visitor' });
      await client.connect();
      await client.end();
    });
  });

  it('take turns with those who work, however many they are', async () => {
    const [holder, worker] = [await connect('visitor'), await connect('visitor')];
    await holder.query('begin');
    const clients = await openAll(50);
    for (const { socket } of clients) {
      const body = Buffer.from('\0\x03\0\0user\0visitor\0database\0postgres\0\0', 'latin1');
      const length = Buffer.alloc(4);
      length.writeInt32BE(body.length + 4);
      socket.write(Buffer.concat([length, body]));
    }
    // Behind all of them, as the server hears it.
    const [last] = await openAll(1);
    last!.socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
    await vi.waitFor(() => expect(last!.said()).toBe('N'));
    const answered = worker.query('select 1');
    await holder.query('commit');
    await answered;
    expect(clients.filter(({ said }) => said() !== '').length).toBeLessThan(10);
    await closeAll([...clients, last!]);
    await Promise.all([holder.end(), worker.end()]);
  });
});

describe('what sessions keep apart', () => {
  it('settings, those of the login and those that were set since', async () => {
    const first = await connect('visitor', { options: '-c statement_timeout=1234' });
    const second = await connect('visitor');
    await first.query("set my.place = 'first'; set time zone 'Asia/Tokyo'");
    await second.query("select set_config('my.place', 'it''s \\ second', false)");
    const look =
      "select current_setting('my.place', true), current_setting('timezone'), current_setting('statement_timeout'), current_setting('search_path')";
    expect(await rowOf(first, look)).toEqual(['first', 'Asia/Tokyo', '1234ms', 'pg_catalog']);
    expect(await rowOf(second, look)).toEqual(["it's \\ second", 'UTC', '0', 'pg_catalog']);
    await first.query('reset all');
    expect(await rowOf(first, look)).toEqual(['', 'UTC', '1234ms', 'pg_catalog']);
    await first.end();
    await second.end();
  });

  it('the settings of the login, also for what is sent behind a reset without waiting for it', async () => {
    // Sound: pg knows `pipeline`, its types do not.
    const client = await connect('visitor', { pipeline: true } as pg.ClientConfig);
    const look = "select current_setting('search_path')";
    for (const way of ['discard all', 'reset all', 'set search_path = public; reset search_path']) {
      const [, simple, , prepared] = await Promise.all([
        client.query(way),
        client.query(look),
        client.query(way),
        client.query({ text: look, values: [] }),
      ]);
      expect([simple.rows, prepared.rows]).toEqual([
        [{ current_setting: 'pg_catalog' }],
        [{ current_setting: 'pg_catalog' }],
      ]);
    }
    await client.end();
  });

  it('prepared statements of the same name', async () => {
    const first = await connect('visitor');
    const second = await connect('visitor');
    const ask = (client: pg.Client, text: string) => client.query({ name: 'it', text, rowMode: 'array' });
    expect((await ask(first, 'select 1')).rows).toEqual([[1]]);
    expect((await ask(second, 'select 2')).rows).toEqual([[2]]);
    await second.query('deallocate all');
    expect((await ask(first, 'select 1')).rows).toEqual([[1]]);
    await second.end();
    expect((await ask(first, 'select 1')).rows).toEqual([[1]]);
    await first.end();
  });

  it('statements that SQL prepares', async () => {
    const first = await connect('visitor');
    const second = await connect('visitor');
    await first.query('prepare it (int) as select $1 + 1');
    await second.query('prepare it as select 2');
    expect(await rowOf(first, 'execute it (1)')).toEqual([2]);
    expect(await rowOf(second, 'execute it')).toEqual([2]);
    await second.query('deallocate it');
    expect(await codeOf(second, 'execute it')).toBe('26000');
    expect(await rowOf(first, 'execute it (2)')).toEqual([3]);
    await first.end();
    expect(await rowOf(second, 'select count(*)::int from pg_prepared_statements')).toEqual([0]);
    await second.end();
  });

  it('statements that SQL prepares beside others, which do not run again', async () => {
    const first = await connect('visitor');
    const second = await connect('visitor');
    await first.query(`insert into public.notes values (50, 'once'); prepare "It ; is" as select ';' as a;
      prepare other (int) as select $1 + 1; update public.notes set note = note || '!' where id = 50`);
    for (let turn = 0; turn < 2; turn++) {
      await second.query('prepare other as select 2');
      expect(await rowOf(first, 'execute "It ; is"')).toEqual([';']);
      expect(await rowOf(first, 'execute other (1)')).toEqual([2]);
      await second.query('deallocate other');
    }
    expect(await rowOf(first, 'delete from public.notes where id = 50 returning note')).toEqual(['once!']);
    await first.end();
    await second.end();
  });

  it('transactions: the second waits for the first', async () => {
    const first = await connect('visitor');
    const second = await connect('visitor');
    await first.query("begin; insert into public.notes values (1, 'first')");
    const seen = second.query({ text: 'select count(*)::int from public.notes', rowMode: 'array' });
    await first.query('rollback');
    expect((await seen).rows).toEqual([[0]]);
    await first.query("begin; insert into public.notes values (1, 'first')");
    const next = second.query({ text: 'select count(*)::int from public.notes', rowMode: 'array' });
    // A connection that breaks off undoes what it had begun.
    await first.end();
    expect((await next).rows).toEqual([[0]]);
    await second.end();
  });

  it('channels: a notification reaches those that listen', async () => {
    const ears = await connect('visitor');
    const others = await connect('visitor');
    const heard: string[] = [];
    ears.on('notification', ({ channel, payload }) => heard.push(`${channel} ${payload}`));
    others.on('notification', ({ channel }) => heard.push(`others ${channel}`));
    await ears.query('listen news; listen "Odd Name"');
    await others.query('listen elsewhere');
    await others.query('unlisten *');
    await others.query("notify news, '1'; select pg_notify('Odd Name', '2'); notify elsewhere");
    await ears.query("notify news, '3'");
    expect(heard).toEqual(['news 1', 'Odd Name 2', 'news 3']);
    await ears.end();
    await others.end();
  });
});

describe('statements', () => {
  it('stop at their statement_timeout, and the next one runs', async () => {
    await as('visitor', async (client) => {
      await client.query("set statement_timeout = '50ms'");
      await expect(client.query('select count(*) from generate_series(1, 1000000000)')).rejects.toMatchObject(
        {
          code: '57014',
          message: 'canceling statement due to statement timeout',
        },
      );
      await expect(client.query('select pg_sleep(60)')).rejects.toMatchObject({ code: '57014' });
      expect(await rowOf(client, 'select 1')).toEqual([1]);
    });
  });

  it('are cancelled, also while they wait for their turn', async () => {
    const holder = await connect('visitor');
    const waiting = await connect('visitor');
    const cancelled = 'canceling statement due to user request';
    const running = holder.query('select pg_sleep(60)');
    const queued = waiting.query('select 1');
    const refused = Promise.all([
      expect(running).rejects.toMatchObject({ code: '57014', message: cancelled }),
      expect(queued).rejects.toMatchObject({ code: '57014', message: cancelled }),
    ]);
    // Sound: cancelQuery reads what a Client and a PoolClient have in common.
    await cancelQuery(waiting as unknown as pg.PoolClient);
    await cancelQuery(holder as unknown as pg.PoolClient);
    await refused;
    expect(await rowOf(holder, 'select 1')).toEqual([1]);
    expect(await rowOf(waiting, 'select 2')).toEqual([2]);
    await holder.end();
    await waiting.end();
  });

  it('answer in many pieces', async () => {
    await as('visitor', async (client) => {
      const { rows } = await client.query<{ i: number; t: string }>(
        "select i, repeat('x', 1000) as t from generate_series(1, 20000) as i",
      );
      expect(rows).toHaveLength(20_000);
      expect(rows.at(-1)).toEqual({ i: 20_000, t: 'x'.repeat(1000) });
    });
  });

  it('say in an error what the client calls its statement', async () => {
    await as('visitor', async (client) => {
      await expect(client.query('execute "mine"')).rejects.toMatchObject({ code: '26000' });
      await expect(client.query({ name: 'mine', text: 'select nonsense' })).rejects.toMatchObject({
        code: '42703',
      });
      expect((await client.query({ name: 'mine', text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
    });
  });
});

describe('the disk', () => {
  it('has every row that was acknowledged, when the process was killed', async () => {
    const place = join(folder, 'killed');
    const acknowledged = await killWhileItWrites(place);
    const again = await openPglite({
      project: folder,
      data: place,
      port: 0,
      password: 'postgres',
      observe: () => {},
    });
    const client = new pg.Client(again.login('supabase_admin'));
    await client.connect();
    const { rows } = await client.query<{ i: number }>('select i from public.kept order by i');
    expect(acknowledged).toBeGreaterThanOrEqual(rowsBeforeTheKill);
    expect(rows.slice(0, acknowledged).map(({ i }) => i)).toEqual(
      Array.from({ length: acknowledged }, (_, i) => i + 1),
    );
    await client.end();
    await again.stop();
  }, 240_000);

  it('is asked to keep each commit', async () => {
    await as('visitor', async (client) => {
      const before = await server.syncs();
      for (let i = 100; i < 120; i++) await client.query('insert into public.notes values ($1)', [i]);
      // The count comes behind the answer; it is there with the next one.
      await client.query('select 1');
      expect((await server.syncs()) - before).toBe(20);
    });
  });
});

describe('a start', () => {
  it('loads what takes seconds to compile, so that no statement waits for it', async () => {
    const place = join(folder, 'mapped');
    const open = () =>
      openPglite({ project: folder, data: place, port: 0, password: 'postgres', observe: () => {} });
    const ask = async (running: PgliteServer, sql: string) => {
      const client = new pg.Client(running.login('supabase_admin'));
      await client.connect();
      const { rows } = await client.query(sql);
      await client.end();
      return rows;
    };
    const first = await open();
    await ask(first, 'create extension postgis');
    await first.stop();
    const second = await open();
    const loaded = "select count(*)::int as n from pg_get_loaded_modules() where file_name like 'postgis%'";
    expect(await ask(second, loaded)).toEqual([{ n: 1 }]);
    await second.stop();
  }, 240_000);
});

const rowsBeforeTheKill = 25;

/** A process of its own that writes row after row and says each that was acknowledged, until it is killed; gives the last one. */
async function killWhileItWrites(place: string): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'one-writer.ts'), folder, place], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let last = 0;
  for await (const line of createInterface(child.stdout)) {
    last = Number(line);
    if (last === rowsBeforeTheKill) child.kill('SIGKILL');
  }
  return last;
}

/** The statements of one look that have an operator to find. */
async function whatUpkeepAsks(): Promise<readonly string[]> {
  const asked: string[] = [];
  const ask = async (sql: string) => {
    asked.push(sql);
    return [];
  };
  await openLook({ ask, isBusy: () => false, observe: () => {} })();
  return asked.filter((sql) => sql.includes('pg_stat_all_tables'));
}

function byTcp(): pg.ClientConfig {
  const { hostname: host, port } = new URL(server.url);
  return { host, port: Number(port), database: 'postgres' };
}

async function connect(user: string, more: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ ...server.login('postgres'), user, ...more });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function as<T>(user: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(user);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function rowOf(client: pg.Client, sql: string): Promise<unknown> {
  return (await client.query({ text: sql, rowMode: 'array' })).rows[0];
}

async function codeOf(client: pg.Client, sql: string): Promise<string | undefined> {
  return client.query(sql).then(
    () => undefined,
    (error: unknown) => errorCode(error),
  );
}
