// In charge of: /admin/custom-providers: providers that administrators set up: listed, made, read, changed, deleted.
// Source: supabase/auth internal/api/custom_oauth_admin.go.
import { randomUUID } from 'node:crypto';
import { requireAdmin } from '../authenticate.ts';
import type { Answer, Handle, Visit } from '../context.ts';
import { badRequest, notFound } from '../errors.ts';
import { json } from '../go-json.ts';
import { orFailure } from '../new-user.ts';
import { withOpenid } from '../oauth/providers/custom.ts';
import {
  type CustomParams,
  checkClaims,
  checkMapping,
  checkParams,
  checkRequired,
  checkUrl,
  customShape,
  discovered,
  type ProviderType,
  urlsOf,
} from '../oauth/providers/custom-params.ts';
import {
  type CustomRow,
  countRows,
  customJson,
  deleteRow,
  findRow,
  insertRow,
  listRows,
  type NewRow,
  updateRow,
} from '../oauth/providers/custom-rows.ts';
import { queryOf, readParams } from '../request.ts';
import { inTransaction, withTables } from '../transaction.ts';

/** Administrators only, and only where they may. */
function guarded(handle: (visit: Visit) => Promise<Answer>): Handle {
  return async (visit) => {
    await requireAdmin(visit);
    if (!visit.config.customOauthEnabled)
      throw notFound('feature_disabled', 'Custom OAuth providers are disabled');
    return handle(visit);
  };
}

const refuse = (message: string) => badRequest('validation_failed', message);
const unknown = () => notFound('custom_provider_not_found', 'Custom OAuth provider not found');

export const listCustomProviders = guarded(async (visit) => {
  const type = queryOf(visit, 'type');
  if (type !== '' && !isType(type)) throw refuse("type must be either 'oauth2' or 'oidc'");
  const rows = await orFailure('Error retrieving custom OAuth providers', () =>
    withTables(visit.auth.db, (tx) => listRows(tx, type)),
  );
  return json(200, { providers: rows.map(customJson) });
});

export const getCustomProvider = guarded(async (visit) => json(200, customJson(await rowOfPath(visit))));

export const createCustomProvider = guarded(async (visit) => {
  const { auth, config, request } = visit;
  const params = await readParams(request, 'AdminCustomOAuthProviderParams', customShape);
  const type = params.provider_type;
  if (!isType(type)) throw refuse("provider_type must be either 'oauth2' or 'oidc'");
  checkRequired(params, type);
  checkParams(params.authorization_params ?? {});
  checkMapping(params.attribute_mapping ?? {});
  checkClaims(params.custom_claims_allowlist ?? []);
  const known = await orFailure('Error checking for existing provider', () =>
    withTables(auth.db, async (tx) => ({
      count: await countRows(tx),
      row: await findRow(tx, params.identifier),
    })),
  );
  const max = config.customOauthMaxProviders;
  if (max > 0 && known.count >= max) throw overQuota();
  for (const url of urlsOf(params, type)) await checkUrl(auth.egress, url);
  if (known.row !== undefined) throw conflict();
  const row = newRow(params, type);
  const complete = row.provider_type === 'oidc' ? await discovered(auth, row) : row;
  // Before the row, so that there is none without its secret.
  await auth.providerSecrets.put(row.id, params.client_secret);
  try {
    const made = await orFailure('Error creating custom OAuth provider', () =>
      inTransaction(auth.db, async (tx) => {
        if (max > 0) {
          // One after the other, so that two at once do not both take the last place.
          await tx.query('lock table auth.custom_oauth_providers in share row exclusive mode');
          if ((await countRows(tx)) >= max) throw overQuota();
        }
        const inserted = await insertRow(tx, complete, auth.now());
        if (inserted === undefined) throw conflict();
        return inserted;
      }),
    );
    return json(201, customJson(made));
  } catch (error) {
    await auth.providerSecrets.remove(row.id);
    throw error;
  }
});

export const updateCustomProvider = guarded(async (visit) => {
  const { auth, request } = visit;
  identifierOf(visit);
  const params = await readParams(request, 'AdminCustomOAuthProviderParams', customShape);
  if (params.authorization_params) checkParams(params.authorization_params);
  if (params.attribute_mapping) checkMapping(params.attribute_mapping);
  if (params.custom_claims_allowlist) checkClaims(params.custom_claims_allowlist);
  const before = await rowOfPath(visit);
  const changed = await changedRow(visit, before, params);
  const isMoved = params.issuer !== '' || params.discovery_url !== undefined;
  const next = before.provider_type === 'oidc' && isMoved ? await discovered(auth, changed) : changed;
  if (params.client_secret !== '') await auth.providerSecrets.put(before.id, params.client_secret);
  const row = params.client_secret === '' ? next : { ...next, client_secret: '' };
  const updated = await orFailure('Error updating custom OAuth provider', () =>
    inTransaction(auth.db, (tx) => updateRow(tx, row, auth.now())),
  );
  if (updated === undefined) {
    await auth.providerSecrets.remove(before.id);
    throw unknown();
  }
  if (before.issuer !== null) auth.idTokens.forget(before.issuer);
  return json(200, customJson(updated));
});

