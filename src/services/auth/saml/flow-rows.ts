// In charge of: sign-ins at an identity provider that have begun: a row with what was asked, whose number travels as `RelayState`, and a flow
// for the client's challenge. Each is taken once. Source: supabase/auth internal/models/{sso,flow_state}.go.
import { randomUUID } from 'node:crypto';
import { type Challenge, type FlowState, isPkce } from '../flow-state.ts';
import type { Tx } from '../transaction.ts';

/** What nobody came back for goes a day later, a few rows with each new one. Source: internal/models/cleanup.go. */
const sweepRows = 100;
const keptMs = 24 * 60 * 60 * 1000;

export interface RelayState {
  readonly id: string;
  readonly sso_provider_id: string;
  readonly request_id: string;
  readonly redirect_to: string | null;
  readonly created_at: string;
  readonly flow_state_id: string | null;
}

/** Its number. */
export async function insertRelayState(
  tx: Tx,
  facts: {
    readonly providerId: string;
    readonly requestId: string;
    readonly redirectTo: string;
    readonly challenge: Challenge;
  },
  nowMs: number,
): Promise<string> {
  await tx.query(
    `delete from auth.saml_relay_states where id in (select id from auth.saml_relay_states
       where created_at < $1 order by created_at limit ${sweepRows} for update skip locked)`,
    [new Date(nowMs - keptMs).toISOString()],
  );
  const at = new Date(nowMs).toISOString();
  const flowId = randomUUID();
  const relayId = randomUUID();
  const { code_challenge: challenge, code_challenge_method: method } = facts.challenge;
  const hasCode = isPkce(facts.challenge);
  await tx.query(
    `insert into auth.flow_state (id, auth_code, code_challenge, code_challenge_method, provider_type, authentication_method,
       provider_access_token, provider_refresh_token, created_at, updated_at)
     values ($1, $2, $3, $4, 'sso/saml', 'sso/saml', '', '', $5, $5)`,
    [
      flowId,
      hasCode ? randomUUID() : null,
      hasCode ? challenge : null,
      hasCode ? method.toLowerCase() : null,
      at,
    ],
  );
  await tx.query(
    `insert into auth.saml_relay_states (id, sso_provider_id, request_id, redirect_to, flow_state_id, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $6)`,
    [relayId, facts.providerId, facts.requestId, facts.redirectTo, flowId, at],
  );
  return relayId;
}

/** Of many who come with one number, one gets it. */
export async function takeRelayState(tx: Tx, id: string): Promise<RelayState | undefined> {
  const { rows } = await tx.query<RelayState>(
    'delete from auth.saml_relay_states where id = $1 returning *',
    [id],
  );
  return rows[0];
}

/**
 * Gives the flow its user: from now on its code can be exchanged. When the identity provider said when the session ends, that waits in the
 * flow for the exchange; upstream forgets it. Undefined: the flow is gone, or somebody else's.
 */
export async function finishFlow(
  tx: Tx,
  id: string,
  facts: { readonly userId: string; readonly sessionEnd: string | undefined },
  nowMs: number,
): Promise<string | undefined> {
  const { rows } = await tx.query<{ readonly auth_code: string | null }>(
    `update auth.flow_state set user_id = $2, referrer = $3, updated_at = $4
     where id = $1 and user_id is null and auth_code is not null returning auth_code`,
    [
      id,
      facts.userId,
      facts.sessionEnd === undefined ? null : `${endMark}${facts.sessionEnd}`,
      new Date(nowMs).toISOString(),
    ],
  );
  return rows[0]?.auth_code ?? undefined;
}

const endMark = 'session ends:';

/** When a session that comes of a flow ends, where an identity provider decided that. */
export function sessionEndOf({ authentication_method, referrer }: FlowState): string | undefined {
  if (authentication_method !== 'sso/saml' || !referrer?.startsWith(endMark)) return undefined;
  return referrer.slice(endMark.length);
}

export async function hasCode(tx: Tx, flowId: string | null): Promise<boolean> {
  const { rowCount } = await tx.query(
    'select from auth.flow_state where id = $1 and code_challenge is not null',
    [flowId],
  );
  return rowCount === 1;
}
