// In charge of: every path of the auth API and what answers it. Source: supabase/auth internal/api/api.go.
import type { Route } from '../../../engine/service/routes.ts';
import type { Handle } from '../context.ts';
import { health, jwks, publicSettings } from './about.ts';
import { listAudit } from './admin-audit.ts';
import { updateOneUser } from './admin-user-update.ts';
import { createOneUser, deleteOneUser, getOneUser, listAllUsers, listFactors } from './admin-users.ts';
import { generateLink } from './generate-link.ts';
import { logout } from './logout.ts';
import { invite, magicLink, otp, reauthenticate, recover, resend } from './mails.ts';
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
  { method: 'GET', pattern: '/user', handle: getUser },
  { method: 'PUT', pattern: '/user', handle: updateOwnUser },
  { method: 'GET', pattern: '/admin/users', handle: listAllUsers },
  { method: 'POST', pattern: '/admin/users', handle: createOneUser },
  { method: 'GET', pattern: '/admin/users/:user_id', handle: getOneUser },
  { method: 'PUT', pattern: '/admin/users/:user_id', handle: updateOneUser },
  { method: 'DELETE', pattern: '/admin/users/:user_id', handle: deleteOneUser },
  { method: 'GET', pattern: '/admin/users/:user_id/factors', handle: listFactors },
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
