// In charge of: everything that ends without being asked to: Node, PostgreSQL, initdb, the disk.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Observation } from '../../../base/observe.ts';
import { findEmbedded } from './binaries.ts';
import { isRoot } from './os-user.ts';
import { isAlive, run } from './process.ts';
import type { PostgresServer } from './server.ts';
import { openPostgres as openUnwatched, type PostgresOptions } from './supervisor.ts';
import { askValue, makeFolder, removeFolder, startProcess, until, untilGone } from './test-support.ts';

let project: string;
let observed: Observation[] = [];
beforeAll(async () => {
  project = await makeFolder();
});
afterAll(() => removeFolder(project));

const options = (): PostgresOptions => ({
  project,
  port: 0,
  password: 'postgres',
  observe: (observation) => observed.push(observation),
});

/** A test that fails before it stops its server leaves none behind either. */
async function openPostgres(given: PostgresOptions): Promise<PostgresServer> {
  const server = await openUnwatched(given);
  onTestFinished(() => server.stop());
  return server;
}

/** The value, as soon as the server takes connections again. */
const askPatiently = (server: PostgresServer, sql: string) =>
  until(() => askValue(server.login('supabase_admin'), sql).catch(() => undefined));

describe('initdb is killed in the middle', () => {
  it('leaves nothing that the next start trips over', async () => {
    const first = startProcess({ project, port: 0 });
    await until(async () => {
      const names = await readdir(join(project, '.millrace')).catch(() => []);
      return names.find((name) => name.startsWith('db.new-'));
    });
    first.child.kill('SIGKILL');
    expect(await first.ended).toBe('SIGKILL');
    const server = await openPostgres(options());
    expect(await askValue(server.login('supabase_admin'), 'select 1')).toBe(1);
    await server.stop();
    expect((await readdir(join(project, '.millrace'))).filter((name) => name.startsWith('db'))).toEqual([
      'db',
    ]);
  });
});

describe('Node is killed', () => {
  it('leaves a PostgreSQL behind, which the next start stops; what was acknowledged is there', async () => {
    const first = startProcess({ project, port: 0 });
    const { ready } = await first.outcome;
    await askValue(ready!.login, 'create table acknowledged as select 42 as answer');
    first.child.kill('SIGKILL');
    await first.ended;
    expect(isAlive(ready!.processId)).toBe(true);

    observed = [];
    const server = await openPostgres(options());
    expect(isAlive(ready!.processId)).toBe(false);
    expect(observed.filter((o) => o.kind === 'postgres.leftover')).toMatchObject([
      { level: 'warn', processes: 1 },
    ]);
    expect(await askValue(server.login('supabase_admin'), 'select answer from acknowledged')).toBe(42);
    await server.stop();
  });

  it('by a bug of its own ends PostgreSQL as well', async () => {
    const first = startProcess({ project, port: 0 });
    const { ready } = await first.outcome;
    first.child.kill('SIGUSR2');
    expect(await first.ended).toBe(1);
    await untilGone(ready!.processId);
    expect(await readdir(join(project, '.millrace', 'db'))).not.toContain('postmaster.pid');
  });

  it('while its PostgreSQL begins leaves one that is not there yet when the next start looks; that start stops it all the same', async () => {
    const real = findEmbedded(undefined).bin;
    const bin = join(project, 'bin');
    const begun = join(project, 'begun');
    const pidFile = join(project, '.millrace', 'db', 'postmaster.pid');
    await mkdir(bin);
    await symlink(join(real, 'initdb'), join(bin, 'initdb'));
    // Behind the look, and before the start's own PostgreSQL, the other one is there.
    const script = `#!/bin/sh
if [ "$1" != --version ] && mkdir "${begun}/once" 2>/dev/null; then
  setsid "${real}/postgres" "$@" >/dev/null 2>&1 </dev/null &
  until [ -s "${pidFile}" ]; do sleep 0.01; done
  cp "${pidFile}" "${begun}/other"
fi
exec "${real}/postgres" "$@"
`;
    await writeFile(join(bin, 'postgres'), script);
    await chmod(join(bin, 'postgres'), 0o755);
    await mkdir(begun);
    await chmod(begun, 0o777);
    const server = await openPostgres({ ...options(), pgBin: bin });
    expect(await askValue(server.login('supabase_admin'), 'select 1')).toBe(1);
    const other = Number.parseInt(await readFile(join(begun, 'other'), 'utf8'), 10);
    expect(isAlive(other)).toBe(false);
    await server.stop();
  });

  it('does not take another process for the one that postmaster.pid names', async () => {
    // Of the server's own user, because PostgreSQL itself asks no more than whether it could send that process a signal.
    const { uid, gid } = await stat(join(project, '.millrace', 'db'));
    const bystander = spawn('sleep', ['600'], isRoot() ? { uid, gid } : {});
    const file = join(project, '.millrace', 'db', 'postmaster.pid');
    await writeFile(file, `${bystander.pid}\n${join(project, '.millrace', 'db')}\n1\n1\n\n\n\nready\n`);
    const server = await openPostgres(options());
    await server.stop();
    expect(isAlive(bystander.pid!)).toBe(true);
    bystander.kill();
  });
});

