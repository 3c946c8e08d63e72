// In charge of: DELETE /cdn/…: what a network of caches before this server holds of a file, a bucket or all is let go of, by a service at whoever
// runs those caches. Source: supabase/storage src/http/routes/cdn/purgeCache.ts, src/storage/cdn/cdn-cache-manager.ts.
import type { Handle, Visit } from '../context.ts';
import { cannotPurge, invalidRole, invalidShape, missingParameter } from '../errors.ts';
import { messageAnswer } from '../json.ts';

const timeoutMs = 10_000;

type Scope = 'tenant' | 'bucket' | 'object';

function purge(scope: Scope): Handle {
  return async (visit) => {
    const { storage, asking, params } = visit;
    const transformsOnly = transformationsOf(visit);
    if (asking.caller.role !== 'service_role') throw invalidRole();
    const { cdnPurgeUrl, cdnPurgeKey, tenantId } = storage.config.now();
    if (cdnPurgeUrl === '') throw missingParameter('CDN_PURGE_ENDPOINT_URL is not set');
    const order = {
      type: transformsOnly ? `${scope}-transforms` : scope,
      tenant: { ref: tenantId },
      ...(scope !== 'tenant' && { bucketId: params.bucket }),
      ...(scope === 'object' && { objectName: params.rest }),
    };
    await askToPurge(visit, purgeAddress(cdnPurgeUrl), cdnPurgeKey, order);
    return messageAnswer('success');
  };
}

async function askToPurge(
  { storage: { egress, signal } }: Visit,
  url: URL,
  key: string,
  order: Readonly<Record<string, unknown>>,
): Promise<void> {
  let status: number;
  try {
    const answer = await egress.fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(key !== '' && { authorization: `Bearer ${key}` }),
      },
      body: JSON.stringify(order),
      timeoutMs,
      signal,
    });
    status = answer.status;
  } catch (error) {
    throw cannotPurge(error);
  }
  if (status < 200 || status > 299) throw cannotPurge(new Error(`Request failed with status code ${status}`));
}

function purgeAddress(base: string): URL {
  const url = new URL(base);
  url.pathname = url.pathname.endsWith('/') ? `${url.pathname}purge` : `${url.pathname}/purge`;
  url.search = '';
  url.hash = '';
  return url;
}

function transformationsOf({ query }: Visit): boolean {
  const given = query.get('transformations');
  if (given !== null && given !== 'true' && given !== 'false')
    throw invalidShape('querystring/transformations must be boolean');
  return given === 'true';
}

export const purgeAll = purge('tenant');
export const purgeBucket = purge('bucket');
export const purgeObject = purge('object');
