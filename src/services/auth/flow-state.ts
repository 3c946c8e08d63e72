// In charge of: sign-ins by PKCE that have begun: the challenge of the client, and the code that it gets for its verifier, once.
// Source: supabase/auth internal/models/flow_state.go, internal/api/pkce.go, internal/security/pkce.go.
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { badRequest } from './errors.ts';
import type { AuthenticationMethod } from './sessions.ts';
import type { Tx } from './transaction.ts';

/** Source: supabase/auth internal/conf/configuration.go `defaultFlowStateExpiryDuration`. */
export const flowStateSeconds = 300;
const minChallengeLength = 43;
const maxChallengeLength = 128;

export interface Challenge {
  readonly code_challenge: string;
  readonly code_challenge_method: string;
}

export const isPkce = ({ code_challenge }: Challenge): boolean => code_challenge !== '';

/** @throws Fault 400 validation_failed. Source: RFC 7636 section 4.2. */
export function checkChallenge({
  code_challenge: challenge,
  code_challenge_method: method,
}: Challenge): void {
  if ((challenge === '') !== (method === ''))
    throw badRequest('validation_failed', 'PKCE flow requires code_challenge_method and code_challenge');
  if (challenge === '') return;
  if (challenge.length < minChallengeLength || challenge.length > maxChallengeLength)
    throw badRequest(
      'validation_failed',
      `code challenge has to be between ${minChallengeLength} and ${maxChallengeLength} characters`,
    );
  if (!/^[a-zA-Z._~0-9-]+$/.test(challenge))
    throw badRequest(
      'validation_failed',
      'code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes',
    );
  if (!/^(?:s256|plain)$/i.test(method))
    throw badRequest('validation_failed', `unsupported code_challenge method ${JSON.stringify(method)}`);
}

export interface FlowState {
  readonly id: string;
  readonly user_id: string | null;
  readonly auth_code: string | null;
  readonly code_challenge: string | null;
  readonly code_challenge_method: 's256' | 'plain' | null;
  readonly provider_type: string;
  readonly provider_access_token: string | null;
  readonly provider_refresh_token: string | null;
  readonly authentication_method: AuthenticationMethod;
  readonly auth_code_issued_at: string | null;
  readonly referrer: string | null;
  readonly created_at: string;
}

export async function insertFlowState(
  tx: Tx,
  facts: {
    readonly userId: string;
    readonly provider: string;
    readonly method: AuthenticationMethod;
    readonly challenge: Challenge;
  },
  nowMs: number,
): Promise<void> {
  const { code_challenge: challenge, code_challenge_method: method } = facts.challenge;
  await tx.query(
    `insert into auth.flow_state (id, user_id, auth_code, code_challenge, code_challenge_method, provider_type, authentication_method,
       provider_access_token, provider_refresh_token, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, '', '', $8, $8)`,
    [
      randomUUID(),
      facts.userId,
      randomUUID(),
      challenge,
      method.toLowerCase(),
      facts.provider,
      facts.method,
      new Date(nowMs).toISOString(),
    ],
  );
}

/** The code of the sign-in that the user began last in this way; from now on it can be exchanged. Undefined: there is none. */
export async function issueAuthCode(
  tx: Tx,
  userId: string,
  method: AuthenticationMethod,
  nowMs: number,
): Promise<string | undefined> {
  const { rows } = await tx.query<Pick<FlowState, 'auth_code'>>(
    `update auth.flow_state set auth_code_issued_at = $3, updated_at = $3
     where id = (select id from auth.flow_state where user_id = $1 and authentication_method = $2
       and code_challenge is not null order by created_at desc limit 1)
     returning auth_code`,
    [userId, method, new Date(nowMs).toISOString()],
  );
  return rows[0]?.auth_code ?? undefined;
}

export async function findFlowState(tx: Tx, authCode: string): Promise<FlowState | undefined> {
  const { rows } = await tx.query<FlowState>('select * from auth.flow_state where auth_code = $1 limit 1', [
    authCode,
  ]);
  return rows[0];
}

/** Of many who come with one code, one gets true. */
export async function takeFlowState(tx: Tx, id: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from auth.flow_state where id = $1', [id]);
  return rowCount === 1;
}

export function fitsVerifier(
  { code_challenge, code_challenge_method }: FlowState,
  verifier: string,
): boolean {
  const challenge = Buffer.from(code_challenge ?? '');
  const given = Buffer.from(
    code_challenge_method === 'plain' ? verifier : createHash('sha256').update(verifier).digest('base64url'),
  );
  return challenge.length === given.length && timingSafeEqual(challenge, given);
}
