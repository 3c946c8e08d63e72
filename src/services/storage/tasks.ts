// In charge of: what is done with files again and again, behind no request.
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../../engine/db/db.ts';
import type { Task } from '../../engine/service/contract.ts';
import type { Live } from '../../engine/settings/live.ts';
import type { Blobs } from './blobs/blobs.ts';
import { moveBlobs } from './blobs/moving.ts';
import type { OpenedStore } from './blobs/open.ts';
import type { Claims } from './claims.ts';
import { sweep } from './consistency/sweep.ts';
import type { Garbage } from './garbage.ts';
import type { Images } from './images/images.ts';
import type { Quotas } from './quotas.ts';
import { deleteOldUploads } from './s3/upload-rows.ts';
import type { StorageSettings } from './settings.ts';
import type { Resumable } from './tus/resumable.ts';

export interface TaskParts {
  readonly db: Pick<Db, 'asOwner'>;
  readonly config: Live<StorageSettings>;
  readonly blobs: Blobs;
  readonly garbage: Garbage;
  readonly resumable: Pick<Resumable, 'collect'>;
  readonly quotas: Pick<Quotas, 'settle'>;
  readonly claims: Pick<Claims, 'tidy'>;
  readonly images: Pick<Images, 'tidy'>;
  readonly observe: Observe;
  /** For the log: `the folder "/srv/files"`. */
  readonly storeName: string;
  readonly move: OpenedStore['move'];
}

const garbageEverySeconds = 60;
const expiredEverySeconds = 300;
const oldUploadsEverySeconds = 600;
const imagesEverySeconds = 900;
/** A reset makes the tables anew under processes that run on. */
const quotasEverySeconds = 60;
/** Most of what a run copies the first one does; the later ones see that nothing is left. */
const moveEverySeconds = 3600;
const sweepTask = 'storage.sweep';

export function tasksOf(parts: TaskParts): readonly Task[] {
  const { db, config, garbage, resumable, quotas, claims, images, move } = parts;
  return [
    {
      name: 'storage.garbage',
      everySeconds: garbageEverySeconds,
      scope: 'each',
      run: (stopped) => garbage.collect(stopped),
    },
    {
      name: 'storage.expired_uploads',
      everySeconds: expiredEverySeconds,
      scope: 'one',
      run: (stopped) => resumable.collect(config.now().resumableSeconds, stopped),
    },
    {
      name: 'storage.old_s3_uploads',
      everySeconds: oldUploadsEverySeconds,
      scope: 'each',
      async run(stopped) {
        await deleteOldUploads(db, config.now().s3UploadSeconds, stopped);
        garbage.wake();
      },
    },
    {
      name: 'storage.images',
      everySeconds: imagesEverySeconds,
      scope: 'each',
      run: (stopped) => images.tidy(stopped),
    },
    {
      name: 'storage.quotas',
      everySeconds: quotasEverySeconds,
      scope: 'each',
      async run() {
        await quotas.settle();
        await claims.tidy();
      },
    },
    ...(move === undefined ? [] : [moveTask(parts, move)]),
    sweepingTask(parts),
  ];
}

function moveTask({ observe, storeName }: TaskParts, move: NonNullable<TaskParts['move']>): Task {
  return {
    name: 'storage.move',
    everySeconds: moveEverySeconds,
    scope: 'one',
    async run(stopped) {
      const moved = await moveBlobs({ ...move, observe, signal: stopped });
      observe({ kind: 'storage.moved', level: 'info', from: move.previousName, to: storeName, ...moved });
    },
  };
}

function sweepingTask({ db, config, blobs, garbage, observe }: TaskParts): Task {
  return {
    name: sweepTask,
    everySeconds: config.now().sweepEverySeconds,
    scope: 'one',
    async run(stopped, fence) {
      const { orphanGraceSeconds: graceSeconds } = config.now();
      const lease = `task ${sweepTask}`;
      await sweep({ db, blobs, garbage, observe, graceSeconds, lease, fence, signal: stopped });
    },
  };
}
