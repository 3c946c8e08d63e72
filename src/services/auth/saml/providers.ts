// In charge of: the identity providers of a project in their tables. Source: supabase/auth internal/models/sso.go.
import { randomUUID } from 'node:crypto';
import { goTime, type JsonObject, sorted } from '../go-json.ts';
import type { Tx } from '../transaction.ts';
import type { AttributeRule } from './assertion.ts';

export interface SsoProvider {
  readonly id: string;
  readonly resource_id: string | null;
  readonly disabled: boolean | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly entity_id: string;
  readonly metadata_xml: string;
  readonly metadata_url: string | null;
  readonly attribute_mapping: JsonObject | null;
  readonly name_id_format: string | null;
  readonly saml_updated_at: string;
  readonly domains: readonly string[];
}

export const isEnabled = ({ disabled }: SsoProvider): boolean => disabled !== true;

const select = `select p.id, p.resource_id, p.disabled, p.created_at, p.updated_at, s.entity_id, s.metadata_xml, s.metadata_url,
    s.attribute_mapping, s.name_id_format, s.updated_at as saml_updated_at,
    coalesce((select json_agg(d.domain order by d.created_at, d.domain) from auth.sso_domains d where d.sso_provider_id = p.id), '[]') as domains
  from auth.sso_providers p join auth.saml_providers s on s.sso_provider_id = p.id`;

export const findProviderById = (tx: Tx, id: string) => first(tx, 'p.id = $1', id);

export const findProviderByResourceId = (tx: Tx, id: string) => first(tx, 'p.resource_id = $1', id);

export const findProviderByEntityId = (tx: Tx, id: string) => first(tx, 's.entity_id = $1', id);

/** Whatever its case: two that differ in nothing else cannot be told apart by people. */
export const findProviderByDomain = (tx: Tx, domain: string) =>
  first(
    tx,
    'p.id = (select sso_provider_id from auth.sso_domains where lower(domain) = lower($1) limit 1)',
    domain,
  );

async function first(tx: Tx, where: string, value: string): Promise<SsoProvider | undefined> {
  const { rows } = await tx.query<SsoProvider>(`${select} where ${where} limit 1`, [value]);
  return rows[0];
}

export async function listProviders(
  tx: Tx,
  filter: { readonly resourceId: string; readonly resourceIdPrefix: string },
): Promise<readonly SsoProvider[]> {
  const { rows } = await tx.query<SsoProvider>(
    `${select} where ($1 = '' or p.resource_id = $1) and ($1 <> '' or $2 = '' or starts_with(p.resource_id, $2))
     order by p.created_at, p.id`,
    [filter.resourceId, filter.resourceIdPrefix],
  );
  return rows;
}

/** What an administrator says of a provider. */
export interface ProviderFacts {
  readonly entityId: string;
  readonly metadataXml: string;
  readonly metadataUrl: string | null;
  readonly attributeMapping: JsonObject;
  readonly nameIdFormat: string | null;
  readonly resourceId: string | null;
  readonly disabled: boolean | null;
}

export async function insertProvider(
  tx: Tx,
  facts: ProviderFacts,
  domains: readonly string[],
  nowMs: number,
): Promise<string> {
  const id = randomUUID();
  const at = new Date(nowMs).toISOString();
  await tx.query(
    'insert into auth.sso_providers (id, resource_id, disabled, created_at, updated_at) values ($1, $2, $3, $4, $4)',
    [id, facts.resourceId, facts.disabled, at],
  );
  await tx.query(
    `insert into auth.saml_providers (id, sso_provider_id, entity_id, metadata_xml, metadata_url, attribute_mapping, name_id_format,
       created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $8)`,
    [
      randomUUID(),
      id,
      facts.entityId,
      facts.metadataXml,
      facts.metadataUrl,
      JSON.stringify(facts.attributeMapping),
      facts.nameIdFormat,
      at,
    ],
  );
  await addDomains(tx, id, domains, nowMs);
  return id;
}

export async function updateProvider(tx: Tx, id: string, facts: ProviderFacts, nowMs: number): Promise<void> {
  const at = new Date(nowMs).toISOString();
  await tx.query(
    'update auth.sso_providers set resource_id = $2, disabled = $3, updated_at = $4 where id = $1',
    [id, facts.resourceId, facts.disabled, at],
  );
  await tx.query(
    `update auth.saml_providers set metadata_xml = $2, metadata_url = $3, attribute_mapping = $4, name_id_format = $5,
       updated_at = $6 where sso_provider_id = $1`,
    [
      id,
      facts.metadataXml,
      facts.metadataUrl,
      JSON.stringify(facts.attributeMapping),
      facts.nameIdFormat,
      at,
    ],
  );
}

export async function updateMetadataXml(tx: Tx, id: string, xml: string, nowMs: number): Promise<void> {
  await tx.query(
    'update auth.saml_providers set metadata_xml = $2, updated_at = $3 where sso_provider_id = $1',
    [id, xml, new Date(nowMs).toISOString()],
  );
}

export async function addDomains(
  tx: Tx,
  id: string,
  domains: readonly string[],
  nowMs: number,
): Promise<void> {
  for (const domain of domains)
    await tx.query(
      'insert into auth.sso_domains (id, sso_provider_id, domain, created_at, updated_at) values ($1, $2, $3, $4, $4)',
      [randomUUID(), id, domain, new Date(nowMs).toISOString()],
    );
}

export async function removeDomains(tx: Tx, id: string, domains: readonly string[]): Promise<void> {
  await tx.query('delete from auth.sso_domains where sso_provider_id = $1 and domain = any($2)', [
    id,
    domains,
  ]);
}

export async function deleteProvider(tx: Tx, id: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from auth.sso_providers where id = $1', [id]);
  return rowCount === 1;
}

/** The rules of a mapping; what is no rule is none. */
export function rulesOf(mapping: JsonObject | null): ReadonlyMap<string, AttributeRule> {
  const keys = mapping?.keys;
  if (typeof keys !== 'object' || keys === null) return new Map();
  return new Map(
    Object.entries(keys).flatMap(([key, rule]) => {
      if (typeof rule !== 'object' || rule === null) return [];
      const { name, names, array } = rule as JsonObject;
      const facts: AttributeRule = {
        name: typeof name === 'string' ? name : '',
        names: Array.isArray(names) ? names.filter((one) => typeof one === 'string') : [],
        default: (rule as JsonObject).default,
        array: array === true,
      };
      return [[key, facts] as const];
    }),
  );
}

/** As clients see it; lists leave the metadata out, which is long. */
export function providerJson(provider: SsoProvider, how: 'whole' | 'listed'): JsonObject {
  return {
    id: provider.id,
    resource_id: provider.resource_id ?? undefined,
    disabled: provider.disabled,
    saml: {
      entity_id: provider.entity_id,
      metadata_xml: how === 'whole' ? provider.metadata_xml : undefined,
      metadata_url: provider.metadata_url ?? undefined,
      attribute_mapping: sorted(provider.attribute_mapping ?? {}),
      name_id_format: provider.name_id_format ?? undefined,
    },
    domains: provider.domains.map((domain) => ({ domain })),
    created_at: goTime(provider.created_at),
    updated_at: goTime(provider.updated_at),
  };
}
