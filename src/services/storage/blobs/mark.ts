// In charge of: that a store of bytes and a database belong together. A blob of a reserved name says in the store which database's it is: a sweep over
// the files of another database would remove them all, and a process that looks into another folder would find none.
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Db } from '../../../engine/db/db.ts';
import { BlobMissing, type Blobs, BlobsUnavailable } from './blobs.ts';

/** Its name among the blobs; no version is called so. */
export const markId = 'millrace-store-mark';

export interface Marking {
  readonly db: Pick<Db, 'asOwner'>;
  readonly blobs: Blobs;
  /** For sentences: `the folder "/srv/files"`. */
  readonly storeName: string;
  /** What belongs to this backend alone, so that a new database in the place of an earlier one may go on with its files. */
  readonly home: string;
  readonly sharesDatabase: boolean;
  readonly observe: Observe;
}

interface Mark {
  readonly store: string;
  readonly home: string;
}

const maxMarkBytes = 10_000;

/**
 * The folder of files that nobody has named another place for. Beside a server of somebody else's it has the store's own name: a project that is pointed
 * at one database and then at another mixes up no files.
 */
export async function ownFolderOf({
  db,
  stateFolder,
  sharesDatabase,
}: Pick<Marking, 'db' | 'sharesDatabase'> & { readonly stateFolder: string }): Promise<string> {
  if (!sharesDatabase) return join(stateFolder, 'files');
  const id = await db.asOwner('millrace_admin', async (client) => {
    await client.query(makeRow);
    const { rows } = await client.query<{ id: string }>('select id::text from _millrace.blob_store');
    return rows[0]!.id;
  });
  return join(stateFolder, `files-${id.slice(0, 8)}`);
}

const makeRow = 'insert into _millrace.blob_store default values on conflict do nothing';

/**
 * Takes the store for the database, or sees that it has it.
 * @throws OperatorError when the files of this database are elsewhere, or those here are another database's
 */
export async function markStore(marking: Marking): Promise<void> {
  const { db, blobs, home, sharesDatabase, observe } = marking;
  const marked = db.asOwner('millrace_admin', async (client) => {
    // On its own: a mark whose row was undone would be another database's.
    await client.query(makeRow);
    await client.query('begin');
    try {
      const { rows } = await client.query<{ id: string; marked: boolean }>(
        'select id::text, marked from _millrace.blob_store for update',
      );
      const { id, marked } = rows[0]!;
      const mark = await readMark(blobs);
      if (mark?.store !== id) {
        const isOurs = !sharesDatabase && (mark === undefined || mark.home === home);
        if (mark !== undefined && !isOurs) throw ofAnother(marking);
        if (mark === undefined && marked && sharesDatabase) throw elsewhere(marking);
        await writeMark(blobs, { store: id, home });
      }
      await client.query('update _millrace.blob_store set marked = true where not marked');
      await client.query('commit');
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  });
  await marked.catch((error: unknown) => {
    if (!(error instanceof BlobsUnavailable)) throw error;
    if (error.reason === 'refused') throw refused(marking, error);
    // The rest of the backend does not wait for it; files answer once it is back.
    observe({ kind: 'storage.store_away', level: 'error', store: marking.storeName, error });
  });
}

/** The next start takes the store that it finds. */
export async function forgetMark(db: Pick<Db, 'asOwner'>, blobs: Blobs): Promise<void> {
  await blobs.remove([markId]);
  await db.asOwner('millrace_admin', (client) =>
    client.query('update _millrace.blob_store set marked = false'),
  );
}

async function readMark(blobs: Blobs): Promise<Mark | undefined> {
  try {
    // Sound: `writeMark` writes no other; what somebody else has put there is no store of ours either.
    return JSON.parse(await text(await blobs.read(markId, { from: 0, to: maxMarkBytes }))) as Mark;
  } catch (error) {
    if (error instanceof BlobMissing) return undefined;
    throw error;
  }
}

async function writeMark(blobs: Blobs, mark: Mark): Promise<void> {
  await blobs.write(markId, Readable.from([Buffer.from(JSON.stringify(mark))], { objectMode: false }), {
    maxBytes: maxMarkBytes,
  });
}

function ofAnother({ storeName }: Marking): OperatorError {
  return new OperatorError(
    `The files in ${storeName} belong to another database than this one.`,
    'Give each database a place of its own: storage.path, or bucket and prefix. If this database has taken the place of the other, run `millrace storage adopt`.',
  );
}

function elsewhere({ storeName }: Marking): OperatorError {
  return new OperatorError(
    `The files of this database are kept elsewhere than in ${storeName}: another process has them on its own disk.`,
    'Give all processes the same folder by storage.path, on a disk that they share, or storage.backend = "s3"; or switch files off: [storage] enabled = false. If the files have moved here, run `millrace storage adopt`.',
  );
}

function refused({ storeName }: Marking, cause: BlobsUnavailable): OperatorError {
  return new OperatorError(
    `The store of files, ${storeName}, refuses: ${cause.message}`,
    'Look at its name, its region and its keys; the keys need the right to list, read, write and delete.',
    cause,
  );
}
