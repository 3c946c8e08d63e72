// In charge of: who PostgreSQL runs as: root's as somebody else, an ordinary user's as that user; and where the state goes then.
import { chmod, chown, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { isRoot, unprivilegedUser } from './os-user.ts';
import type { RunAs } from './process.ts';
import type { PostgresServer } from './server.ts';
import { findStateFolder } from './state-folder.ts';
import { openPostgres as openUnwatched, type PostgresOptions } from './supervisor.ts';
import { askValue, makeFolder, ordinaryUser, removeFolder, startProcess } from './test-support.ts';

const options = (project: string): PostgresOptions => ({
  project,
  port: 0,
  password: 'postgres',
  systemFolder: join(project, '..', 'system'),
  observe: () => {},
});

/** A test that fails before it stops its server leaves none behind either. */
async function openPostgres(given: PostgresOptions): Promise<PostgresServer> {
  const server = await openUnwatched(given);
  onTestFinished(() => server.stop());
  return server;
}

describe.skipIf(!isRoot())('started by root', () => {
  let project: string;
  let other: RunAs;
  beforeAll(async () => {
    project = await makeFolder();
    other = await unprivilegedUser();
  });
  afterAll(() => removeFolder(project));

  it('runs as "postgres" or "nobody", who owns the data and cannot write the state', async () => {
    const server = await openPostgres(options(project));
    const folder = join(project, '.millrace');
    expect(server.stateFolder).toBe(folder);
    expect((await stat(`/proc/${server.processId}`)).uid).toBe(other.uid);
    expect(await stat(folder)).toMatchObject({ uid: 0, gid: other.gid, mode: 0o040710 });
    expect(await stat(join(folder, 'db'))).toMatchObject({ uid: other.uid, mode: 0o040700 });
    expect(await readFile(join(folder, 'db', 'pg_ident.conf'), 'utf8')).toContain('millrace "root" all\n');
    await server.stop();
  });

  it('moves state and programs to where that user can reach them, and finds them again', async () => {
    const closed = join(project, 'closed');
    const inner = join(closed, 'app');
    await mkdir(inner, { recursive: true });
    await chmod(closed, 0o700);
    const place = { ...options(inner), systemFolder: join(project, '..', 'system') };
    const server = await openPostgres(place);
    expect(server.stateFolder).toMatch(/\/system\/app-[0-9a-f]{10}$/);
    expect(server.notices[0]).toBe(
      `The state of this project is in "${server.stateFolder}", because the user "${other.name}", as whom root's PostgreSQL runs, cannot reach "${join(inner, '.millrace')}".`,
    );
    expect(await findStateFolder(place)).toBe(server.stateFolder);
    await askValue(server.login('supabase_admin'), 'create table kept as select 42 as answer');
    await server.stop();
    const again = await openPostgres(place);
    expect(again.stateFolder).toBe(server.stateFolder);
    expect(await askValue(again.login('supabase_admin'), 'select answer from kept')).toBe(42);
    await again.stop();
  });

  it('refuses a --data that this user cannot reach', async () => {
    const closed = join(project, 'locked');
    await mkdir(closed, { mode: 0o700 });
    const data = join(closed, 'state');
    await expect(openPostgres({ ...options(project), data })).rejects.toMatchObject({
      message: `The folder "${data}" cannot be reached by the user "${other.name}", as whom PostgreSQL runs when root starts it.`,
      hint: 'Give another folder with --data DIR, give every folder above it the x permission for others, or start as an ordinary user.',
    });
  });

  it('does not follow a pointer or a link that leads somewhere else', async () => {
    const trap = join(project, 'trap');
    await mkdir(join(trap, '.millrace'), { recursive: true });
    const { writeFile, symlink } = await import('node:fs/promises');
    await writeFile(join(trap, '.millrace', 'state.json'), JSON.stringify({ format: 1, movedTo: project }));
    expect(await findStateFolder(options(trap))).toBe(join(trap, '.millrace'));

    const linked = join(project, 'linked');
    await mkdir(linked);
    await symlink(project, join(linked, '.millrace'));
    await (await import('node:fs/promises')).lchown(join(linked, '.millrace'), other.uid, other.gid);
    const before = await stat(project);
    await expect(openPostgres(options(linked))).rejects.toMatchObject({
      message: `"${join(linked, '.millrace')}" is a link that another user made, and root does not follow it.`,
    });
    expect((await stat(project)).mode).toBe(before.mode);
  });
});

describe('started by an ordinary user', () => {
  let user: RunAs | undefined;
  let project: string;
  beforeAll(async () => {
    user = await ordinaryUser();
    project = await makeFolder(user);
  });
  afterAll(() => removeFolder(project));

  it('runs as that user, with an empty environment, and leaves its data to root only as a guest', async ({
    skip,
  }) => {
    if (isRoot() && user === undefined) return skip();
    const first = startProcess({ project, port: 0 }, user);
    const { ready, refused } = await first.outcome;
    expect(refused).toBeUndefined();
    const folder = join(project, '.millrace');
    const uid = user?.uid ?? process.getuid!();
    expect(ready?.stateFolder).toBe(folder);
    expect((await stat(`/proc/${ready!.processId}`)).uid).toBe(uid);
    expect(await stat(folder)).toMatchObject({ uid, mode: 0o040700 });
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    if (!isRoot()) return;

    // Root's start runs the server as the owner of the data, and the owner can start it the next day.
    const server = await openPostgres(options(project));
    expect((await stat(`/proc/${server.processId}`)).uid).toBe(uid);
    await server.stop();
    const again = startProcess({ project, port: 0 }, user);
    expect((await again.outcome).refused).toBeUndefined();
    again.child.kill('SIGTERM');
    expect(await again.ended).toBe(0);
  });

  it('is told of a folder that it cannot write', async ({ skip }) => {
    if (isRoot() && user === undefined) return skip();
    const closed = join(project, 'read-only');
    await mkdir(closed);
    await chmod(closed, 0o555);
    if (user !== undefined) await chown(closed, 0, 0);
    const started = startProcess({ project: closed, port: 0 }, user);
    expect(await started.outcome).toEqual({
      refused: {
        message: `The folder "${join(closed, '.millrace')}" cannot be written by this user.`,
        hint: 'Give another folder with --data DIR, or start as the user that owns it.',
      },
    });
    expect(await started.ended).toBe(1);
    // The way out works.
    const data = join(project, 'elsewhere');
    const elsewhere = startProcess({ project: closed, port: 0, data }, user);
    expect((await elsewhere.outcome).ready?.stateFolder).toBe(data);
    elsewhere.child.kill('SIGTERM');
    await elsewhere.ended;
  });

  it('who has no name on this machine is told so', async ({ skip }) => {
    if (user === undefined) return skip();
    const nameless = { uid: 54_321, gid: 54_321, name: '54321' };
    const own = join(project, 'nameless');
    await mkdir(own);
    await chown(own, nameless.uid, nameless.gid);
    const started = startProcess({ project: own, port: 0 }, nameless);
    expect((await started.outcome).refused?.message).toBe(
      'The operating system has no name for the user with number "54321", and PostgreSQL does not run without one.',
    );
  });

  it('is told of data that root made', async ({ skip }) => {
    if (user === undefined) return skip();
    const roots = join(project, 'roots');
    await mkdir(roots);
    await chmod(roots, 0o777);
    const server = await openPostgres(options(roots));
    await server.stop();
    await chown(join(roots, '.millrace'), 0, 0);
    const started = startProcess({ project: roots, port: 0 }, user);
    expect((await started.outcome).refused?.message).toBe(
      `The folder "${join(roots, '.millrace')}" cannot be written by this user.`,
    );
  });
});
