// In charge of: what an administrator says of an identity provider, read from a request. Source: supabase/auth internal/api/ssoadmin.go.
import type { Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import type { JsonObject } from '../go-json.ts';
import { wrongType } from '../go-json-error.ts';
import { badJson, readParams } from '../request.ts';
import { fetchMetadata } from './fresh-metadata.ts';
import { parseIdpMetadata } from './idp-metadata.ts';

/** Undefined: the request does not say. */
export interface ProviderParams {
  readonly type: string;
  readonly metadataUrl: string;
  readonly metadataXml: string;
  readonly domains: readonly string[] | undefined;
  readonly attributeMapping: JsonObject | undefined;
  readonly nameIdFormat: string;
  readonly resourceId: string | undefined;
  readonly disabled: boolean | undefined;
}

const nameIdFormats = [
  'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
  'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
];
const maxDomains = 1000;

/** @throws Fault 400 bad_json, validation_failed */
export async function readProviderParams(visit: Visit, how: 'new' | 'update'): Promise<ProviderParams> {
  const found = await readParams(visit.request, 'CreateSSOProviderParams', {
    type: 'text',
    metadata_url: 'text',
    metadata_xml: 'text',
    domains: 'texts',
    attribute_mapping: 'object',
    name_id_format: 'text',
    resource_id: 'optional_text',
    disabled: 'optional_flag',
  });
  const wrong = (message: string) => badRequest('validation_failed', message);
  const { metadata_url: url, metadata_xml: xml } = found;
  if (how === 'new' && found.type !== 'saml') throw wrong("Only 'saml' supported for SSO provider type");
  if (url !== '' && xml !== '') throw wrong('Only one of metadata_xml or metadata_url needs to be set');
  if (how === 'new' && url === '' && xml === '')
    throw wrong('Either metadata_xml or metadata_url must be set');
  if (url !== '' && !URL.canParse(url)) throw wrong('metadata_url is not a valid URL');
  if (url !== '' && new URL(url).protocol !== 'https:') throw wrong('metadata_url is not a HTTPS URL');
  if (found.name_id_format !== '' && !nameIdFormats.includes(found.name_id_format))
    throw wrong(`name_id_format must be unspecified or one of ${nameIdFormats.join(', ')}`);
  if (found.domains && (found.domains.length > maxDomains || found.domains.includes('')))
    throw wrong(`domains must be at most ${maxDomains} names, none of them empty`);
  return {
    type: found.type,
    metadataUrl: url,
    metadataXml: xml,
    domains: found.domains && [...new Set(found.domains)],
    attributeMapping: found.attribute_mapping && mappingOf(found.attribute_mapping),
    nameIdFormat: found.name_id_format,
    resourceId: found.resource_id,
    disabled: found.disabled,
  };
}

/** With the members that upstream's type has; empty ones are left out. @throws Fault 400 bad_json */
function mappingOf({ keys }: JsonObject): JsonObject {
  if (keys === undefined || keys === null) return {};
  if (!isObject(keys)) throw wrong(keys, 'SAMLAttributeMapping', '', 'map[string]models.SAMLAttribute');
  return {
    keys: Object.fromEntries(
      Object.entries(keys).map(([key, rule]) => {
        if (!isObject(rule)) throw wrong(rule, 'SAMLAttributeMapping', '', 'models.SAMLAttribute');
        const { name, names, array } = rule;
        if (!isNone(name) && typeof name !== 'string') throw wrong(name, 'SAMLAttribute', '.name', 'string');
        if (!isNone(names) && !(Array.isArray(names) && names.every((one) => typeof one === 'string')))
          throw wrong(names, 'SAMLAttribute', '.names', '[]string');
        if (!isNone(array) && typeof array !== 'boolean')
          throw wrong(array, 'SAMLAttribute', '.array', 'bool');
        const facts = {
          ...(typeof name === 'string' && name !== '' && { name }),
          ...(Array.isArray(names) && names.length > 0 && { names }),
          ...(!isNone(rule.default) && { default: rule.default }),
          ...(array === true && { array }),
        };
        return [key, facts];
      }),
    ),
  };
}

const isNone = (value: unknown): boolean => value === undefined || value === null;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const wrong = (value: unknown, struct: string, below: string, type: string) =>
  badJson(wrongType(value, struct, `attribute_mapping.keys${below}`, type));

/** The metadata that a request brings or names, read. @throws Fault 400 validation_failed, saml_metadata_fetch_failed */
export async function metadataOfParams(
  { auth }: Visit,
  { metadataUrl, metadataXml }: ProviderParams,
): Promise<{ readonly xml: string; readonly entityId: string }> {
  const xml = metadataXml === '' ? await fetchMetadata(auth, metadataUrl) : metadataXml;
  const { entityId } = await parseIdpMetadata(xml);
  return { xml, entityId };
}
