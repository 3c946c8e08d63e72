// In charge of: a project's files for a command: rows and bytes, beside a running backend or without one.
import { openDatabase } from '../engine/db/database.ts';
import type { Db } from '../engine/db/db.ts';
import { findStateFolder } from '../engine/db/postgres/state-folder.ts';
import { openEgress } from '../engine/egress/egress.ts';
import { egressSettings } from '../engine/egress/settings.ts';
import type { Blobs } from '../services/storage/blobs/blobs.ts';
import { ownFolderOf } from '../services/storage/blobs/mark.ts';
import { type OpenedStore, openStore } from '../services/storage/blobs/open.ts';
import { storage } from '../services/storage/service.ts';
import type { Prepared } from './prepare.ts';
import type { OpenOptions, ShapedServer } from './project-database.ts';
import { findRunning } from './run-file.ts';

export interface ProjectFiles {
  readonly db: Db;
  readonly blobs: Blobs;
  /** `the folder "/srv/files"` */
  readonly storeName: string;
  readonly move: OpenedStore['move'];
  readonly stateFolder: string;
  /** Whether others may write files meanwhile. */
  readonly isShared: boolean;
}

type Shaped = ShapedServer<
  Pick<ShapedServer['server'], 'engine' | 'login' | 'directLogin' | 'passwords' | 'stop'>
>;

/** Closed when `work` has ended. */
export async function withProjectFiles<T>(
  prepared: Prepared,
  { server }: Shaped,
  { observe }: OpenOptions,
  work: (files: ProjectFiles) => Promise<T>,
): Promise<T> {
  const { project, data, settings } = prepared;
  const stateFolder = await findStateFolder({ project: project.project, data });
  const isShared = server.engine === 'external' || (await findRunning(stateFolder)) !== undefined;
  const config = settings.of(egressSettings);
  const egress = openEgress({ allow: () => config.now().allow, observe, now: Date.now });
  const database = await openDatabase(
    {
      engine: server.engine,
      login: (role, name) => server.login(role, name),
      directLogin: (role, name) => server.directLogin(role, name),
      prepared: 'off',
    },
    { limits, prepared: 'off', alone: true, listens: false },
    observe,
  );
  try {
    const files = settings.of(storage.settings).now();
    const sharesDatabase = server.engine === 'external';
    const ownFolder = await ownFolderOf({ db: database.db, stateFolder, sharesDatabase });
    const place = { ownFolder, projectFolder: project.project, egress };
    const { blobs, name: storeName, move } = await openStore(files, place);
    try {
      return await work({ db: database.db, blobs, storeName, move, stateFolder, isShared });
    } finally {
      await blobs.close();
    }
  } finally {
    await database.close();
    await egress.close();
  }
}

const limits = { maxConnections: 2, acquireTimeoutMs: 30_000, maxWaiting: 100 };
