// In charge of: the local socket: whose it is, where it is found, and what stands in its way.
import { execFileSync } from 'node:child_process';
import { chmod, link, lstat, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openOperatorClient } from '../cli/operator-client.ts';
import {
  findOperatorSocket,
  openOperatorSocket,
  operatorSocketPath,
  socketOwner,
  tryOperatorSocket,
} from './socket.ts';

let state: string;
const observed: unknown[] = [];
const fetch = async (request: Request) =>
  Response.json({
    route: `${request.method} ${new URL(request.url).pathname}`,
    user: request.headers.get('x-millrace-user'),
    sent: await request.text(),
  });
const open = (folder = state) =>
  openOperatorSocket({ path: operatorSocketPath(folder), fetch, observe: (one) => void observed.push(one) });
const clientOf = (folder = state) => openOperatorClient('/project', { data: folder });

beforeEach(async () => {
  state = join(await mkdtemp(join(tmpdir(), 'mr-')), '.millrace');
});
afterEach(() => rm(dirname(state), { recursive: true, force: true }));

describe('the operator socket', () => {
  it('is its owner’s alone, and carries a command’s request with who runs it', async () => {
    const socket = await open();
    const { mode, uid } = await lstat(socket.path);
    expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o600, uid: process.getuid?.() });
    expect((await lstat(state)).mode & 0o777).toBe(0o700);
    const client = await clientOf();
    expect(await client.request('PUT', '/settings/a.b', { value: 'ü' })).toEqual({
      status: 200,
      body: { route: 'PUT /admin/v1/settings/a.b', user: socketOwner(), sent: '{"value":"ü"}' },
    });
    await socket.close();
    await expect(lstat(socket.path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  // Only root can become somebody else.
  it.runIf(process.getuid?.() === 0)('is closed to every other user, whatever the folder is', async () => {
    const socket = await open();
    for (const folder of [dirname(state), state]) await chmod(folder, 0o777);
    // It ends by itself: this process waits for it and accepts nothing meanwhile.
    const script = `require('node:net').connect(${JSON.stringify(socket.path)})
      .once('connect', () => { process.stdout.write('connected', () => process.exit()); })
      .once('error', (error) => process.stdout.write(error.code))`;
    const answer = (uid: number) =>
      execFileSync('/usr/bin/env', ['-i', process.execPath, '-e', script], {
        uid,
        encoding: 'utf8',
        timeout: 20_000,
      }).trim();
    expect(answer(0)).toBe('connected');
    expect(answer(65_534)).toBe('EACCES');
    await socket.close();
  });

  it('has a short path where the state folder’s is too long for a socket, and is found all the same', async () => {
    const long = join(state, 'x'.repeat(100));
    const socket = await open(long);
    expect(Buffer.byteLength(socket.path)).toBeLessThan(100);
    const folder = await lstat(dirname(socket.path));
    expect({ mode: folder.mode & 0o777, uid: folder.uid }).toEqual({ mode: 0o700, uid: process.getuid?.() });
    expect((await (await clientOf(long)).request('GET', '/')).status).toBe(200);
    await socket.close();
    expect(await findOperatorSocket(long)).toBeUndefined();
    await rm(dirname(socket.path), { recursive: true });
  });

  it('does not follow its link into a folder that others can write', async () => {
    await mkdir(state, { mode: 0o700 });
    const open777 = join(dirname(state), 'open');
    await mkdir(open777);
    await chmod(open777, 0o777);
    await symlink(join(open777, 'operator.sock'), operatorSocketPath(state));
    await expect(clientOf()).rejects.toThrow('is open to others');
  });

  it('replaces what a process that was killed has left', async () => {
    const left = createServer();
    await mkdir(state, { mode: 0o700 });
    await new Promise<void>((resolve) => left.listen(join(state, 'left'), resolve));
    // A socket that nobody listens on any more, as SIGKILL leaves it.
    await link(join(state, 'left'), operatorSocketPath(state));
    await new Promise((resolve) => left.close(resolve));
    const refused = (await clientOf()).request('GET', '/');
    await expect(refused).rejects.toMatchObject({ message: 'No backend is running for "/project".' });
    const socket = await open();
    expect((await (await clientOf()).request('GET', '/')).status).toBe(200);
    await socket.close();
  });

  it('does not take the place of a process that answers', async () => {
    const first = await open();
    await expect(open()).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringContaining('Another process answers on the operator socket'),
      hint: expect.stringContaining('--data'),
    });
    expect(await tryOperatorSocket({ path: operatorSocketPath(state), fetch, observe: () => {} })).toEqual({
      socket: undefined,
      notices: [
        `Another process answers on the operator socket "${first.path}". The command line does not operate this process.`,
      ],
    });
    expect((await (await clientOf()).request('GET', '/')).status).toBe(200);
    await first.close();
  });

  it('ends a connection that says nothing more when it closes', async () => {
    const socket = await open();
    const idle = connect(socket.path);
    await new Promise<void>((resolve) => idle.once('connect', () => resolve()));
    const ended = new Promise<void>((resolve) => idle.once('close', () => resolve()));
    idle.resume();
    await socket.close();
    await ended;
  });
});

describe('a command', () => {
  it('says how to start when no backend runs', async () => {
    await expect(clientOf()).rejects.toMatchObject({
      name: 'OperatorError',
      message: 'No backend is running for "/project".',
      hint: expect.stringContaining('millrace start'),
    });
    await mkdir(state);
    await writeFile(operatorSocketPath(state), 'not a socket');
    await expect(clientOf()).rejects.toThrow('No backend is running');
  });

  it.each([
    ['ftp://x', 'mro_x', '"ftp://x" is not the URL of a backend.'],
    ['nonsense', 'mro_x', '"nonsense" is not the URL of a backend.'],
    [
      'http://api.example.com',
      'mro_x',
      'An operator token is not sent to "http://api.example.com", where everybody on the way could read it.',
    ],
    ['https://api.example.com', undefined, 'There is no operator token for --url.'],
    ['https://api.example.com', '', 'There is no operator token for --url.'],
  ])('does not go to --url %s with the token %j', async (url, token, message) => {
    await expect(openOperatorClient('', { url, token })).rejects.toMatchObject({
      name: 'OperatorError',
      message,
    });
  });
});