export const deleteCustomProvider = guarded(async (visit) => {
  const { auth } = visit;
  const identifier = identifierOf(visit);
  const gone = await orFailure('Error deleting custom OAuth provider', () =>
    inTransaction(auth.db, (tx) => deleteRow(tx, identifier)),
  );
  if (gone === undefined) throw unknown();
  await auth.providerSecrets.remove(gone.id);
  if (gone.issuer !== null) auth.idTokens.forget(gone.issuer);
  return { status: 204, headers: [], body: null };
});

const isType = (type: string): type is ProviderType => type === 'oauth2' || type === 'oidc';
const conflict = () => badRequest('conflict', 'A custom OAuth provider with this identifier already exists');
const overQuota = () =>
  badRequest('over_custom_provider_quota', 'Maximum number of custom OAuth/OIDC providers reached');

/** @throws Fault 400 validation_failed */
function identifierOf({ params: { identifier = '' } }: Visit): string {
  if (identifier === '') throw refuse('identifier is required');
  if (!identifier.startsWith('custom:'))
    throw refuse(`identifier must start with 'custom:' prefix, e.g. 'custom:${identifier}'`);
  return identifier;
}

async function rowOfPath(visit: Visit): Promise<CustomRow> {
  const identifier = identifierOf(visit);
  const row = await orFailure('Error retrieving custom OAuth provider', () =>
    withTables(visit.auth.db, (tx) => findRow(tx, identifier)),
  );
  if (row === undefined) throw unknown();
  return row;
}

function newRow(params: CustomParams, type: ProviderType): NewRow {
  const isOidc = type === 'oidc';
  const scopes = params.scopes ?? [];
  return {
    id: randomUUID(),
    provider_type: type,
    identifier: params.identifier,
    name: params.name,
    client_id: params.client_id,
    client_secret: '',
    acceptable_client_ids: params.acceptable_client_ids ?? [],
    scopes: isOidc ? withOpenid(scopes) : scopes,
    pkce_enabled: params.pkce_enabled ?? true,
    attribute_mapping: params.attribute_mapping ?? {},
    custom_claims_allowlist: params.custom_claims_allowlist ?? [],
    authorization_params: params.authorization_params ?? {},
    enabled: params.enabled ?? true,
    email_optional: params.email_optional ?? false,
    issuer: isOidc ? params.issuer : null,
    discovery_url: isOidc ? (params.discovery_url ?? null) : null,
    skip_nonce_check: isOidc && (params.skip_nonce_check ?? false),
    cached_discovery: null,
    authorization_url: isOidc ? null : params.authorization_url,
    token_url: isOidc ? null : params.token_url,
    userinfo_url: isOidc ? null : params.userinfo_url,
    jwks_uri: isOidc ? null : (params.jwks_uri ?? null),
  };
}

/** What is not given stays. @throws Fault 400 validation_failed for an address that may not be asked */
async function changedRow({ auth }: Visit, row: CustomRow, params: CustomParams): Promise<NewRow> {
  const isOidc = row.provider_type === 'oidc';
  const url = async (given: string | undefined, present: string | null) => {
    if (given === undefined || given === '') return present;
    await checkUrl(auth.egress, given);
    return given;
  };
  const { created_at: _, updated_at: __, ...kept } = row;
  const common = {
    ...kept,
    name: params.name || row.name,
    client_id: params.client_id || row.client_id,
    acceptable_client_ids: params.acceptable_client_ids ?? row.acceptable_client_ids,
    scopes: params.scopes ? (isOidc ? withOpenid(params.scopes) : params.scopes) : row.scopes,
    pkce_enabled: params.pkce_enabled ?? row.pkce_enabled,
    attribute_mapping: params.attribute_mapping ?? row.attribute_mapping,
    custom_claims_allowlist: params.custom_claims_allowlist ?? row.custom_claims_allowlist,
    authorization_params: params.authorization_params ?? row.authorization_params,
    enabled: params.enabled ?? row.enabled,
    email_optional: params.email_optional ?? row.email_optional,
  };
  if (isOidc)
    return {
      ...common,
      issuer: await url(params.issuer, row.issuer),
      discovery_url: await url(params.discovery_url, row.discovery_url),
      skip_nonce_check: params.skip_nonce_check ?? row.skip_nonce_check,
    };
  return {
    ...common,
    authorization_url: await url(params.authorization_url, row.authorization_url),
    token_url: await url(params.token_url, row.token_url),
    userinfo_url: await url(params.userinfo_url, row.userinfo_url),
    jwks_uri: await url(params.jwks_uri, row.jwks_uri),
  };
}
