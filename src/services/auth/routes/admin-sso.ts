// In charge of: the identity providers of a project for administrators: /admin/sso/providers. Source: supabase/auth internal/api/ssoadmin.go.
import { isDeepStrictEqual } from 'node:util';
import { errorCode, Fault } from '../../../base/errors.ts';
import { isUuid, requireAdmin } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, notFound, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { queryOf } from '../request.ts';
import { metadataOfParams, readProviderParams } from '../saml/provider-params.ts';
import {
  addDomains,
  deleteProvider,
  findProviderByDomain,
  findProviderByEntityId,
  findProviderById,
  findProviderByResourceId,
  insertProvider,
  listProviders,
  type ProviderFacts,
  providerJson,
  removeDomains,
  type SsoProvider,
  updateProvider,
} from '../saml/providers.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';

const resourcePrefix = 'resource_';
const noProvider = () => notFound('sso_provider_not_found', 'SSO Identity Provider not found');

/** By its number, or as `resource_<the name that the administrator gave it>`. @throws Fault 404 sso_provider_not_found */
async function findNamed({ auth, params }: Visit): Promise<SsoProvider> {
  const { idp_id: name = '' } = params;
  const isResource = name.startsWith(resourcePrefix);
  if (!isResource && !isUuid(name)) throw noProvider();
  const provider = await withTables(auth.db, (tx) =>
    isResource ? findProviderByResourceId(tx, name.slice(resourcePrefix.length)) : findProviderById(tx, name),
  );
  if (provider === undefined) throw noProvider();
  return provider;
}

export async function listSsoProviders(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  const filter = {
    resourceId: queryOf(visit, 'resource_id'),
    resourceIdPrefix: queryOf(visit, 'resource_id_prefix'),
  };
  const providers = await withTables(visit.auth.db, (tx) => listProviders(tx, filter));
  return json(200, { items: providers.map((one) => providerJson(one, 'listed')) });
}

export async function createSsoProvider(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  const { auth } = visit;
  const params = await readProviderParams(visit, 'new');
  refuseEmptyResourceId(params.resourceId);
  const { xml, entityId } = await metadataOfParams(visit, params);
  const known = () =>
    unprocessable(
      'saml_idp_already_exists',
      `SAML Identity Provider with this EntityID (${entityId}) already exists`,
    );
  const provider = await orConflict(known, () =>
    inTransaction(auth.db, async (tx) => {
      if (await findProviderByEntityId(tx, entityId)) throw known();
      for (const domain of params.domains ?? []) {
        const owner = await findProviderByDomain(tx, domain);
        if (owner)
          throw badRequest(
            'sso_domain_already_exists',
            `SSO Domain '${domain}' is already assigned to an SSO identity provider (${owner.id})`,
          );
      }
      const facts: ProviderFacts = {
        entityId,
        metadataXml: xml,
        metadataUrl: params.metadataUrl || null,
        attributeMapping: params.attributeMapping ?? {},
        nameIdFormat: params.nameIdFormat || null,
        resourceId: params.resourceId ?? null,
        disabled: params.disabled ?? null,
      };
      return reload(tx, await insertProvider(tx, facts, params.domains ?? [], auth.now()));
    }),
  );
  return json(201, providerJson(provider, 'whole'));
}

export async function getSsoProvider(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  return json(200, providerJson(await findNamed(visit), 'whole'));
}

export async function updateSsoProvider(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  const { auth } = visit;
  const found = await findNamed(visit);
  const params = await readProviderParams(visit, 'update');
  const hasMetadata = params.metadataXml !== '' || params.metadataUrl !== '';
  const fresh = hasMetadata ? await metadataOfParams(visit, params) : undefined;
  if (fresh && fresh.entityId !== found.entity_id)
    throw badRequest(
      'saml_entity_id_mismatch',
      `SAML Metadata can be updated only if the EntityID matches for the provider; expected '${found.entity_id}' but got '${fresh.entityId}'`,
    );
  const { resourceId, disabled, attributeMapping } = params;
  const facts: ProviderFacts = {
    entityId: found.entity_id,
    metadataXml: fresh?.xml ?? found.metadata_xml,
    metadataUrl: params.metadataUrl || found.metadata_url,
    // A mapping without keys says nothing.
    attributeMapping: (attributeMapping?.keys ? attributeMapping : found.attribute_mapping) ?? {},
    // Not said means none, as upstream.
    nameIdFormat: params.nameIdFormat || null,
    resourceId: resourceId === undefined ? found.resource_id : resourceId || null,
    disabled: disabled ?? found.disabled,
  };
  const conflict = () =>
    unprocessable('conflict', 'Updating SSO provider failed, likely due to a conflict. Try again?');
  const provider = await orConflict(conflict, () =>
    inTransaction(auth.db, async (tx) => {
      const { added, removed } = await domainChanges(tx, found, params.domains);
      if (added.length + removed.length > 0 || !isSame(found, facts)) {
        await updateProvider(tx, found.id, facts, auth.now());
        await removeDomains(tx, found.id, removed);
        await addDomains(tx, found.id, added, auth.now());
      }
      return reload(tx, found.id);
    }),
  );
  return json(200, providerJson(provider, 'whole'));
}

export async function deleteSsoProvider(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  const provider = await findNamed(visit);
  await withTables(visit.auth.db, (tx) => deleteProvider(tx, provider.id));
  return json(200, providerJson(provider, 'whole'));
}

/** Undefined: the request says nothing of domains. @throws Fault 400 sso_domain_already_exists */
async function domainChanges(
  tx: Tx,
  { id, domains }: SsoProvider,
  wanted: readonly string[] | undefined,
): Promise<{ readonly added: readonly string[]; readonly removed: readonly string[] }> {
  if (wanted === undefined) return { added: [], removed: [] };
  for (const domain of wanted) {
    const owner = await findProviderByDomain(tx, domain);
    if (owner && owner.id !== id)
      throw badRequest(
        'sso_domain_already_exists',
        `SSO domain '${domain}' already assigned to another provider (${owner.id})`,
      );
  }
  return {
    added: wanted.filter((domain) => !domains.includes(domain)),
    removed: domains.filter((domain) => !wanted.includes(domain)),
  };
}

const isSame = (found: SsoProvider, facts: ProviderFacts): boolean =>
  found.metadata_xml === facts.metadataXml &&
  found.metadata_url === facts.metadataUrl &&
  found.name_id_format === facts.nameIdFormat &&
  found.resource_id === facts.resourceId &&
  found.disabled === facts.disabled &&
  isDeepStrictEqual(found.attribute_mapping ?? {}, facts.attributeMapping);

function refuseEmptyResourceId(resourceId: string | undefined): void {
  if (resourceId === '') throw badRequest('validation_failed', 'resource_id must not be empty');
}

async function reload(tx: Tx, id: string): Promise<SsoProvider> {
  const provider = await findProviderById(tx, id);
  if (provider === undefined) throw noProvider();
  return provider;
}

/** unique_violation: somebody else was faster. */
async function orConflict<T>(conflict: () => Fault, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Fault) && errorCode(error) === '23505') throw conflict();
    throw error;
  }
}
