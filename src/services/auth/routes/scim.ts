// In charge of: the three documents by which a client of SCIM 2.0 finds out what there is: upstream has these and no resources yet.
// Source: supabase/auth internal/api/scim; RFC 7643 section 5, RFC 7644 sections 3.12 and 4.
import type { Answer, Handle, Visit } from '../context.ts';
import { notFound } from '../errors.ts';

export const scimPath = '/scim/v2';

/** @throws Fault 404 feature_disabled */
function whenOn(handle: Handle): Handle {
  return (visit) => {
    if (!visit.config.scimEnabled) throw notFound('feature_disabled', 'SCIM server is disabled');
    return handle(visit);
  };
}

export const scimConfig = whenOn(({ auth }) =>
  scimJson(200, {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
    patch: { supported: false },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: false, maxResults: 0 },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: false },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'OAuth Bearer Token',
        description: 'Authentication scheme using the OAuth Bearer Token Standard',
        specUri: 'http://www.rfc-editor.org/info/rfc6750',
        primary: true,
      },
    ],
    meta: {
      resourceType: 'ServiceProviderConfig',
      location: `${auth.url().replace(/\/+$/, '')}${scimPath}/ServiceProviderConfig`,
    },
  }),
);

export const scimResourceTypes = whenOn(nothingToList);
export const scimSchemas = whenOn(nothingToList);

function nothingToList({ query }: Visit): Answer {
  if (query.has('filter')) return scimError(403, 'Filtering is not supported on this endpoint');
  return scimJson(200, {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:ListResponse'],
    totalResults: 0,
    startIndex: 1,
    itemsPerPage: 0,
    Resources: [],
  });
}

/** Whatever is not there below the path of SCIM. Source: internal/api/api.go, `NotFound` of the route. */
export const scimNothing = whenOn(() => scimError(404, 'Endpoint or resource does not exist'));

function scimError(status: number, detail: string): Answer {
  const schemas = ['urn:ietf:params:scim:api:messages:2.0:Error'];
  return scimJson(status, { schemas, detail, status: String(status) });
}

function scimJson(status: number, body: object): Answer {
  return { status, headers: [['content-type', 'application/scim+json']], body: JSON.stringify(body) };
}
