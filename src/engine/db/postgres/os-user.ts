// In charge of: the operating-system users. Postgres refuses to run as root, so root's Postgres runs as somebody else.
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { OperatorError } from '../../../base/errors.ts';
import { type RunAs, run } from './process.ts';

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The name that the socket's `peer` login sees of this process. */
export function ownName(): string {
  try {
    return userInfo().username;
  } catch (error) {
    throw new OperatorError(
      `The operating system has no name for the user with number "${process.getuid?.() ?? '?'}", and PostgreSQL does not run without one.`,
      'Start as a user that stands in /etc/passwd, or give an external database with DATABASE_URL.',
      error,
    );
  }
}

/** Whom root's Postgres runs as: `postgres` where there is one, else `nobody`. */
export async function unprivilegedUser(): Promise<RunAs> {
  for (const name of ['postgres', 'nobody']) {
    const found = await findUser(name);
    if (found !== undefined && found.uid !== 0) return found;
  }
  throw new OperatorError(
    'PostgreSQL does not run as root, and neither the user "postgres" nor "nobody" exists on this machine.',
    'Make one (useradd --system postgres), or start as an ordinary user.',
  );
}

/** The user of a number, named after it when the system has no name. */
export async function userOfNumber(uid: number, gid: number): Promise<RunAs> {
  const entry = (await passwdLines()).find((line) => line[2] === String(uid));
  return { uid, gid, name: entry?.[0] ?? String(uid) };
}

async function findUser(name: string): Promise<RunAs | undefined> {
  const entry = (await passwdLines()).find((line) => line[0] === name);
  if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]), name };
  // Users of a directory service, and of macOS, are not in the file.
  const uid = await run('id', ['-u', name], { timeoutMs: 5_000 });
  const gid = await run('id', ['-g', name], { timeoutMs: 5_000 });
  if (uid.code !== 0 || gid.code !== 0) return undefined;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout), name };
}

async function passwdLines(): Promise<readonly (readonly string[])[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text.split('\n').map((line) => line.split(':'));
}
