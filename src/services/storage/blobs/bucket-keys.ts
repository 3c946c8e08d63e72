// In charge of: the keys of encrypted buckets: one each, made when its first file comes, wrapped by the master key beside the other secrets. They stay when
// the bucket goes, since a file may have been moved elsewhere, and when another takes their place, since a backup may have files of them.
import { randomBytes } from 'node:crypto';
import type { PoolClient } from 'pg';
import type { Db } from '../../../engine/db/db.ts';
import type { Secrets } from '../../../engine/secrets/secrets.ts';

export interface BucketKeys {
  /** The id of the key by which a bucket's new files are encrypted. */
  idFor(bucket: string): Promise<string>;
  /** @throws BucketKeyMissing; SecretUnreadable */
  find(keyId: string): Promise<Buffer>;
  /** Those by which new files of some bucket are encrypted. */
  current(): Promise<ReadonlySet<string>>;
  /** Every bucket gets another key with its next file; how many were in use. */
  retire(): Promise<number>;
}

/** Encrypted bytes are there, and what opens them is not. */
export class BucketKeyMissing extends Error {
  override readonly name = 'BucketKeyMissing';

  constructor(keyId: string) {
    super(
      `the key "${keyId}" of encrypted files is not among the secrets of this database; it comes back with the backup that these files belong to`,
    );
  }
}

const purpose = 'bucket key';
const keyBytes = 32;
/** Keys that are held in memory. */
const maxHeld = 1_000;

const findStatement = `
  select key.id from _millrace.bucket_keys as key join _millrace.secrets as secret on secret.purpose = $2 and secret.id = key.id
  where key.bucket_id = $1`;

/** @param secrets opened when the first key is wanted */
export function openBucketKeys(
  db: Pick<Db, 'asOwner'>,
  secrets: () => Promise<Pick<Secrets, 'put' | 'find'>>,
): BucketKeys {
  const held = new Map<string, Buffer>();

  function hold(keyId: string, key: Buffer): Buffer {
    const [oldest] = held.keys();
    if (held.size >= maxHeld && oldest !== undefined) held.delete(oldest);
    held.set(keyId, key);
    return key;
  }

  const idIn = async (client: PoolClient, bucket: string) =>
    (await client.query<{ id: string }>(findStatement, [bucket, purpose])).rows[0]?.id;

  async function make(client: PoolClient, bucket: string): Promise<string> {
    const { put } = await secrets();
    await client.query('begin');
    try {
      // Of two at once one makes it, and the other one waits.
      await client.query('select pg_advisory_xact_lock(hashtextextended($1, 40))', [bucket]);
      let id = await idIn(client, bucket);
      if (id === undefined) {
        id = randomBytes(8).toString('hex');
        await put(client, purpose, id, randomBytes(keyBytes));
        await client.query(
          `insert into _millrace.bucket_keys (id, bucket_id) values ($1, $2)
           on conflict (bucket_id) do update set id = excluded.id, made_at = now()`,
          [id, bucket],
        );
      }
      await client.query('commit');
      return id;
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  }

  return {
    // Asked each time, because a reset takes it away under processes that run on.
    idFor: (bucket) =>
      db.asOwner(
        'millrace_admin',
        async (client) => (await idIn(client, bucket)) ?? (await make(client, bucket)),
      ),
    async current() {
      const text = 'select id from _millrace.bucket_keys';
      const { rows } = await db.asOwner('millrace_admin', (client) => client.query<{ id: string }>(text));
      return new Set(rows.map(({ id }) => id));
    },
    async retire() {
      const text = 'delete from _millrace.bucket_keys';
      const { rowCount } = await db.asOwner('millrace_admin', (client) => client.query(text));
      return rowCount ?? 0;
    },
    async find(keyId) {
      const known = held.get(keyId);
      if (known !== undefined) return known;
      const { find } = await secrets();
      const key = await db.asOwner('millrace_admin', (client) => find(client, purpose, keyId));
      if (key === undefined) throw new BucketKeyMissing(keyId);
      return hold(keyId, key);
    },
  };
}
