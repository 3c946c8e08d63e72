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

const saml = switchedOff('anybody', 'saml_provider_disabled', 'SAML 2.0 is disabled');
const oauthServer = switchedOff('anybody', 'feature_disabled', 'OAuth server is disabled');
const oauthOfUser = switchedOff('user', 'feature_disabled', 'OAuth server is disabled');
const oauthOfAdmin = switchedOff('admin', 'feature_disabled', 'OAuth server is disabled');
const customProviders = switchedOff('admin', 'feature_disabled', 'Custom OAuth providers are disabled');
const scim = switchedOff('anybody', 'feature_disabled', 'SCIM server is disabled');

const notYet = (who: Who) => switchedOff(who, 'feature_disabled', 'This is not built here yet');

/** Of features that are off here for now, as they are off upstream unless somebody switches them on. */
export const switchedOffRoutes = routes([
  ['POST /sso', saml],
  ['GET /sso/saml/metadata', saml],
  ['POST /sso/saml/acs', saml],
  ['GET /.well-known/oauth-authorization-server', oauthServer],
  ['POST /oauth/clients/register', oauthServer],
  ['POST /oauth/token', oauthServer],
  ['GET /oauth/userinfo', oauthServer],
  ['GET /oauth/authorize', oauthServer],
  ['GET /oauth/authorizations/:authorization_id', oauthServer],
  ['POST /oauth/authorizations/:authorization_id/consent', oauthServer],
  ['GET /user/oauth/grants', oauthOfUser],
  ['DELETE /user/oauth/grants', oauthOfUser],
  ['POST /admin/oauth/clients', oauthOfAdmin],
  ['GET /admin/oauth/clients', oauthOfAdmin],
  ['GET /admin/oauth/clients/:client_id', oauthOfAdmin],
  ['PUT /admin/oauth/clients/:client_id', oauthOfAdmin],
  ['DELETE /admin/oauth/clients/:client_id', oauthOfAdmin],
  ['POST /admin/oauth/clients/:client_id/regenerate_secret', oauthOfAdmin],
  ['GET /admin/custom-providers', customProviders],
  ['POST /admin/custom-providers', customProviders],
  ['GET /admin/custom-providers/:identifier', customProviders],
  ['PUT /admin/custom-providers/:identifier', customProviders],
  ['DELETE /admin/custom-providers/:identifier', customProviders],
  ['GET /scim/v2/ServiceProviderConfig', scim],
  ['GET /scim/v2/ResourceTypes', scim],
  ['GET /scim/v2/Schemas', scim],
]);

/** Upstream's paths that nothing answers here yet. */
export const notYetRoutes = routes([
  ['GET /.well-known/openid-configuration', notYet('anybody')],
  ['GET /admin/sso/providers', notYet('admin')],
  ['POST /admin/sso/providers', notYet('admin')],
  ['GET /admin/sso/providers/:idp_id', notYet('admin')],
  ['PUT /admin/sso/providers/:idp_id', notYet('admin')],
  ['DELETE /admin/sso/providers/:idp_id', notYet('admin')],
]);

function routes(table: readonly (readonly [line: string, handle: Handle])[]) {
  return table.map(([line, handle]) => {
    const [method = '', pattern = ''] = line.split(' ');
    return { method, pattern, handle };
  });
}
