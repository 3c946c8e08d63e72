// In charge of: the local socket of the operator plane. In the state folder, for its owner alone, found again by the command line.
import { createHash } from 'node:crypto';
import { lstat, mkdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { errorCode, errorMessage, OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';

export interface OperatorSocket {
  /** Where it listens. */
  readonly path: string;
  /** Lets requests in flight finish, for a second at most, and takes the file away. */
  close(): Promise<void>;
}

export interface OperatorSocketOptions {
  /** `operatorSocketPath(stateFolder)`. */
  readonly path: string;
  readonly fetch: (request: Request, bindings: object) => Response | Promise<Response>;
  readonly observe: Observe;
}

export const socketName = 'operator.sock';
/** `sun_path` has room for 104 bytes on macOS and 108 on Linux, one of which ends the text. */
const maxSocketPathBytes = 100;
const maxConnections = 32;
const maxHeaderBytes = 16 * 1024;
const headersTimeoutMs = 5_000;
const requestTimeoutMs = 15_000;
const keepAliveMs = 5_000;
const drainMs = 1_000;
const probeMs = 1_000;

/** Whose socket it will be: the operating system's user that this process runs as. */
export function socketOwner(): string {
  try {
    return userInfo().username;
  } catch {
    // A container's user may have a number only.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}

/** Where the socket of a state folder is or would be. It is always found under its name there; a long path has a link to a short one. */
export function operatorSocketPath(stateFolder: string): string {
  return join(stateFolder, socketName);
}

/**
 * Listens on the socket. A process that was killed leaves its file behind, which is replaced; one that answers is not.
 * @throws OperatorError when another process answers there, or the file cannot be made.
 */
export async function openOperatorSocket({
  path,
  fetch,
  observe,
}: OperatorSocketOptions): Promise<OperatorSocket> {
  const isLong = Buffer.byteLength(path) > maxSocketPathBytes;
  const actual = isLong ? join(shortFolder(path, process.getuid?.() ?? 0), socketName) : path;
  try {
    await makeStateFolder(dirname(path));
    if (isLong) await makePrivateFolder(dirname(actual));
    if (await answers(actual)) {
      throw new OperatorError(
        `Another process answers on the operator socket "${path}".`,
        'Stop the other backend of this folder, or give this one a state folder of its own with --data DIR.',
      );
    }
    await rm(actual, { force: true });
    if (isLong) await link(path, actual);
    const server = createServer(
      {
        maxHeaderSize: maxHeaderBytes,
        headersTimeout: headersTimeoutMs,
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: keepAliveMs,
      },
      listenerOf(fetch, observe),
    );
    server.maxConnections = maxConnections;
    await listen(server, actual);
    return { path: actual, close: () => close(server, isLong ? [actual, path] : [actual]) };
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(
      `The operator socket "${path}" cannot be opened: ${errorMessage(error)}.`,
      'Give a state folder that this user can write with --data DIR.',
      error,
    );
  }
}

/**
 * The same for a start that goes on without one, with a sentence for whoever starts it: several processes of one folder share a
 * database, and a folder may be closed to writing. Requests are served all the same.
 */
export async function tryOperatorSocket(
  options: OperatorSocketOptions,
): Promise<{ readonly socket: OperatorSocket | undefined; readonly notices: readonly string[] }> {
  try {
    return { socket: await openOperatorSocket(options), notices: [] };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    options.observe({ kind: 'operator.no_socket', level: 'warn', message: error.message });
    return {
      socket: undefined,
      notices: [`${error.message} The command line does not operate this process.`],
    };
  }
}

/**
 * Where to connect for the socket of a state folder; undefined when there is none.
 * @throws OperatorError when a link leads to what is not its owner's alone.
 */
export async function findOperatorSocket(stateFolder: string): Promise<string | undefined> {
  const path = operatorSocketPath(stateFolder);
  const found = await lstat(path).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (!found.isSymbolicLink()) return found.isSocket() ? path : undefined;
  const actual = await readlink(path);
  // A folder for temporary files may have been swept, and then anybody could make one of that name.
  const folder = await lstat(dirname(actual)).catch(() => undefined);
  if (folder === undefined) return undefined;
  if (!folder.isDirectory() || folder.uid !== found.uid || (folder.mode & 0o077) !== 0) {
    throw new OperatorError(
      `"${dirname(actual)}", where the operator socket should be, is open to others or belongs to one.`,
      'Remove it and start the backend again, or use a shorter path for the state with --data DIR.',
    );
  }
  return actual;
}

function listenerOf(fetch: OperatorSocketOptions['fetch'], observe: Observe) {
  const answer = getRequestListener(fetch, {
    overrideGlobalObjects: false,
    errorHandler(error) {
      observe({ kind: 'operator.error', level: 'warn', message: errorMessage(error) });
      return Response.json(
        { code: 'malformed_request', message: 'This is not an HTTP request.', hint: null },
        { status: 400 },
      );
    },
  });
  // Never rejects: the adapter answers by its errorHandler.
  return (request: IncomingMessage, response: ServerResponse) => void answer(request, response);
}

/** Binds with a mask, in one go: there is no moment at which the file is open to others. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = process.umask(0o177);
    try {
      // libuv binds a Unix socket before this returns. Source: Node lib/net.js setupListenHandle, libuv src/unix/pipe.c uv_pipe_bind2.
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

async function close(server: Server, files: readonly string[]): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearTimeout(timer);
  for (const file of files) await rm(file, { force: true });
}

/** Whether a process listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (does: boolean) => {
      socket.destroy();
      resolve(does);
    };
    socket.setTimeout(probeMs, () => end(true));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/** With DATABASE_URL nobody has made the folder yet. */
async function makeStateFolder(folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined)
    await writeFile(join(folder, '.gitignore'), '*\n');
}

function shortFolder(path: string, uid: number): string {
  return join(
    '/tmp',
    `millrace-operator-${uid}-${createHash('sha256').update(path).digest('hex').slice(0, 10)}`,
  );
}

async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === (process.getuid?.() ?? 0) && (found.mode & 0o077) === 0) return;
  throw new OperatorError(
    `"${folder}", which should hold the operator socket, is open to other users or belongs to one.`,
    'Remove it, or use a shorter path for the state with --data DIR.',
  );
}

async function link(path: string, actual: string): Promise<void> {
  await rm(path, { force: true });
  await symlink(actual, path);
}
