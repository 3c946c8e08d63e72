// In charge of: who holds which blobs. A part of the service that keeps ids of blobs adds its query here; what no query gives is removed.
import type { Db, LoginRole } from '../../../engine/db/db.ts';
import { inByteOrder } from '../blobs/blobs.ts';
import { markId } from '../blobs/mark.ts';

/** A blob that a row names. */
export interface HeldBlob {
  readonly id: string;
  /** What the row says that it is; null where it says nothing. */
  readonly sizeBytes: number | null;
  /** As the row has it; null where there is none. */
  readonly eTag: string | null;
  /** Where a person finds the row: `avatars/ada.png`. */
  readonly place: string;
}

interface Holder {
  readonly owner: LoginRole;
  /** Whether its blobs have to be there: those that are being removed need not. */
  readonly mustBeThere: boolean;
  /** Gives `id text, size_bytes bigint, etag text, place text`, no id of which is null. */
  readonly rows: string;
}

const holders: readonly Holder[] = [
  {
    owner: 'supabase_storage_admin',
    mustBeThere: true,
    rows: `
      select version as id, case when jsonb_typeof(metadata -> 'size') = 'number' then (metadata ->> 'size')::numeric::bigint end as size_bytes,
        metadata ->> 'eTag' as etag, bucket_id || '/' || name as place
      from storage.objects where version is not null`,
  },
  {
    owner: 'millrace_admin',
    mustBeThere: true,
    rows: `
      select part.version as id, part.size_bytes, '"' || part.md5 || '"' as etag,
        'part ' || part.number || ' of the upload of ' || upload.bucket_id || '/' || upload.name as place
      from _millrace.resumable_parts as part join _millrace.resumable_uploads as upload on upload.version = part.upload`,
  },
  {
    owner: 'supabase_storage_admin',
    mustBeThere: true,
    rows: `
      select version as id, size as size_bytes, etag, 'part ' || part_number || ' of the upload of ' || bucket_id || '/' || key as place
      from storage.s3_multipart_uploads_parts`,
  },
  {
    owner: 'supabase_storage_admin',
    mustBeThere: false,
    rows: `select version as id, null::bigint as size_bytes, null as etag, 'about to be removed' as place from _millrace.blob_garbage`,
  },
  {
    owner: 'millrace_admin',
    mustBeThere: false,
    rows: `select '${markId}' as id, null::bigint as size_bytes, null as etag, 'whose store this is' as place from _millrace.blob_store`,
  },
];

/** Rows that one look brings: some ten megabytes. Without an index on versions each look reads the whole table, so it brings many. */
const pageSize = 50_000;

export interface Held extends HeldBlob {
  readonly mustBeThere: boolean;
}

/** Every blob that a row names, in the order of their ids' bytes; one that several rows name comes several times. */
export async function* listHeld(db: Pick<Db, 'asOwner'>, signal: AbortSignal): AsyncGenerator<Held> {
  const sources = holders.map((holder) => pagesOf(db, holder, signal));
  const heads = await Promise.all(sources.map((source) => source.next()));
  for (;;) {
    let least: number | undefined;
    for (const [index, head] of heads.entries()) {
      if (head.done) continue;
      const known = least === undefined ? undefined : heads[least];
      if (known === undefined || known.done || inByteOrder(head.value.id, known.value.id) < 0) least = index;
    }
    const found = least === undefined ? undefined : heads[least];
    if (least === undefined || found === undefined || found.done) return;
    yield found.value;
    heads[least] = await sources[least]!.next();
  }
}

async function* pagesOf(
  db: Pick<Db, 'asOwner'>,
  { owner, rows, mustBeThere }: Holder,
  signal: AbortSignal,
): AsyncGenerator<Held> {
  const text = `
    select * from (${rows}) as held where id collate "C" >= $1 collate "C" order by id collate "C" offset $2 limit ${pageSize}`;
  // Several rows may name one id: those of the last one that were given already are passed over.
  let from = '';
  let given = 0;
  for (;;) {
    signal.throwIfAborted();
    const page = await askOwner(db, owner, text, [from, given]);
    for (const row of page) {
      if (row.id === from) given += 1;
      else [from, given] = [row.id, 1];
      yield { ...row, mustBeThere };
    }
    if (page.length < pageSize) return;
  }
}

/** Which rows name one of `ids` now. */
export async function findHeld(db: Pick<Db, 'asOwner'>, ids: readonly string[]): Promise<readonly Held[]> {
  const found: Held[] = [];
  for (const { owner, rows, mustBeThere } of holders) {
    const text = `select * from (${rows}) as held where id = any ($1::text[])`;
    for (const row of await askOwner(db, owner, text, [ids])) found.push({ ...row, mustBeThere });
  }
  return found;
}

interface Row {
  readonly id: string;
  readonly size_bytes: string | null;
  readonly etag: string | null;
  readonly place: string;
}

async function askOwner(
  db: Pick<Db, 'asOwner'>,
  owner: LoginRole,
  text: string,
  params: readonly unknown[],
): Promise<readonly HeldBlob[]> {
  const { rows } = await db.asOwner(owner, (client) => client.query<Row>(text, [...params]));
  return rows.map(({ id, size_bytes: size, etag: eTag, place }) => ({
    id,
    sizeBytes: size === null ? null : Number(size),
    eTag,
    place,
  }));
}
