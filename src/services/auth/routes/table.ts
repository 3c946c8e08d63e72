// In charge of: every path of the auth API and what answers it. Source: supabase/auth internal/api/api.go.
import type { Route } from '../../../engine/service/routes.ts';
import type { Handle } from '../context.ts';
import { health, jwks, publicSettings } from './about.ts';
import { listAudit } from './admin-audit.ts';
import { deleteFactorOfUser, updateFactorOfUser } from './admin-factors.ts';
import {
  createSsoProvider,
  deleteSsoProvider,
  getSsoProvider,
  listSsoProviders,
  updateSsoProvider,
} from './admin-sso.ts';
import { updateOneUser } from './admin-user-update.ts';
import { createOneUser, deleteOneUser, getOneUser, listAllUsers, listFactors } from './admin-users.ts';
import { authorize } from './authorize.ts';
import { callback } from './callback.ts';
import {
  createCustomProvider,
  deleteCustomProvider,
  getCustomProvider,
  listCustomProviders,
  updateCustomProvider,
} from './custom-providers.ts';
import { oauthServerMetadata, openidConfiguration } from './discovery.ts';
import { challengeFactor, enrollFactor, unenrollFactor, verifyFactor } from './factors.ts';
import { generateLink } from './generate-link.ts';
import { behindCaptcha, limited, makesTokens, sendsMails, whenOn } from './guarded.ts';
import { authorizeLinking, deleteIdentity } from './identities.ts';
import { logout } from './logout.ts';
import { invite, magicLink, otp, reauthenticate, recover, resend } from './mails.ts';
import { authorizeClient, consent, getAuthorization } from './oauth-authorize.ts';
import {
  changeClient,
  createClientByAdmin,
  getClient,
  listAllClients,
  regenerateSecret,
  registerClient,
  removeClient,
} from './oauth-clients.ts';
import { listGrants, revokeGrant, userInfo } from './oauth-grants.ts';
import { oauthToken, revokeToken } from './oauth-token.ts';
import {
  authenticationOptions,
  authenticationVerify,
  deleteOwnPasskey,
  deletePasskeyOfUser,
  listOwnPasskeys,
  listPasskeysOfUser,
  registrationOptions,
  registrationVerify,
  renameOwnPasskey,
} from './passkeys.ts';
import { countRecoveryCodes, makeRecoveryCodes, verifyRecoveryCode } from './recovery-codes.ts';
import { scimConfig, scimResourceTypes, scimSchemas } from './scim.ts';
import { endOwnSession, endSessionOfUser, listOwnSessions, listSessionsOfUser } from './sessions.ts';
import { signUp } from './sign-up.ts';
import { samlAcs, samlMetadata, singleSignOn } from './sso.ts';
import { token } from './token.ts';
import { getUser, updateOwnUser } from './user.ts';
import { verifyGet, verifyPost } from './verify.ts';