describe.runIf(process.platform === 'linux')('PostgreSQL was killed', () => {
  it('and nobody has asked for its end yet: it keeps no start from its data', async () => {
    const { uid, gid } = await stat(join(project, '.millrace', 'db'));
    // `sleep` never asks for the end of the child that the shell before it had.
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      ...(isRoot() ? { uid, gid } : {}),
    });
    onTestFinished(() => void parent.kill());
    const zombie = Number(String((await once(parent.stdout, 'data'))[0]));
    await until(async () => (await readFile(`/proc/${zombie}/stat`, 'utf8')).includes(') Z ') || undefined);
    const file = join(project, '.millrace', 'db', 'postmaster.pid');
    await writeFile(file, `${zombie}\n${join(project, '.millrace', 'db')}\n1\n1\n\n\n\nready\n`);
    const server = await openPostgres(options());
    expect(await askValue(server.login('supabase_admin'), 'select 1')).toBe(1);
    await server.stop();
  });
});

describe('a second process', () => {
  it('is refused with one sentence that names the first', async () => {
    const server = await openPostgres(options());
    const second = startProcess({ project, port: 0 });
    expect(await second.outcome).toEqual({
      refused: {
        message: `Millrace already runs on the data in "${join(project, '.millrace')}", as process ${process.pid}.`,
        hint: `Stop it first (millrace stop, or kill ${process.pid}), or give this one other data with --data DIR.`,
      },
    });
    expect(await second.ended).toBe(1);
    await server.stop();
  });

  it('may start at the same moment: one of two wins, the other hears of it', async () => {
    const both = [startProcess({ project, port: 0 }), startProcess({ project, port: 0 })];
    const outcomes = await Promise.all(both.map((one) => one.outcome));
    expect(outcomes.filter((outcome) => outcome.ready !== undefined)).toHaveLength(1);
    const loser = outcomes.find((outcome) => outcome.refused !== undefined)?.refused;
    const winner = both.find((_, index) => outcomes[index]?.ready !== undefined)!;
    expect(loser?.message).toContain(`as process ${winner.child.pid}.`);
    winner.child.kill('SIGTERM');
    expect(await winner.ended).toBe(0);
  });
});

describe('PostgreSQL is killed', () => {
  it('comes back by itself, with every row that was acknowledged and no session of before', async () => {
    const server = await openPostgres(options());
    await askValue(server.login('supabase_admin'), 'create table survivors (id int)');
    await askValue(server.login('supabase_admin'), 'insert into survivors select generate_series(1, 1000)');
    const pid = server.processId!;
    // A session in the middle of a long query does not notice that its postmaster has gone.
    const busy = askValue(
      server.login('supabase_admin'),
      'select count(*) from generate_series(1, 3000000000) as long_query',
    ).catch((error: Error) => error);
    await until(async () => {
      const count = await askValue(
        server.login('supabase_admin'),
        `select count(*)::int from pg_stat_activity where query like '%long_query' and state = 'active' and pid <> pg_backend_pid()`,
      );
      return count === 1 ? true : undefined;
    });
    observed = [];
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
    expect(await askPatiently(server, 'select count(*)::int from survivors')).toBe(1000);
    expect(await busy).toBeInstanceOf(Error);
    expect(server.processId).not.toBe(pid);
    expect(observed.filter((o) => o.kind !== 'postgres.log')).toMatchObject([
      { kind: 'postgres.exited', level: 'error', ending: 'it was ended by SIGKILL' },
      { kind: 'postgres.restarted', level: 'warn', attempt: 1 },
    ]);
    expect((await server.health()).ok).toBe(true);
    await server.stop();
  });

  it('says so when only a session is killed, and goes on', async () => {
    const server = await openPostgres(options());
    const pid = server.processId!;
    const session = Number(
      await askValue(
        server.login('supabase_admin'),
        'select pid from pg_stat_activity where backend_type = $$checkpointer$$',
      ),
    );
    observed = [];
    process.kill(session, 'SIGKILL');
    await expect
      .poll(() => observed.find((o) => o.level === 'error'))
      .toMatchObject({
        kind: 'postgres.log',
        message: expect.stringContaining('was terminated by signal 9'),
      });
    expect(await askPatiently(server, 'select 1')).toBe(1);
    expect(server.processId).toBe(pid);
    await server.stop();
  });

  it('gives up when it cannot come back, and says why', async () => {
    const server = await openPostgres(options());
    const main = join(project, '.millrace', 'db', 'postgresql.conf');
    const handle = await open(main, 'r+');
    const whole = await handle.readFile('utf8');
    await handle.appendFile('no_such_setting = 1\n');
    const gone = new Promise<Error>((resolve) => server.onExit(resolve));
    process.kill(server.processId!, 'SIGKILL');
    const reason = await gone;
    expect(reason).toMatchObject({
      name: 'OperatorError',
      message: `PostgreSQL did not start: unrecognized configuration parameter "no_such_setting" in file "${main}" line ${whole.split('\n').length}.`,
    });
    expect(await server.health()).toEqual({ ok: false, sentence: reason.message });
    await handle.truncate(Buffer.byteLength(whole));
    await handle.close();
    await server.stop();
    const again = await openPostgres(options());
    await again.stop();
  });

  it('stays down when it is stopped while it falls', async () => {
    const server = await openPostgres(options());
    process.kill(server.processId!, 'SIGKILL');
    await server.stop();
    const again = await openPostgres(options());
    await again.stop();
  });
});

