// In charge of: applications that may have users sign in: rows of auth.oauth_clients, and their secrets.
// Source: supabase/auth internal/models/oauth_client.go, internal/api/oauthserver/service.go.
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { goTime, type JsonObject } from '../go-json.ts';
import type { Tx } from '../transaction.ts';

export type ClientType = 'public' | 'confidential';
export const authMethods = ['none', 'client_secret_basic', 'client_secret_post'] as const;
export type AuthMethod = (typeof authMethods)[number];

export interface Client {
  readonly id: string;
  readonly client_secret_hash: string | null;
  readonly registration_type: 'dynamic' | 'manual';
  readonly client_type: ClientType;
  readonly token_endpoint_auth_method: AuthMethod;
  /** With commas between them. */
  readonly redirect_uris: string;
  readonly grant_types: string;
  readonly client_name: string | null;
  readonly client_uri: string | null;
  readonly logo_uri: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** What an administrator, or the application itself, says of one. */
export interface ClientFacts {
  readonly registrationType: Client['registration_type'];
  readonly clientType: ClientType;
  readonly authMethod: AuthMethod;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly string[];
  readonly name: string;
  readonly uri: string;
  readonly logoUri: string;
}

export type ClientChanges = Partial<
  Pick<ClientFacts, 'authMethod' | 'redirectUris' | 'grantTypes' | 'name' | 'uri' | 'logoUri'>
>;

export const redirectUrisOf = ({ redirect_uris }: Client): readonly string[] => listOf(redirect_uris);
export const grantTypesOf = ({ grant_types }: Client): readonly string[] => listOf(grant_types);
const listOf = (text: string) => (text === '' ? [] : text.split(','));

const secretBytes = 32;
const hash = (secret: string) => createHash('sha256').update(secret).digest();

/** Only its digest is kept: 256 random bits need no slow hash. */
export const newSecret = () => randomBytes(secretBytes).toString('base64url');
const keptForm = (secret: string) => hash(secret).toString('base64url');

export function isSecretOf({ client_secret_hash: kept }: Client, secret: string): boolean {
  const [given, expected] = [hash(secret), Buffer.from(kept ?? '', 'base64url')];
  return expected.length === given.length && timingSafeEqual(given, expected);
}

export async function findClient(tx: Tx, id: string): Promise<Client | undefined> {
  const { rows } = await tx.query<Client>(
    'select * from auth.oauth_clients where id = $1 and deleted_at is null',
    [id],
  );
  return rows[0];
}

/** The newest first. */
export async function listClients(tx: Tx, limit: number): Promise<readonly Client[]> {
  const { rows } = await tx.query<Client>(
    'select * from auth.oauth_clients where deleted_at is null order by created_at desc, id limit $1',
    [limit],
  );
  return rows;
}

export async function insertClient(
  tx: Tx,
  facts: ClientFacts,
  secret: string | undefined,
  nowMs: number,
): Promise<Client> {
  const { rows } = await tx.query<Client>(
    `insert into auth.oauth_clients (id, client_secret_hash, registration_type, client_type, token_endpoint_auth_method, redirect_uris,
       grant_types, client_name, client_uri, logo_uri, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), nullif($9, ''), nullif($10, ''), $11, $11) returning *`,
    [
      randomUUID(),
      secret === undefined ? null : keptForm(secret),
      facts.registrationType,
      facts.clientType,
      facts.authMethod,
      facts.redirectUris.join(','),
      facts.grantTypes.join(','),
      facts.name,
      facts.uri,
      facts.logoUri,
      new Date(nowMs).toISOString(),
    ],
  );
  return one(rows);
}

/** Members that are not named stay as they are; an empty text takes one away. Undefined: it is gone. */
export async function updateClient(
  tx: Tx,
  id: string,
  changes: ClientChanges,
  nowMs: number,
): Promise<Client | undefined> {
  const { rows } = await tx.query<Client>(
    `update auth.oauth_clients set redirect_uris = coalesce($2, redirect_uris), grant_types = coalesce($3, grant_types),
       client_name = nullif(coalesce($4, client_name), ''), client_uri = nullif(coalesce($5, client_uri), ''),
       logo_uri = nullif(coalesce($6, logo_uri), ''), token_endpoint_auth_method = coalesce($7, token_endpoint_auth_method), updated_at = $8
     where id = $1 and deleted_at is null returning *`,
    [
      id,
      changes.redirectUris?.join(',') ?? null,
      changes.grantTypes?.join(',') ?? null,
      changes.name ?? null,
      changes.uri ?? null,
      changes.logoUri ?? null,
      changes.authMethod ?? null,
      new Date(nowMs).toISOString(),
    ],
  );
  return rows[0];
}

/** The secret before it is worth nothing from then on. */
export async function replaceSecret(
  tx: Tx,
  id: string,
  secret: string,
  nowMs: number,
): Promise<Client | undefined> {
  const { rows } = await tx.query<Client>(
    'update auth.oauth_clients set client_secret_hash = $2, updated_at = $3 where id = $1 and deleted_at is null returning *',
    [id, keptForm(secret), new Date(nowMs).toISOString()],
  );
  return rows[0];
}

/** The row stays, as upstream keeps it. */
export async function deleteClient(tx: Tx, id: string, nowMs: number): Promise<void> {
  await tx.query(
    'update auth.oauth_clients set deleted_at = $2, updated_at = $2 where id = $1 and deleted_at is null',
    [id, new Date(nowMs).toISOString()],
  );
}

/** The secret is shown where it was made, and nowhere else. */
export function clientJson(client: Client, secret?: string): JsonObject {
  const [redirectUris, grantTypes] = [redirectUrisOf(client), grantTypesOf(client)];
  return {
    client_id: client.id,
    client_secret: secret,
    client_type: client.client_type,
    redirect_uris: redirectUris.length === 0 ? undefined : redirectUris,
    token_endpoint_auth_method: client.token_endpoint_auth_method || undefined,
    grant_types: grantTypes.length === 0 ? undefined : grantTypes,
    response_types: ['code'],
    ...namesJson(client, 'client_name', 'client_uri'),
    registration_type: client.registration_type,
    created_at: goTime(client.created_at),
    updated_at: goTime(client.updated_at),
  };
}

/** What a user is shown of one. Source: `ClientDetailsResponse`. */
export const clientDetails = (client: Client): JsonObject => ({
  id: client.id,
  ...namesJson(client, 'name', 'uri'),
});

const namesJson = ({ client_name, client_uri, logo_uri }: Client, name: string, uri: string) => ({
  [name]: client_name || undefined,
  [uri]: client_uri || undefined,
  logo_uri: logo_uri || undefined,
});

function one<T>([row]: readonly T[]): T {
  if (row === undefined) throw new Error('the insert gave no row');
  return row;
}
