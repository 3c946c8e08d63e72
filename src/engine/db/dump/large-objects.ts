// In charge of: large objects on their way out and in: under their numbers, which columns hold, and with whose they are.
import type { Writable } from 'node:stream';
import type { Client } from 'pg';
import { ident } from '../ident.ts';
import { write } from './write.ts';

/** Bytes of one that are read, and written, at once. */
const chunkBytes = 1 << 20;

export interface LargeObject {
  readonly oid: string;
  /** What puts owner and rights as they are. */
  readonly ownership: readonly string[];
}

export async function listLargeObjects(client: Pick<Client, 'query'>): Promise<readonly LargeObject[]> {
  const { rows } = await client.query<{ oid: string; owner: string; grants: readonly string[] }>(listQuery);
  return rows.map(({ oid, owner, grants }) => ({
    oid,
    ownership: [`alter large object ${oid} owner to ${ident(owner)};`, ...grants],
  }));
}

/** Writes the large objects as statements, with their rights. */
export async function writeLargeObjects(client: Client, out: Writable): Promise<void> {
  const objects = await listLargeObjects(client);
  for (const { oid, ownership } of objects) {
    await write(out, `select pg_catalog.lo_create(${oid});\n${ownership.join('\n')}\n`);
    for await (const [at, bytes] of chunksOf(client, oid))
      await write(out, `select pg_catalog.lo_put(${oid}, ${at}, '\\x${bytes.toString('hex')}');\n`);
  }
  if (objects.length > 0) await write(out, '\n');
}

/** Copies one, each in a transaction. What is there under its number is made anew. */
export async function copyLargeObject(source: Client, target: Client, oid: string): Promise<void> {
  await target.query('begin');
  try {
    await target.query(
      'select pg_catalog.lo_unlink(oid) from pg_catalog.pg_largeobject_metadata where oid = $1',
      [oid],
    );
    await target.query('select pg_catalog.lo_create($1)', [oid]);
    for await (const [at, bytes] of chunksOf(source, oid))
      await target.query('select pg_catalog.lo_put($1, $2, $3)', [oid, at, bytes]);
    await target.query('commit');
  } catch (error) {
    await target.query('rollback').catch(() => {});
    throw error;
  }
}

async function* chunksOf(client: Client, oid: string): AsyncGenerator<readonly [at: number, bytes: Buffer]> {
  for (let at = 0; ; at += chunkBytes) {
    const { rows } = await client.query<{ bytes: Buffer }>('select pg_catalog.lo_get($1, $2, $3) as bytes', [
      oid,
      at,
      chunkBytes,
    ]);
    const { bytes } = rows[0]!;
    if (bytes.length === 0) return;
    yield [at, bytes];
  }
}

/** An owner has all rights unless some were taken: the list says which there are then. */
const listQuery = `
  select object.oid, owner.rolname as owner,
    array(
      select format('revoke all on large object %s from %s;', object.oid, quote_ident(owner.rolname)) where object.lomacl is not null
      union all
      select format('grant %s on large object %s to %s%s;', lower(given.privilege_type), object.oid,
        case given.grantee when 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(given.grantee)) end,
        case when given.is_grantable then ' with grant option' else '' end)
      from pg_catalog.aclexplode(object.lomacl) as given
    ) as grants
  from pg_catalog.pg_largeobject_metadata as object join pg_catalog.pg_roles as owner on owner.oid = object.lomowner
  order by object.oid`;
