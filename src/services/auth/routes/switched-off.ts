// In charge of: what upstream answers where a feature is switched off, and what is not built here yet. Both are refusals that clients know.
// Source: supabase/auth internal/api/middleware.go `require…Enabled`, internal/api/api.go for who asks first.
import { requireAdmin, requireUser } from '../authenticate.ts';
import type { Handle } from '../context.ts';
import { type ErrorCode, notFound } from '../errors.ts';

type Who = 'anybody' | 'user' | 'admin';

/** As upstream with this feature off. Who asks is looked at first where upstream does so. */
function switchedOff(who: Who, code: ErrorCode, message: string): Handle {
  return async (visit) => {
    if (who === 'user') await requireUser(visit);
    if (who === 'admin') await requireAdmin(visit);
    throw notFound(code, message);
  };
}

const scim = switchedOff('anybody', 'feature_disabled', 'SCIM server is disabled');

/** Of features that are off here for now, as they are off upstream unless somebody switches them on. */
export const switchedOffRoutes = routes([
  ['GET /scim/v2/ServiceProviderConfig', scim],
  ['GET /scim/v2/ResourceTypes', scim],
  ['GET /scim/v2/Schemas', scim],
]);

/** Upstream's paths that nothing answers here yet: none. */
export const notYetRoutes = routes([]);

function routes(table: readonly (readonly [line: string, handle: Handle])[]) {
  return table.map(([line, handle]) => {
    const [method = '', pattern = ''] = line.split(' ');
    return { method, pattern, handle };
  });
}
