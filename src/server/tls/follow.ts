// In charge of: hearing that files have changed. The operating system says so where it can; a slow poll catches the rest.
import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';

/** Several events of one change are one. */
const gatherMs = 100;

export interface FollowOptions {
  readonly paths: readonly string[];
  readonly pollMs: number;
  readonly onChange: () => void;
  readonly observe: Observe;
}

/**
 * Calls `onChange` whenever one of the files may have changed, and every `pollMs` in any case. What is watched are the folders: certbot
 * and Kubernetes put a new link in the place of the old one, and a watch on the file would stay with what the old one led to.
 * Where a link's target is written in place, in another folder, or the file system tells nothing (NFS), the poll finds it.
 * The result ends it.
 */
export function followFiles({ paths, pollMs, onChange, observe }: FollowOptions): () => void {
  let gathering: NodeJS.Timeout | undefined;
  const soon = () => {
    gathering ??= setTimeout(() => {
      gathering = undefined;
      onChange();
    }, gatherMs).unref();
  };
  const watchers = [...new Set(paths.map((path) => dirname(path)))].flatMap((folder) =>
    watchFolder(folder, soon, observe),
  );
  const poll = setInterval(onChange, pollMs).unref();
  return () => {
    clearInterval(poll);
    clearTimeout(gathering);
    for (const watcher of watchers) watcher.close();
  };
}

function watchFolder(folder: string, onEvent: () => void, observe: Observe): FSWatcher[] {
  const unwatched = (error: unknown) =>
    observe({ kind: 'tls.unwatched', level: 'debug', folder, message: errorMessage(error) });
  try {
    const watcher = watch(folder, { persistent: false }, onEvent);
    watcher.on('error', (error) => {
      unwatched(error);
      watcher.close();
    });
    return [watcher];
  } catch (error) {
    // No inotify instance left, or the folder is not there: the poll goes on.
    unwatched(error);
    return [];
  }
}
