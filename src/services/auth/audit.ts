// In charge of: the record of what users and administrators did, in upstream's table and words.
// Source: supabase/auth internal/models/audit_log_entry.go.
import { randomUUID } from 'node:crypto';
import type { Visit } from './context.ts';
import type { JsonObject } from './go-json.ts';
import type { Tx } from './transaction.ts';
import { nilId } from './user.ts';

const logTypes = {
  login: 'account',
  logout: 'account',
  invite_accepted: 'account',
  user_signedup: 'team',
  user_invited: 'team',
  user_deleted: 'team',
  token_revoked: 'token',
  token_refreshed: 'token',
  user_modified: 'user',
  user_recovery_requested: 'user',
  user_reauthenticate_requested: 'user',
  user_confirmation_requested: 'user',
  user_repeated_signup: 'user',
  user_updated_password: 'user',
  identity_linked: 'user',
  identity_unlinked: 'user',
  factor_in_progress: 'factor',
  factor_unenrolled: 'factor',
  challenge_created: 'factor',
  verification_attempted: 'factor',
  factor_deleted: 'factor',
  factor_updated: 'factor',
  passkey_created: 'user',
  passkey_updated: 'user',
  passkey_deleted: 'user',
} as const;

export type AuditAction = keyof typeof logTypes;

/** Who did it: a user, or an administrator's role, which has no row. */
export interface Actor {
  readonly id: string;
  readonly email: string;
  readonly phone: string;
  readonly is_sso_user: boolean;
  readonly raw_user_meta_data: JsonObject | null;
}

/** An administrator acts under the name of their role. Source: supabase/auth internal/api/auth.go `requireAdmin`. */
export function adminActor(role: string): Actor {
  return { id: nilId, email: role, phone: '', is_sso_user: false, raw_user_meta_data: null };
}

/** Within the transaction of what it records: both happen or neither. */
export async function record(
  tx: Tx,
  visit: Visit,
  actor: Actor,
  action: AuditAction,
  traits?: JsonObject,
  address = '',
): Promise<void> {
  const name = actor.raw_user_meta_data?.full_name;
  const payload = {
    action,
    actor_id: actor.id,
    ...(name !== undefined && { actor_name: name }),
    actor_username: actor.phone || actor.email,
    actor_via_sso: actor.is_sso_user,
    log_type: logTypes[action],
    ...(traits && { traits }),
  };
  const { auth, request, config } = visit;
  auth.observe({ kind: 'auth.audit', action, actor: actor.id, requestId: request.requestId });
  if (!config.auditInDatabase) return;
  await tx.query(
    `insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address) values ('${nilId}', $1, $2, $3, $4)`,
    [randomUUID(), JSON.stringify(payload), new Date(auth.now()).toISOString(), address],
  );
}
