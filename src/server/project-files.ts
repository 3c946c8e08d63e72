// In charge of: a project's files for a command: rows and bytes, beside a running backend or without one.
import { openDatabase } from '../engine/db/database.ts';
import type { Db } from '../engine/db/db.ts';
import { findStateFolder } from '../engine/db/postgres/state-folder.ts';
import { openEgress } from '../engine/egress/egress.ts';
import { egressSettings } from '../engine/egress/settings.ts';
import { findMasterKeys } from '../engine/secrets/master-key.ts';
import { openSecrets } from '../engine/secrets/secrets.ts';
import { openStoredSettings } from '../engine/settings/stored.ts';
import type { Blobs } from '../services/storage/blobs/blobs.ts';
import { type BucketKeys, openBucketKeys } from '../services/storage/blobs/bucket-keys.ts';
import { ownFolderOf } from '../services/storage/blobs/mark.ts';
import { newBlobIds } from '../services/storage/blobs/new-id.ts';
import { type OpenedStore, openStore } from '../services/storage/blobs/open.ts';
import { sealing } from '../services/storage/blobs/sealing.ts';
import { storage } from '../services/storage/service.ts';
import type { Prepared } from './prepare.ts';
import type { OpenOptions, ShapedServer } from './project-database.ts';
import { findRunning } from './run-file.ts';

export interface ProjectFiles {
  readonly db: Db;
  readonly blobs: Blobs;
  readonly newBlobId: (bucket: string) => Promise<string>;
  readonly bucketKeys: Pick<BucketKeys, 'current' | 'retire'>;
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
    // What was set at run time counts here, too.
    const stored = await openStoredSettings(settings, database.db, database.fanout, observe);
    stored.close();
    const files = settings.of(storage.settings).now();
    const sharesDatabase = server.engine === 'external';
    const ownFolder = await ownFolderOf({ db: database.db, stateFolder, sharesDatabase });
    const place = { ownFolder, projectFolder: project.project, egress };
    const { blobs: kept, name: storeName, move } = await openStore(files, place);
    const { db } = database;
    const keys = openBucketKeys(
      db,
      openedOnce(async () =>
        openSecrets({
          db,
          keys: await findMasterKeys({ environment: project.environment, stateFolder }),
          observe,
        }),
      ),
    );
    const blobs = sealing(kept, { keyOf: keys.find, observe });
    const newBlobId = newBlobIds(settings.of(storage.settings), keys);
    try {
      return await work({ db, blobs, newBlobId, bucketKeys: keys, storeName, move, stateFolder, isShared });
    } finally {
      await blobs.close();
    }
  } finally {
    await database.close();
    await egress.close();
  }
}

const limits = { maxConnections: 2, acquireTimeoutMs: 30_000, maxWaiting: 100 };

/** The master key is looked for when the first encrypted file comes. */
function openedOnce<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open();
    return opened;
  };
}
