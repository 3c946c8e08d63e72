// In charge of: `millrace storage encrypt`: files that are kept otherwise than their bucket says by now, or by a key that is no longer in use, are written
// anew, one by one, while the program serves. Each is a new version of its row, so that a reader has the old bytes or the new ones, and broken off it goes on with those that are left.
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../../engine/db/db.ts';
import { BlobMissing, type Blobs } from './blobs/blobs.ts';
import { keyIdIn } from './blobs/sealed-id.ts';

export interface RewriteOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly blobs: Pick<Blobs, 'copy' | 'remove'>;
  readonly newBlobId: (bucket: string) => Promise<string>;
  readonly isEncrypted: (bucket: string) => boolean;
  /** The ids of the keys that are in use. */
  readonly currentKeys: () => Promise<ReadonlySet<string>>;
  readonly observe: Observe;
  readonly signal: AbortSignal;
  readonly onRewritten?: (rewritten: Rewritten) => void;
}

export interface Rewritten {
  readonly encrypted: number;
  readonly decrypted: number;
  readonly bytes: number;
  readonly failed: number;
}

interface Row {
  readonly id: string;
  readonly bucket_id: string;
  readonly version: string;
  readonly size: string | null;
}

const pageSize = 1_000;
/** So many failures in one run, and the store is away rather than a file damaged. */
const maxFailures = 100;

const pageStatement = `
  select id::text, bucket_id, version, case when jsonb_typeof(metadata -> 'size') = 'number' then metadata ->> 'size' end as size
  from storage.objects where version is not null and ($1::uuid is null or id > $1) order by id limit ${pageSize}`;

export async function rewriteFiles(options: RewriteOptions): Promise<Rewritten> {
  const { db, blobs, newBlobId, isEncrypted, currentKeys, observe, signal, onRewritten } = options;
  let [encrypted, decrypted, bytes, failed] = [0, 0, 0, 0];
  const report = (): Rewritten => ({ encrypted, decrypted, bytes, failed });

  async function rewrite({ id, bucket_id: bucket, version, size }: Row): Promise<void> {
    const anew = await newBlobId(bucket);
    await blobs.copy(version, anew);
    // Overwritten meanwhile: then it is as its bucket says already.
    if (!(await nameAnew(db, id, version, anew))) await blobs.remove([anew]);
    if (keyIdIn(anew) === undefined) decrypted += 1;
    else encrypted += 1;
    bytes += Number(size ?? 0);
    onRewritten?.(report());
  }

  for (let after: string | null = null; ; ) {
    const page: readonly Row[] = await pageAfter(db, after);
    const keys = await currentKeys();
    for (const row of page) {
      signal.throwIfAborted();
      const keyId = keyIdIn(row.version);
      if (isEncrypted(row.bucket_id) ? keyId !== undefined && keys.has(keyId) : keyId === undefined) continue;
      try {
        await rewrite(row);
      } catch (error) {
        if (error instanceof BlobMissing) continue;
        failed += 1;
        observe({ kind: 'storage.rewrite_failed', level: 'warn', version: row.version, error });
        if (failed >= maxFailures) throw error;
      }
    }
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return report();
    after = last.id;
  }
}

const pageAfter = (db: Pick<Db, 'asOwner'>, after: string | null) =>
  db.asOwner('supabase_storage_admin', async (client) => {
    const { rows } = await client.query<Row>(pageStatement, [after]);
    return rows;
  });

/** The trigger lets go of the old bytes. False: the row names others by now, or is gone. */
const nameAnew = (db: Pick<Db, 'asOwner'>, id: string, from: string, to: string) =>
  db.asOwner('supabase_storage_admin', async (client) => {
    const text = 'update storage.objects set version = $3 where id = $1 and version = $2';
    const { rowCount } = await client.query(text, [id, from, to]);
    return rowCount === 1;
  });
