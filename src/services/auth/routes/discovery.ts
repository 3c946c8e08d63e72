// In charge of: what an application finds out about this server by its address alone: GET /.well-known/openid-configuration and
// /.well-known/oauth-authorization-server, which say the same. Source: supabase/auth internal/api/jwks.go `WellKnownOpenID`; RFC 8414.
import { issuerOf } from '../access-tokens.ts';
import type { Answer, Visit } from '../context.ts';
import { json } from '../go-json.ts';
import { supportedScopes } from '../oauth-server/scopes.ts';
import { requireOAuthServer } from './oauth-clients.ts';

/** Answered with the server switched off as well, as upstream: others verify the project's tokens by it. */
export function openidConfiguration({ auth, config }: Visit): Answer {
  const issuer = issuerOf(auth, config);
  const base = issuer.replace(/\/+$/, '');
  const authMethods = ['client_secret_basic', 'client_secret_post', 'none'];
  const body = {
    issuer,
    authorization_endpoint: `${base}/oauth/authorize`,
    token_endpoint: `${base}/oauth/token`,
    jwks_uri: `${base}/.well-known/jwks.json`,
    userinfo_endpoint: `${base}/oauth/userinfo`,
    registration_endpoint:
      config.oauthServer && config.oauthServerRegistration ? `${base}/oauth/clients/register` : undefined,
    scopes_supported: supportedScopes,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256', 'HS256', 'ES256'],
    token_endpoint_auth_methods_supported: authMethods,
    claims_supported: claims,
    code_challenge_methods_supported: ['S256', 'plain'],
    // An addition of ours.
    ...(config.oauthServer && {
      revocation_endpoint: `${base}/oauth/revoke`,
      revocation_endpoint_auth_methods_supported: authMethods,
    }),
  };
  return json(200, body, [['cache-control', 'public, max-age=600']]);
}

export function oauthServerMetadata(visit: Visit): Answer {
  requireOAuthServer(visit);
  return openidConfiguration(visit);
}

const claims = [
  'sub',
  'aud',
  'iss',
  'exp',
  'iat',
  'auth_time',
  'nonce',
  'email',
  'email_verified',
  'phone_number',
  'phone_number_verified',
  'name',
  'picture',
  'preferred_username',
  'updated_at',
];