export const answeredRoutes: readonly Route<Handle>[] = [
  { method: 'GET', pattern: '/health', handle: health },
  { method: 'GET', pattern: '/settings', handle: publicSettings },
  { method: 'GET', pattern: '/.well-known/jwks.json', handle: jwks },
  { method: 'POST', pattern: '/signup', handle: makesTokens(behindCaptcha(signUp)) },
  { method: 'POST', pattern: '/token', handle: token },
  { method: 'POST', pattern: '/logout', handle: logout },
  { method: 'GET', pattern: '/verify', handle: limited('verify', makesTokens(verifyGet)) },
  { method: 'POST', pattern: '/verify', handle: limited('verify', makesTokens(verifyPost)) },
  { method: 'POST', pattern: '/recover', handle: limited('recover', sendsMails(behindCaptcha(recover))) },
  { method: 'POST', pattern: '/resend', handle: limited('resend', sendsMails(behindCaptcha(resend))) },
  {
    method: 'POST',
    pattern: '/magiclink',
    handle: limited('magic_link', sendsMails(behindCaptcha(magicLink))),
  },
  { method: 'POST', pattern: '/otp', handle: limited('otp', sendsMails(behindCaptcha(otp))) },
  { method: 'GET', pattern: '/reauthenticate', handle: sendsMails(reauthenticate) },
  { method: 'POST', pattern: '/invite', handle: sendsMails(invite) },
  { method: 'POST', pattern: '/admin/generate_link', handle: generateLink },
  { method: 'GET', pattern: '/authorize', handle: authorize },
  { method: 'GET', pattern: '/callback', handle: makesTokens(callback) },
  { method: 'POST', pattern: '/callback', handle: makesTokens(callback) },
  { method: 'GET', pattern: '/user/identities/authorize', handle: authorizeLinking },
  { method: 'DELETE', pattern: '/user/identities/:identity_id', handle: deleteIdentity },
  { method: 'GET', pattern: '/user', handle: getUser },
  { method: 'PUT', pattern: '/user', handle: sendsMails(updateOwnUser) },
  { method: 'GET', pattern: '/admin/users', handle: listAllUsers },
  { method: 'POST', pattern: '/admin/users', handle: createOneUser },
  { method: 'GET', pattern: '/admin/users/:user_id', handle: getOneUser },
  { method: 'PUT', pattern: '/admin/users/:user_id', handle: updateOneUser },
  { method: 'DELETE', pattern: '/admin/users/:user_id', handle: deleteOneUser },
  { method: 'GET', pattern: '/admin/users/:user_id/factors', handle: listFactors },
  { method: 'PUT', pattern: '/admin/users/:user_id/factors/:factor_id', handle: updateFactorOfUser },
  { method: 'DELETE', pattern: '/admin/users/:user_id/factors/:factor_id', handle: deleteFactorOfUser },
  { method: 'GET', pattern: '/admin/users/:user_id/passkeys', handle: listPasskeysOfUser },
  { method: 'DELETE', pattern: '/admin/users/:user_id/passkeys/:passkey_id', handle: deletePasskeyOfUser },
  { method: 'POST', pattern: '/factors', handle: enrollFactor },
  {
    method: 'POST',
    pattern: '/factors/:factor_id/challenge',
    handle: limited('factor_challenge', challengeFactor),
  },
  {
    method: 'POST',
    pattern: '/factors/:factor_id/verify',
    handle: limited('factor_verify', makesTokens(verifyFactor)),
  },
  { method: 'DELETE', pattern: '/factors/:factor_id', handle: unenrollFactor },
  {
    method: 'POST',
    pattern: '/passkeys/authentication/options',
    handle: whenOn(
      ({ passkeysEnabled }) => passkeysEnabled,
      authenticationOptions,
      (handle) => limited('passkey', behindCaptcha(handle)),
    ),
  },
  { method: 'POST', pattern: '/passkeys/authentication/verify', handle: makesTokens(authenticationVerify) },
  { method: 'POST', pattern: '/passkeys/registration/options', handle: registrationOptions },
  { method: 'POST', pattern: '/passkeys/registration/verify', handle: registrationVerify },
  { method: 'GET', pattern: '/passkeys', handle: listOwnPasskeys },
  { method: 'PATCH', pattern: '/passkeys/:passkey_id', handle: renameOwnPasskey },
  { method: 'DELETE', pattern: '/passkeys/:passkey_id', handle: deleteOwnPasskey },
  { method: 'GET', pattern: '/admin/audit', handle: listAudit },
  { method: 'GET', pattern: '/admin/custom-providers', handle: listCustomProviders },
  { method: 'POST', pattern: '/admin/custom-providers', handle: createCustomProvider },
  { method: 'GET', pattern: '/admin/custom-providers/:identifier', handle: getCustomProvider },
  { method: 'PUT', pattern: '/admin/custom-providers/:identifier', handle: updateCustomProvider },
  { method: 'DELETE', pattern: '/admin/custom-providers/:identifier', handle: deleteCustomProvider },
  {
    method: 'POST',
    pattern: '/sso',
    handle: whenOn(
      ({ samlEnabled }) => samlEnabled,
      singleSignOn,
      (handle) => limited('sso', behindCaptcha(handle)),
    ),
  },
  { method: 'GET', pattern: '/sso/saml/metadata', handle: samlMetadata },
  {
    method: 'POST',
    pattern: '/sso/saml/acs',
    handle: whenOn(
      ({ samlEnabled }) => samlEnabled,
      samlAcs,
      (handle) => limited('saml_assertion', makesTokens(handle)),
    ),
  },
  { method: 'GET', pattern: '/scim/v2/ServiceProviderConfig', handle: scimConfig },
  { method: 'GET', pattern: '/scim/v2/ResourceTypes', handle: scimResourceTypes },
  { method: 'GET', pattern: '/scim/v2/Schemas', handle: scimSchemas },
  { method: 'GET', pattern: '/admin/sso/providers', handle: listSsoProviders },
  { method: 'POST', pattern: '/admin/sso/providers', handle: createSsoProvider },
  { method: 'GET', pattern: '/admin/sso/providers/:idp_id', handle: getSsoProvider },
  { method: 'PUT', pattern: '/admin/sso/providers/:idp_id', handle: updateSsoProvider },
  { method: 'DELETE', pattern: '/admin/sso/providers/:idp_id', handle: deleteSsoProvider },
  { method: 'GET', pattern: '/.well-known/openid-configuration', handle: openidConfiguration },
  { method: 'GET', pattern: '/.well-known/oauth-authorization-server', handle: oauthServerMetadata },
  {
    method: 'POST',
    pattern: '/oauth/clients/register',
    handle: whenOn(
      ({ oauthServer }) => oauthServer,
      registerClient,
      (handle) => limited('client_register', handle),
    ),
  },
  { method: 'GET', pattern: '/oauth/authorize', handle: authorizeClient },
  { method: 'GET', pattern: '/oauth/authorizations/:authorization_id', handle: getAuthorization },
  { method: 'POST', pattern: '/oauth/authorizations/:authorization_id/consent', handle: consent },
  { method: 'POST', pattern: '/oauth/token', handle: oauthToken },
  { method: 'GET', pattern: '/oauth/userinfo', handle: userInfo },
  { method: 'GET', pattern: '/user/oauth/grants', handle: listGrants },
  { method: 'DELETE', pattern: '/user/oauth/grants', handle: revokeGrant },
  { method: 'POST', pattern: '/admin/oauth/clients', handle: createClientByAdmin },
  { method: 'GET', pattern: '/admin/oauth/clients', handle: listAllClients },
  { method: 'GET', pattern: '/admin/oauth/clients/:client_id', handle: getClient },
  { method: 'PUT', pattern: '/admin/oauth/clients/:client_id', handle: changeClient },
  { method: 'DELETE', pattern: '/admin/oauth/clients/:client_id', handle: removeClient },
  { method: 'POST', pattern: '/admin/oauth/clients/:client_id/regenerate_secret', handle: regenerateSecret },
];

/** What upstream does not have. */
export const addedRoutes: readonly Route<Handle>[] = [
  { method: 'POST', pattern: '/oauth/revoke', handle: revokeToken },
  { method: 'GET', pattern: '/factors/recovery-codes', handle: countRecoveryCodes },
  { method: 'POST', pattern: '/factors/recovery-codes', handle: makeRecoveryCodes },
  {
    method: 'POST',
    pattern: '/factors/recovery-codes/verify',
    handle: limited('factor_verify', verifyRecoveryCode),
  },
  { method: 'GET', pattern: '/user/sessions', handle: listOwnSessions },
  { method: 'DELETE', pattern: '/user/sessions/:session_id', handle: endOwnSession },
  { method: 'GET', pattern: '/admin/users/:user_id/sessions', handle: listSessionsOfUser },
  { method: 'DELETE', pattern: '/admin/users/:user_id/sessions/:session_id', handle: endSessionOfUser },
];

export const routes: readonly Route<Handle>[] = [...answeredRoutes, ...addedRoutes];
