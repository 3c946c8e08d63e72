// In charge of: what carries news between the processes of a database: Postgres, or the broker of the settings.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errorMessage, OperatorError } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import type { Database } from '../engine/db/database.ts';
import type { Fanout } from '../engine/db/fanout.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { openFanoutBy } from '../engine/fanout/open.ts';
import { fanoutSettings } from '../engine/fanout/settings.ts';
import { findMasterKeys } from '../engine/secrets/master-key.ts';
import { stateFolderOf } from './boot-port.ts';
import type { Prepared } from './prepare.ts';

export interface FanoutParts {
  readonly server: PostgresServer;
  readonly database: Database;
  readonly observe: Observe;
  readonly signal: AbortSignal;
}

export interface ProjectFanout {
  readonly fanout: Fanout;
  /** Undefined: Postgres carries everything. */
  readonly broker: Fanout | undefined;
  readonly notices: readonly string[];
  close(): Promise<void>;
}

/** @throws OperatorError when the broker cannot be used. */
export async function openProjectFanout(
  prepared: Prepared,
  { server, database, observe, signal }: FanoutParts,
): Promise<ProjectFanout> {
  const { settings, project } = prepared;
  const { broker: address, prefix, caPath } = settings.of(fanoutSettings).now();
  const byPostgres = { fanout: database.fanout, broker: undefined, notices: [], close: async () => {} };
  if (address === 'none') return byPostgres;
  if (server.engine !== 'external') {
    const notice = `[fanout].url is not used: a database of our own has one process. Several share one by DATABASE_URL.`;
    return { ...byPostgres, notices: [notice] };
  }
  const { current: masterKey } = await findMasterKeys({
    environment: project.environment,
    stateFolder: await stateFolderOf(prepared, server),
  });
  const ca = caPath === '' ? undefined : await readCertificates(join(project.project, 'supabase'), caPath);
  const { db } = database;
  const broker = await openFanoutBy({ broker: address, prefix, ca, masterKey, db, observe, signal });
  return { fanout: broker, broker, notices: [], close: () => broker.close() };
}

async function readCertificates(supabaseFolder: string, path: string): Promise<string> {
  try {
    return await readFile(resolve(supabaseFolder, path), 'utf8');
  } catch (error) {
    throw new OperatorError(
      `The file "${path}" of [fanout].tls_ca_path cannot be read: ${errorMessage(error)}.`,
      'Give the path of a PEM file, relative to the supabase folder.',
      error,
    );
  }
}
