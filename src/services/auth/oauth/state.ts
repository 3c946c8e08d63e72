// In charge of: sign-ins at a provider that have begun: one row each, whose number is the `state` that the provider gives back, and beside it
// the verifier that binds the provider's code to us.
// Source: supabase/auth internal/models/{flow_state,oauth_client_state,cleanup}.go.
import { randomBytes, randomUUID } from 'node:crypto';
import { type Challenge, type FlowState, flowStateSeconds, isPkce } from '../flow-state.ts';
import type { Tx } from '../transaction.ts';
import { timeMs } from '../user.ts';

/** Source: supabase/auth internal/models/oauth_client_state.go `OAuthClientStateTimeout`. */
const clientStateSeconds = 300;
/** What nobody came back for goes a day later, a few rows with each new one. Source: internal/models/cleanup.go. */
const sweepRows = 100;

/** A flow with what a sign-in at a provider keeps in it. */
export interface ProviderFlow extends FlowState {
  readonly invite_token: string | null;
  readonly referrer: string | null;
  readonly oauth_client_state_id: string | null;
  readonly linking_target_id: string | null;
  readonly email_optional: boolean;
}

export interface NewFlow {
  readonly provider: string;
  readonly challenge: Challenge;
  readonly inviteToken: string;
  /** Where the browser goes in the end; found to be allowed. */
  readonly redirectTo: string;
  readonly linkingTargetId: string | undefined;
  readonly emailOptional: boolean;
  /** Of ours, for a provider that wants PKCE. */
  readonly verifier: string | undefined;
  /** Of the browser that has to come back, where the client has no challenge. */
  readonly mark: string | undefined;
}

/** 256 random bits in the letters of RFC 7636 section 4.1. */
export const makeVerifier = (): string => randomBytes(32).toString('base64url');

/** Its number is the `state`. */
export async function insertFlow(tx: Tx, flow: NewFlow, nowMs: number): Promise<string> {
  await sweep(tx, nowMs);
  const id = randomUUID();
  const at = new Date(nowMs).toISOString();
  const clientStateId = flow.verifier === undefined ? null : randomUUID();
  if (clientStateId !== null)
    await tx.query(
      'insert into auth.oauth_client_states (id, provider_type, code_verifier, created_at) values ($1, $2, $3, $4)',
      [clientStateId, flow.provider, flow.verifier, at],
    );
  const hasCode = isPkce(flow.challenge);
  await tx.query(
    `insert into auth.flow_state (id, auth_code, code_challenge, code_challenge_method, provider_type, authentication_method,
       provider_access_token, provider_refresh_token, invite_token, referrer, oauth_client_state_id, linking_target_id, email_optional,
       created_at, updated_at)
     values ($1, $2, $3, $4, $5, 'oauth', '', '', nullif($6, ''), nullif($7, ''), $8, $9, $10, $11, $11)`,
    [
      id,
      hasCode ? randomUUID() : null,
      // Without a code nobody exchanges anything: the column holds what the browser is known by.
      hasCode ? flow.challenge.code_challenge : (flow.mark ?? null),
      hasCode ? flow.challenge.code_challenge_method.toLowerCase() : null,
      flow.provider,
      flow.inviteToken,
      flow.redirectTo,
      clientStateId,
      flow.linkingTargetId ?? null,
      flow.emailOptional,
      at,
    ],
  );
  return id;
}

async function sweep(tx: Tx, nowMs: number): Promise<void> {
  const dayAgo = new Date(nowMs - 86_400_000).toISOString();
  for (const table of ['auth.flow_state', 'auth.oauth_client_states'])
    await tx.query(
      `delete from ${table} where id in
         (select id from ${table} where created_at < $1 limit ${sweepRows} for update skip locked)`,
      [dayAgo],
    );
}

export async function findFlow(tx: Tx, id: string): Promise<ProviderFlow | undefined> {
  const { rows } = await tx.query<ProviderFlow>('select * from auth.flow_state where id = $1', [id]);
  return rows[0];
}

export const isOver = ({ created_at }: FlowState, nowMs: number): boolean =>
  nowMs > timeMs(created_at) + flowStateSeconds * 1000;

/**
 * Takes it out of the table before the provider is asked, so that of many with one state one goes on: a provider that sees its code a
 * second time takes back what it gave for the first (RFC 6749 section 4.1.2). False: somebody else has it.
 */
export async function takeFlow(tx: Tx, id: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from auth.flow_state where id = $1 and user_id is null', [id]);
  return rowCount === 1;
}

/** Puts it back with the user that it led to: from now on its code can be exchanged, for whoever has the verifier. */
export async function finishFlow(
  tx: Tx,
  flow: ProviderFlow,
  facts: { readonly userId: string; readonly accessToken: string; readonly refreshToken: string },
  nowMs: number,
): Promise<void> {
  await tx.query(
    `insert into auth.flow_state (id, user_id, auth_code, code_challenge, code_challenge_method, provider_type, authentication_method,
       provider_access_token, provider_refresh_token, auth_code_issued_at, invite_token, referrer, oauth_client_state_id,
       linking_target_id, email_optional, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $10)`,
    [
      flow.id,
      facts.userId,
      flow.auth_code,
      flow.code_challenge,
      flow.code_challenge_method,
      flow.provider_type,
      flow.authentication_method,
      facts.accessToken,
      facts.refreshToken,
      new Date(nowMs).toISOString(),
      flow.invite_token,
      flow.referrer,
      flow.oauth_client_state_id,
      flow.linking_target_id,
      flow.email_optional,
      flow.created_at,
    ],
  );
}

export interface ClientState {
  readonly provider_type: string;
  readonly code_verifier: string | null;
  readonly created_at: string;
}

/** Of many, one gets it. */
export async function takeClientState(tx: Tx, id: string): Promise<ClientState | undefined> {
  const { rows } = await tx.query<ClientState>(
    'delete from auth.oauth_client_states where id = $1 returning provider_type, code_verifier, created_at',
    [id],
  );
  return rows[0];
}

export const isClientStateOver = ({ created_at }: ClientState, nowMs: number): boolean =>
  nowMs > timeMs(created_at) + clientStateSeconds * 1000;
