// In charge of: the table of providers that administrators set up. Their secrets are not in it: they are wrapped, beside the other secrets.
// Source: supabase/auth internal/models/custom_oauth_provider.go, migrations/20260219120000_add_custom_oauth_providers.up.sql.
import type { Db } from '../../../../engine/db/db.ts';
import { goTime, type JsonObject } from '../../go-json.ts';
import { type Tx, withTables } from '../../transaction.ts';

export interface CustomRow {
  readonly id: string;
  readonly provider_type: 'oauth2' | 'oidc';
  readonly identifier: string;
  readonly name: string;
  readonly client_id: string;
  /** Empty: it is wrapped. Otherwise as somebody brought it along from upstream, in plain text or in upstream's own wrapping. */
  readonly client_secret: string;
  readonly acceptable_client_ids: readonly string[];
  readonly scopes: readonly string[];
  readonly pkce_enabled: boolean;
  readonly attribute_mapping: JsonObject;
  readonly custom_claims_allowlist: readonly string[];
  readonly authorization_params: JsonObject;
  readonly enabled: boolean;
  readonly email_optional: boolean;
  readonly issuer: string | null;
  readonly discovery_url: string | null;
  readonly skip_nonce_check: boolean;
  readonly cached_discovery: JsonObject | null;
  readonly authorization_url: string | null;
  readonly token_url: string | null;
  readonly userinfo_url: string | null;
  readonly jwks_uri: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

const lists = ['acceptable_client_ids', 'scopes', 'custom_claims_allowlist'] as const;
const objects = ['attribute_mapping', 'authorization_params', 'cached_discovery'] as const;
const plain = [
  'id',
  'provider_type',
  'identifier',
  'name',
  'client_id',
  'client_secret',
  'pkce_enabled',
  'enabled',
  'email_optional',
  'issuer',
  'discovery_url',
  'skip_nonce_check',
  'authorization_url',
  'token_url',
  'userinfo_url',
  'jwks_uri',
] as const;

// Lists as JSON, because a session of auth's reads arrays as text.
const columns = [
  ...plain,
  ...objects,
  ...lists.map((name) => `to_jsonb(${name}) as ${name}`),
  'created_at',
  'updated_at',
].join(', ');

export async function findRow(tx: Tx, identifier: string): Promise<CustomRow | undefined> {
  const { rows } = await tx.query<CustomRow>(
    `select ${columns} from auth.custom_oauth_providers where identifier = $1`,
    [identifier],
  );
  return rows[0];
}

export const findCustomRow = (db: Pick<Db, 'asOwner'>, identifier: string) =>
  withTables(db, (tx) => findRow(tx, identifier));

export async function listRows(tx: Tx, type: string): Promise<readonly CustomRow[]> {
  const { rows } = await tx.query<CustomRow>(
    `select ${columns} from auth.custom_oauth_providers where $1 = '' or provider_type = $1 order by created_at desc, id`,
    [type],
  );
  return rows;
}

export async function countRows(tx: Tx): Promise<number> {
  const { rows } = await tx.query<{ readonly count: number }>(
    'select count(*)::int as count from auth.custom_oauth_providers',
  );
  return rows[0]?.count ?? 0;
}

export type NewRow = Omit<CustomRow, 'created_at' | 'updated_at'>;

/** Undefined: there is one of this name. */
export async function insertRow(tx: Tx, row: NewRow, nowMs: number): Promise<CustomRow | undefined> {
  const { names, values, places } = written(row, 2);
  const { rows } = await tx.query<CustomRow>(
    `insert into auth.custom_oauth_providers (created_at, updated_at, discovery_cached_at, ${names.join(', ')})
     values ($1, $1, ${row.cached_discovery ? '$1' : 'null'}, ${places.join(', ')})
     on conflict (identifier) do nothing returning ${columns}`,
    [new Date(nowMs).toISOString(), ...values],
  );
  return rows[0];
}

/** Undefined: it is gone. */
export async function updateRow(tx: Tx, row: NewRow, nowMs: number): Promise<CustomRow | undefined> {
  const { names, values, places } = written(row, 3);
  const sets = names.map((name, at) => `${name} = ${places[at]}`);
  const { rows } = await tx.query<CustomRow>(
    `update auth.custom_oauth_providers set updated_at = $2, ${sets.join(', ')} where id = $1 returning ${columns}`,
    [row.id, new Date(nowMs).toISOString(), ...values],
  );
  return rows[0];
}

/** The id of the one that is gone now; undefined: there was none. */
export async function deleteRow(
  tx: Tx,
  identifier: string,
): Promise<Pick<CustomRow, 'id' | 'issuer'> | undefined> {
  const { rows } = await tx.query<Pick<CustomRow, 'id' | 'issuer'>>(
    'delete from auth.custom_oauth_providers where identifier = $1 returning id, issuer',
    [identifier],
  );
  return rows[0];
}

/** Names are those of the tables above, never a client's. */
function written(row: NewRow, first: number) {
  const names = [...plain, ...objects, ...lists];
  const values = names.map((name) => {
    const value = row[name];
    if (value === null) return null;
    return (objects as readonly string[]).includes(name) ? JSON.stringify(value) : value;
  });
  return { names, values, places: names.map((_, at) => `$${at + first}`) };
}

/** As upstream's API shows it: without the secret. */
export function customJson(row: CustomRow): JsonObject {
  const { client_secret: _, cached_discovery: discovery, created_at, updated_at, ...shown } = row;
  const given = Object.entries(shown).filter(([, value]) => value !== null);
  return {
    ...Object.fromEntries(given),
    discovery_document: discovery ?? undefined,
    created_at: goTime(created_at),
    updated_at: goTime(updated_at),
  };
}
