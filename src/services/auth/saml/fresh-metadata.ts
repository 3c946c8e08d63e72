// In charge of: the metadata of an identity provider from its address: when it is registered, and again when it is old.
// Source: supabase/auth internal/api/ssoadmin.go `fetchSAMLMetadata`, internal/api/samlacs.go `IsSAMLMetadataStale`.
import { EgressError } from '../../../engine/egress/errors.ts';
import type { Auth } from '../context.ts';
import { badRequest } from '../errors.ts';
import { withTables } from '../transaction.ts';
import { timeMs } from '../user.ts';
import { type IdpMetadata, parseIdpMetadata } from './idp-metadata.ts';
import { type SsoProvider, updateMetadataXml } from './providers.ts';

/** Metadata that does not say how long it holds. */
const holdsMs = 24 * 60 * 60 * 1000;
/** Between two tries at one address, because anybody can cause one. */
const retryMs = 60_000;
const maxMetadataBytes = 1024 * 1024;
const warnBeforeMs = 30 * 24 * 60 * 60 * 1000;

/** @throws Fault 400 saml_metadata_fetch_failed */
export async function fetchMetadata({ egress }: Pick<Auth, 'egress'>, url: string): Promise<string> {
  let answer: Awaited<ReturnType<typeof egress.fetch>>;
  try {
    answer = await egress.fetch(url, {
      headers: { accept: 'application/xml;charset=UTF-8', 'accept-charset': 'UTF-8' },
      maxResponseBytes: maxMetadataBytes,
    });
  } catch (error) {
    // Not why: whoever asks would learn what there is in our network (CWE-918).
    if (error instanceof EgressError)
      throw badRequest('saml_metadata_fetch_failed', `Error fetching SAML Metadata from URL '${url}'`, error);
    throw error;
  }
  if (answer.status !== 200)
    throw badRequest(
      'saml_metadata_fetch_failed',
      `HTTP ${answer.status} error fetching SAML Metadata from URL '${url}'`,
    );
  return decodeUtf8(answer.body);
}

/** @throws Fault 400 validation_failed */
function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw badRequest(
      'validation_failed',
      'SAML Metadata XML contains invalid UTF-8 characters, which are not supported at this time',
    );
  }
}

/** As it is now: fetched again when it is old and there is an address; what cannot be fetched leaves the old one. */
export async function freshMetadata(auth: Auth, provider: SsoProvider): Promise<IdpMetadata> {
  const known = await parseIdpMetadata(provider.metadata_xml);
  const nowMs = auth.now();
  if (!provider.metadata_url) {
    if (known.validUntilMs !== undefined && known.validUntilMs - nowMs <= warnBeforeMs)
      auth.observe({
        kind: 'auth.saml_metadata',
        level: 'warn',
        entityId: provider.entity_id,
        sentence: 'The metadata of an identity provider is valid for less than 30 days: give it a new one.',
      });
    return known;
  }
  if (!isStale(known, timeMs(provider.saml_updated_at), nowMs) || !mayTry(provider.id, nowMs)) return known;
  try {
    const xml = await fetchMetadata(auth, provider.metadata_url);
    const fresh = await parseIdpMetadata(xml);
    if (fresh.entityId !== provider.entity_id) throw new Error(`it is of another entity: ${fresh.entityId}`);
    await withTables(auth.db, (tx) => updateMetadataXml(tx, provider.id, xml, nowMs));
    return fresh;
  } catch (error) {
    auth.observe({
      kind: 'auth.saml_metadata',
      level: 'warn',
      entityId: provider.entity_id,
      sentence: 'The metadata of an identity provider could not be fetched; what is known of it goes on.',
      error,
    });
    return known;
  }
}

function isStale({ validUntilMs, cacheSeconds }: IdpMetadata, updatedMs: number, nowMs: number): boolean {
  if (validUntilMs !== undefined && nowMs > validUntilMs) return true;
  if (cacheSeconds) return nowMs > updatedMs + cacheSeconds * 1000;
  return validUntilMs === undefined && nowMs > updatedMs + holdsMs;
}

const triedMs = new Map<string, number>();
const maxTried = 1000;

function mayTry(id: string, nowMs: number): boolean {
  if (nowMs < (triedMs.get(id) ?? Number.NEGATIVE_INFINITY) + retryMs) return false;
  if (triedMs.size >= maxTried) triedMs.clear();
  triedMs.set(id, nowMs);
  return true;
}
