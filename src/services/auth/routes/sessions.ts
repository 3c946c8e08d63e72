// In charge of: the sessions of a user, listed and ended one by one. An addition: upstream ends them by scope alone (POST /logout).
import { record } from '../audit.ts';
import { isUuid, requireAdmin, requireUser } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { notFound } from '../errors.ts';
import { goTime, type JsonObject, json } from '../go-json.ts';
import { assuranceOf, endSession, findSession, listSessions, type Session } from '../sessions.ts';
import { inTransaction, withTables } from '../transaction.ts';
import type { User } from '../user.ts';
import { userOfPath } from './admin-users.ts';

/** `GET /user/sessions`: where the user is signed in, the one that asks marked. */
export async function listOwnSessions(visit: Visit): Promise<Answer> {
  const { user, session } = await requireUser(visit);
  return listOf(visit, user, session?.id);
}

/** `DELETE /user/sessions/:session_id`: its refresh tokens are good for nothing from then on; access tokens run out by themselves. */
export async function endOwnSession(visit: Visit): Promise<Answer> {
  const { user } = await requireUser(visit);
  const session = await sessionOfPath(visit, user);
  await inTransaction(visit.auth.db, async (tx) => {
    await record(tx, visit, user, 'logout', { session_id: session.id });
    await endSession(tx, session.id);
  });
  return gone;
}

/** `GET /admin/users/:user_id/sessions` */
export async function listSessionsOfUser(visit: Visit): Promise<Answer> {
  await requireAdmin(visit);
  return listOf(visit, await userOfPath(visit), undefined);
}

/** `DELETE /admin/users/:user_id/sessions/:session_id` */
export async function endSessionOfUser(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const user = await userOfPath(visit);
  const session = await sessionOfPath(visit, user);
  await inTransaction(visit.auth.db, async (tx) => {
    await record(tx, visit, actor, 'logout', { user_id: user.id, session_id: session.id });
    await endSession(tx, session.id);
  });
  return gone;
}

const gone: Answer = { status: 204, headers: [], body: null };

/** A user's oldest sessions beyond these are not listed. */
const maxListed = 1000;

async function listOf({ auth }: Visit, user: User, currentId: string | undefined): Promise<Answer> {
  const sessions = await withTables(auth.db, (tx) => listSessions(tx, user.id, maxListed));
  return json(200, { sessions: sessions.map((session) => sessionJson(session, user, currentId)) });
}

/** Somebody else's session is not found, as one that there is not. @throws Fault 404 session_not_found */
async function sessionOfPath({ auth, params }: Visit, user: User): Promise<Session> {
  const { session_id: id = '' } = params;
  const session = isUuid(id) ? await withTables(auth.db, (tx) => findSession(tx, id)) : undefined;
  if (session?.user_id !== user.id)
    throw notFound('session_not_found', `The user has no session ${JSON.stringify(id)}`);
  return session;
}

function sessionJson(session: Session, user: User, currentId: string | undefined): JsonObject {
  const { aal, amr } = assuranceOf(session, user);
  return {
    id: session.id,
    is_current: currentId === undefined ? undefined : session.id === currentId,
    created_at: goTime(session.created_at),
    refreshed_at: session.refreshed_at === null ? null : goTime(session.refreshed_at),
    not_after: session.not_after === null ? null : goTime(session.not_after),
    user_agent: session.user_agent ?? '',
    ip: session.ip ?? '',
    aal,
    amr,
    oauth_client_id: session.oauth_client_id ?? undefined,
  };
}
