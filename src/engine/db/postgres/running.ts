// In charge of: logging in to a PostgreSQL of ours that another process runs: for commands beside a running backend.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import type { LoginRole } from '../db.ts';
import { leftPostmaster } from './leftovers.ts';
import { readStateFile } from './state-folder.ts';

/** How each role logs in to the server that runs on this state folder; undefined when none does. */
export async function findRunningServer(
  stateFolder: string,
): Promise<((role: LoginRole) => ClientConfig) | undefined> {
  const state = await readStateFile(stateFolder);
  if (state?.port === undefined || state.socketFolder === undefined) return undefined;
  const { socketFolder: host, port } = state;
  // PGlite has no process of its own: its socket is that of the process that runs it.
  const isThere =
    state.engine === 'pglite'
      ? existsSync(join(host, `.s.PGSQL.${port}`))
      : leftPostmaster(join(stateFolder, 'db')) !== undefined;
  if (!isThere) return undefined;
  return (role) => ({ host, port, user: role, database: 'postgres', ssl: false });
}