describe('the disk is full', () => {
  let disk: string | undefined;
  beforeAll(async () => {
    disk = join(project, 'disk');
    await mkdir(disk);
    const mounted =
      isRoot() && process.platform === 'linux'
        ? await run('mount', ['-t', 'tmpfs', '-o', 'size=70m', 'tmpfs', disk], { timeoutMs: 10_000 })
        : undefined;
    if (mounted?.code === 0) return;
    disk = undefined;
    process.stderr.write(
      `Skipped: a small disk can be mounted by root on Linux only (${mounted?.stderr.trim() ?? 'not root'}).\n`,
    );
  });
  afterAll(async () => {
    if (disk !== undefined) await run('umount', [disk], { timeoutMs: 10_000 });
  });

  it('when the database is made, when it starts, and while it runs: one sentence each, and no row is lost', async ({
    skip,
  }) => {
    if (disk === undefined) return skip();
    const data = join(disk, 'state');
    const fill = async (leaveBytes: number) => {
      const handle = await open(join(disk!, 'ballast'), 'w');
      const megabyte = Buffer.alloc(1024 * 1024);
      try {
        for (;;) await handle.write(megabyte);
      } catch {
        const { size } = await handle.stat();
        await handle.truncate(Math.max(0, size - leaveBytes));
      }
      await handle.close();
    };
    const sentence = (what: string, folder: string) => ({
      name: 'OperatorError',
      message: `${what}the disk that holds "${folder}" is full.`,
    });

    await fill(20 * 1024 * 1024);
    await expect(openPostgres({ ...options(), data })).rejects.toMatchObject(
      sentence('The new database could not be made: ', data),
    );
    expect((await readdir(data)).filter((name) => name.startsWith('db'))).toEqual([]);
    await rm(join(disk, 'ballast'));

    const server = await openPostgres({ ...options(), data });
    const admin = server.login('supabase_admin');
    await askValue(admin, 'create table counted (id int)');
    await askValue(admin, 'insert into counted values (1)');
    const gone = new Promise<Error>((resolve) => server.onExit(resolve));
    await fill(0);
    // Rows go in until the write-ahead log finds no room: PostgreSQL stops itself, comes back, and finds none either.
    let acknowledged = 1;
    for (;;) {
      const done = await askValue(
        admin,
        `insert into counted values (${acknowledged + 1}) returning id`,
      ).catch(() => undefined);
      if (done === undefined) break;
      acknowledged += 1;
      await askValue(admin, 'select pg_switch_wal()').catch(() => undefined);
    }
    const full = `the disk that holds "${join(data, 'db')}" is full.`;
    expect((await gone).message).toBe(`PostgreSQL did not start: ${full}`);
    await server.stop();
    await fill(0);
    await expect(openPostgres({ ...options(), data })).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringMatching(/^(PostgreSQL did not start: the|The) disk that holds ".*" is full\.$/),
    });
    await rm(join(disk, 'ballast'));
    const again = await openPostgres({ ...options(), data });
    const kept = await askValue(
      again.login('supabase_admin'),
      `select count(*)::int from counted where id <= ${acknowledged}`,
    );
    expect(kept).toBe(acknowledged);
    await again.stop();
  });
});
