// In charge of: folders of throw-away databases, and what is left of them when a process was killed before it could remove its own.
import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopLeftovers } from '../engine/db/postgres/leftovers.ts';
import { findHolder } from '../engine/db/postgres/lock.ts';

const prefix = 'millrace-throwaway-';
/** A folder that is younger may be one whose start has not come to its lock yet. */
const youngForMs = 60_000;
/** A start looks at no more than this many. */
const maxAtOnce = 20;

export interface ThrowAwayFolder {
  readonly path: string;
  /** In it: where the state of the backend goes. */
  readonly stateFolder: string;
  remove(): Promise<void>;
}

/** A new folder, and beside that the end of those whose process has ended without closing. */
export async function openThrowAwayFolder(): Promise<ThrowAwayFolder> {
  await removeAbandoned();
  const path = await mkdtemp(join(tmpdir(), prefix));
  // Root's Postgres runs as another user, who has to get through; the state in it is closed.
  await chmod(path, 0o755);
  return {
    path,
    stateFolder: stateIn(path),
    remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}

async function removeAbandoned(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(prefix));
  for (const name of names.slice(0, maxAtOnce)) {
    const path = join(tmpdir(), name);
    // Whatever cannot be looked at or removed is another user's, or gone.
    await removeIfAbandoned(path).catch(() => {});
  }
}

async function removeIfAbandoned(path: string): Promise<void> {
  const { uid, birthtimeMs } = await stat(path);
  if (uid !== process.getuid?.()) return;
  const state = stateIn(path);
  const wasLocked = (await readdir(state).catch(() => [])).some((name) => /^lock\.\d+$/.test(name));
  if (!wasLocked && Date.now() - birthtimeMs < youngForMs) return;
  if ((await findHolder(state)) !== undefined) return;
  await stopLeftovers(join(state, 'db'));
  await rm(path, { recursive: true, force: true });
}

function stateIn(path: string): string {
  return join(path, 'state');
}
