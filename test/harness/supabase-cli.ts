// In charge of: running the real Supabase CLI on a database.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkout } from './backend.ts';

const timeoutMs = 120_000;

export interface SupabaseCli extends AsyncDisposable {
  /** Its standard output. Rejects when it fails. */
  run(databaseUrl: string, project: string, ...words: readonly string[]): Promise<string>;
}

/** With a home of its own, where it remembers nothing of this machine. */
export async function openSupabaseCli(): Promise<SupabaseCli> {
  const home = await mkdtemp(join(tmpdir(), 'mr-home-'));
  return {
    async run(databaseUrl, project, ...words) {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [
          join(checkout, 'node_modules/supabase/dist/supabase.js'),
          ...words,
          `--remote=${databaseUrl}`,
          '--workdir',
          project,
          '--yes',
          '--agent',
          'no',
        ],
        {
          env: { PATH: process.env.PATH, HOME: home, DO_NOT_TRACK: '1', NO_COLOR: '1', PGSSLMODE: 'disable' },
          timeout: timeoutMs,
          maxBuffer: 1 << 26,
        },
      );
      return stdout;
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}
