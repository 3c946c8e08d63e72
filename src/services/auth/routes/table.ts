// In charge of: every path of the auth API and what answers it. Source: supabase/auth internal/api/api.go.
import type { Route } from '../../../engine/service/routes.ts';
import type { Handle } from '../context.ts';
import { health, jwks, publicSettings } from './about.ts';
import { listAudit } from './admin-audit.ts';
import { deleteFactorOfUser, updateFactorOfUser } from './admin-factors.ts';
import { updateOneUser } from './admin-user-update.ts';
import { createOneUser, deleteOneUser, getOneUser, listAllUsers, listFactors } from './admin-users.ts';
import { authorize } from './authorize.ts';
import { callback } from './callback.ts';
import { challengeFactor, enrollFactor, unenrollFactor, verifyFactor } from './factors.ts';
import { generateLink } from './generate-link.ts';
import { authorizeLinking, deleteIdentity } from './identities.ts';
import { logout } from './logout.ts';
import { invite, magicLink, otp, reauthenticate, recover, resend } from './mails.ts';
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
import { endOwnSession, endSessionOfUser, listOwnSessions, listSessionsOfUser } from './sessions.ts';
import { signUp } from './sign-up.ts';
import { notYetRoutes, switchedOffRoutes } from './switched-off.ts';
import { token } from './token.ts';
import { getUser, updateOwnUser } from './user.ts';
import { verifyGet, verifyPost } from './verify.ts';

export const answeredRoutes: readonly Route<Handle>[] = [
  { method: 'GET', pattern: '/health', handle: health },
  { method: 'GET', pattern: '/settings', handle: publicSettings },
  { method: 'GET', pattern: '/.well-known/jwks.json', handle: jwks },
  { method: 'POST', pattern: '/signup', handle: signUp },
  { method: 'POST', pattern: '/token', handle: token },
  { method: 'POST', pattern: '/logout', handle: logout },
  { method: 'GET', pattern: '/verify', handle: verifyGet },
  { method: 'POST', pattern: '/verify', handle: verifyPost },
  { method: 'POST', pattern: '/recover', handle: recover },
  { method: 'POST', pattern: '/resend', handle: resend },
  { method: 'POST', pattern: '/magiclink', handle: magicLink },
  { method: 'POST', pattern: '/otp', handle: otp },
  { method: 'GET', pattern: '/reauthenticate', handle: reauthenticate },
  { method: 'POST', pattern: '/invite', handle: invite },
  { method: 'POST', pattern: '/admin/generate_link', handle: generateLink },
  { method: 'GET', pattern: '/authorize', handle: authorize },
  { method: 'GET', pattern: '/callback', handle: callback },
  { method: 'POST', pattern: '/callback', handle: callback },
  { method: 'GET', pattern: '/user/identities/authorize', handle: authorizeLinking },
  { method: 'DELETE', pattern: '/user/identities/:identity_id', handle: deleteIdentity },
  { method: 'GET', pattern: '/user', handle: getUser },
  { method: 'PUT', pattern: '/user', handle: updateOwnUser },
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
  { method: 'POST', pattern: '/factors/:factor_id/challenge', handle: challengeFactor },
  { method: 'POST', pattern: '/factors/:factor_id/verify', handle: verifyFactor },
  { method: 'DELETE', pattern: '/factors/:factor_id', handle: unenrollFactor },
  { method: 'POST', pattern: '/passkeys/authentication/options', handle: authenticationOptions },
  { method: 'POST', pattern: '/passkeys/authentication/verify', handle: authenticationVerify },
  { method: 'POST', pattern: '/passkeys/registration/options', handle: registrationOptions },
  { method: 'POST', pattern: '/passkeys/registration/verify', handle: registrationVerify },
  { method: 'GET', pattern: '/passkeys', handle: listOwnPasskeys },
  { method: 'PATCH', pattern: '/passkeys/:passkey_id', handle: renameOwnPasskey },
  { method: 'DELETE', pattern: '/passkeys/:passkey_id', handle: deleteOwnPasskey },
  { method: 'GET', pattern: '/admin/audit', handle: listAudit },
];

/** What upstream does not have. */
export const addedRoutes: readonly Route<Handle>[] = [
  { method: 'GET', pattern: '/user/sessions', handle: listOwnSessions },
  { method: 'DELETE', pattern: '/user/sessions/:session_id', handle: endOwnSession },
  { method: 'GET', pattern: '/admin/users/:user_id/sessions', handle: listSessionsOfUser },
  { method: 'DELETE', pattern: '/admin/users/:user_id/sessions/:session_id', handle: endSessionOfUser },
];

export const routes: readonly Route<Handle>[] = [
  ...answeredRoutes,
  ...addedRoutes,
  ...switchedOffRoutes,
  ...notYetRoutes,
];
