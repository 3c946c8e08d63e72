// In charge of: limits on how much files take together, of a bucket and of each user: the settings as rows that the database's own trigger reads, which counts
// and refuses in the transaction that writes a file.
import { isDeepStrictEqual } from 'node:util';
import type { PoolClient } from 'pg';
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../../engine/db/db.ts';
import type { Live } from '../../engine/settings/live.ts';
import type { StorageSettings } from './settings.ts';

export interface Quotas {
  /** The limits are those of the settings, and what is there is counted, when this resolves. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

interface Limit {
  readonly scope: 'bucket' | 'user';
  /** A bucket; '' for each user. */
  readonly subject: string;
  readonly maxBytes: number | null;
  readonly maxObjects: number | null;
}

/** A writer that does not come to an end is not waited for longer. */
const waitMs = 30_000;

export function openQuotas(
  db: Pick<Db, 'asOwner'>,
  config: Live<Pick<StorageSettings, 'buckets' | 'userBytes' | 'userObjects'>>,
  observe: Observe,
): Quotas {
  let settling: Promise<void> | undefined;
  let again = false;

  async function settleAll(): Promise<void> {
    do {
      again = false;
      const limits = limitsOf(config.now());
      await db.asOwner('supabase_storage_admin', (client) => put(client, limits));
    } while (again);
  }

  function settle(): Promise<void> {
    again = settling !== undefined;
    settling ??= settleAll().finally(() => {
      settling = undefined;
    });
    return settling;
  }

  const stop = config.onChange(() => {
    // The task comes by again.
    settle().catch((error: unknown) =>
      observe({ kind: 'storage.quotas_not_settled', level: 'error', error }),
    );
  });

  return {
    settle,
    async close() {
      stop();
      await settling?.catch(() => {});
    },
  };
}

function limitsOf({
  buckets,
  userBytes,
  userObjects,
}: Pick<StorageSettings, 'buckets' | 'userBytes' | 'userObjects'>): readonly Limit[] {
  const ofBuckets = Object.entries(buckets).flatMap(([subject, { totalBytes, maxObjects }]): Limit[] =>
    totalBytes === undefined && maxObjects === undefined
      ? []
      : [{ scope: 'bucket', subject, maxBytes: totalBytes ?? null, maxObjects: maxObjects ?? null }],
  );
  if (userBytes === 0 && userObjects === 0) return ofBuckets;
  return [
    ...ofBuckets,
    { scope: 'user', subject: '', maxBytes: userBytes || null, maxObjects: userObjects || null },
  ];
}

const keyOf = ({ scope, subject }: Limit) => `${scope} ${subject}`;
const byKey = (one: Limit, other: Limit) => (keyOf(one) < keyOf(other) ? -1 : 1);

const readStatement = `
  select scope, subject, max_bytes::float8 as "maxBytes", max_objects::float8 as "maxObjects" from _millrace.file_limits`;

/** One look where nothing has changed. */
async function put(client: PoolClient, limits: readonly Limit[]): Promise<void> {
  const wanted = [...limits].sort(byKey);
  const read = async () => (await client.query<Limit>(readStatement)).rows.sort(byKey);
  if (isDeepStrictEqual(await read(), wanted)) return;
  await client.query(`begin; set local lock_timeout = ${waitMs}`);
  try {
    // Nobody writes a file until all are counted. Of two processes the second finds it done.
    await client.query('lock table storage.objects in share row exclusive mode');
    const before = new Set((await read()).map(keyOf));
    await client.query(deleteStatement, [JSON.stringify(wanted)]);
    for (const limit of wanted) {
      const { scope, subject, maxBytes, maxObjects } = limit;
      await client.query(putStatement, [scope, subject, maxBytes, maxObjects]);
      if (before.has(keyOf(limit))) continue;
      if (scope === 'bucket') await client.query(countBucketStatement, [subject]);
      else await client.query(countUsersStatement);
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

/** Of what has no limit any more nothing is counted. */
const deleteStatement = `
  with wanted as (
    select scope, subject from jsonb_to_recordset($1::jsonb) as one (scope text, subject text)
  ), unlimited as (
    delete from _millrace.file_limits as known where not exists (
      select from wanted where wanted.scope = known.scope and wanted.subject = known.subject)
  )
  delete from _millrace.file_usage as known where not exists (
    select from wanted where wanted.scope = known.scope and (known.scope = 'user' or wanted.subject = known.subject))`;

const putStatement = `
  insert into _millrace.file_limits (scope, subject, max_bytes, max_objects) values ($1, $2, $3, $4)
  on conflict (scope, subject) do update set max_bytes = excluded.max_bytes, max_objects = excluded.max_objects`;

const countBucketStatement = `
  insert into _millrace.file_usage (scope, subject, bytes, objects)
  select 'bucket', $1, coalesce(sum(_millrace.file_bytes(metadata)), 0)::bigint, count(*) from storage.objects where bucket_id = $1
  on conflict (scope, subject) do update set bytes = excluded.bytes, objects = excluded.objects`;

const countUsersStatement = `
  insert into _millrace.file_usage (scope, subject, bytes, objects)
  select 'user', owner_id, sum(_millrace.file_bytes(metadata))::bigint, count(*) from storage.objects where owner_id is not null group by owner_id
  on conflict (scope, subject) do update set bytes = excluded.bytes, objects = excluded.objects`;
