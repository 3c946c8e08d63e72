// In charge of: `dist/`, what is published: the emitted JavaScript with the SQL that stands beside it.
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Builds into `dist`, which is made anew. */
export function build(dist: string): void {
  rmSync(dist, { recursive: true, force: true });
  execFileSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json', '--outDir', dist], {
    cwd: root,
    stdio: 'inherit',
  });
  cpSync(join(root, 'src'), dist, {
    recursive: true,
    // Folders are walked; of files only SQL is copied.
    filter: (source) =>
      !/\.[a-z]+$/.test(source) || (source.endsWith('.sql') && !source.endsWith('.test.sql')),
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build(join(root, 'dist'));
