// In charge of: the table storage.objects, a row at a time. Source: supabase/storage src/storage/database/pg.ts.
import type { Db, Work } from '../../engine/db/db.ts';
import { askCount, askRows, isoTime, type Question, uuidOrNull } from './ask.ts';
import type { Asking } from './context.ts';
import { noSuchKey } from './errors.ts';

/** The column `metadata`: what upstream's backends say of the bytes. */
export interface ObjectMetadata {
  readonly eTag?: string;
  readonly size?: number;
  readonly mimetype?: string;
  readonly cacheControl?: string;
  readonly lastModified?: string;
  readonly contentLength?: number;
  readonly httpStatusCode?: number;
  readonly xRobotsTag?: string;
}

export interface ObjectRow {
  readonly id: string;
  readonly name: string;
  readonly bucket_id: string;
  readonly owner: string | null;
  readonly owner_id: string | null;
  readonly version: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly last_accessed_at: string;
  readonly metadata: ObjectMetadata | null;
  readonly user_metadata: Readonly<Record<string, unknown>> | null;
}

type AsOne = Pick<Db, 'as'>;

export const objectColumns = `id, name, bucket_id, owner, owner_id, version, ${isoTime('created_at')}, ${isoTime('updated_at')}, ${isoTime('last_accessed_at')}, metadata, user_metadata`;

export async function findObject(
  db: AsOne,
  asking: Asking,
  bucket: string,
  name: string,
): Promise<ObjectRow | undefined> {
  const text = `select ${objectColumns} from storage.objects where bucket_id = $1 and name = $2`;
  const [found] = await askRows<ObjectRow>(db, asking, { text, params: [bucket, name] });
  return found;
}

/** @throws NoSuchKey, also for one that the caller may not see */
export async function loadObject(
  db: AsOne,
  asking: Asking,
  bucket: string,
  name: string,
): Promise<ObjectRow> {
  const found = await findObject(db, asking, bucket, name);
  if (found === undefined) throw noSuchKey();
  return found;
}

/** Which of the names the caller sees. */
export async function findNames(
  db: AsOne,
  asking: Asking,
  bucket: string,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  const text = `
    select name from storage.objects
    where bucket_id = $1 and name = any (array(select jsonb_array_elements_text($2::jsonb)))`;
  const rows = await askRows<{ name: string }>(db, asking, { text, params: [bucket, JSON.stringify(names)] });
  return new Set(rows.map(({ name }) => name));
}

export interface NewObject {
  readonly id: string;
  readonly bucket: string;
  readonly name: string;
  readonly owner: string | undefined;
  readonly version: string;
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
  readonly userMetadata: Readonly<Record<string, unknown>> | undefined;
}

function insertQuestion(object: NewObject, tail: string): Question {
  return {
    text: `
      insert into storage.objects (id, bucket_id, name, owner, owner_id, version, metadata, user_metadata)
      values ($1::uuid, $2, $3, $4::uuid, $5, $6, $7::jsonb, $8::jsonb) ${tail}`,
    params: [
      object.id,
      object.bucket,
      object.name,
      uuidOrNull(object.owner),
      object.owner ?? null,
      object.version,
      object.metadata === undefined ? null : JSON.stringify(object.metadata),
      object.userMetadata === undefined ? null : JSON.stringify(object.userMetadata),
    ],
  };
}

/** A new row. Nothing is given back, so that whoever may insert and not select may upload. @throws 23505 where there is one */
export async function insertObject(
  db: AsOne,
  asking: Asking,
  object: NewObject,
  options: Pick<Work, 'end'> = {},
): Promise<string> {
  await askCount(db, asking, insertQuestion(object, ''), options);
  return object.id;
}

/** A new row, or a new version in the one that is there; its id. */
export async function upsertObject(
  db: AsOne,
  asking: Asking,
  object: NewObject,
  options: Pick<Work, 'end'> = {},
): Promise<string> {
  const set = [
    'metadata',
    'user_metadata',
    'version',
    ...(object.owner === undefined ? [] : ['owner', 'owner_id']),
  ]
    .map((column) => `${column} = excluded.${column}`)
    .join(', ');
  const question = insertQuestion(object, `on conflict (bucket_id, name) do update set ${set} returning id`);
  const [row] = await askRows<{ id: string }>(db, asking, question, options);
  return row?.id ?? object.id;
}

/** Whether there was one that the caller may delete. */
export async function deleteObject(
  db: AsOne,
  asking: Asking,
  bucket: string,
  name: string,
): Promise<boolean> {
  const text = 'delete from storage.objects where bucket_id = $1 and name = $2';
  return (await askCount(db, asking, { text, params: [bucket, name] })) > 0;
}

/** Those of the names that the caller may delete are deleted, and given back. */
export async function deleteObjects(
  db: AsOne,
  asking: Asking,
  bucket: string,
  names: readonly string[],
): Promise<readonly ObjectRow[]> {
  const text = `
    delete from storage.objects
    where bucket_id = $1 and name = any (array(select jsonb_array_elements_text($2::jsonb))) returning ${objectColumns}`;
  return askRows<ObjectRow>(db, asking, { text, params: [bucket, JSON.stringify(names)] });
}

/**
 * The row gets another name; its bytes stay where they are, unless `bytes` says what they are now and what they shall be.
 * @throws NoSuchKey where the caller may not, or the bytes are others by now; 23505 where the name is taken
 */
export async function renameObject(
  db: AsOne,
  asking: Asking,
  from: { readonly bucket: string; readonly name: string },
  to: { readonly bucket: string; readonly name: string; readonly owner: string | undefined },
  bytes?: { readonly from: string; readonly to: string },
): Promise<ObjectRow> {
  const params: (string | null)[] = [from.bucket, from.name, to.bucket, to.name];
  const put = (value: string | null) => `$${params.push(value)}`;
  const owned =
    to.owner === undefined ? '' : `, owner = ${put(uuidOrNull(to.owner))}::uuid, owner_id = ${put(to.owner)}`;
  const anew = bytes === undefined ? '' : `, version = ${put(bytes.to)}`;
  const still = bytes === undefined ? '' : ` and version = ${put(bytes.from)}`;
  const text = `
    update storage.objects set bucket_id = $3, name = $4${owned}${anew}
    where bucket_id = $1 and name = $2${still} returning ${objectColumns}`;
  const [row] = await askRows<ObjectRow>(db, asking, { text, params });
  if (row === undefined) throw noSuchKey();
  return row;
}
