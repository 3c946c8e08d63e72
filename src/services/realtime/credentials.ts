// In charge of: who a channel's token makes it, until when, and what is said where it does not hold.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel.ex `confirm_token`, user_socket.ex `error_response`.
import type { Caller } from '../../engine/identity/caller.ts';
import type { Identity } from '../../engine/identity/identity.ts';
import { CredentialsRefused } from '../../engine/identity/refused.ts';

/** What a connection came with. */
export interface ConnectionCredentials {
  /** The project's key, or a token in its place. */
  readonly apikey: string | undefined;
  readonly address: string;
}

/** Keys stand where a token may: upstream then goes by the key that the connection came with. */
export const isKey = (token: string) => token.startsWith('sb_');

/**
 * @param token undefined: the connection's key decides
 * @throws CredentialsRefused
 */
export async function callerBy(
  identity: Pick<Identity, 'callerOf'>,
  token: string | undefined,
  { apikey, address }: ConnectionCredentials,
  nowMs: number,
): Promise<Caller> {
  const own = token === undefined || isKey(token) ? undefined : `Bearer ${token.replaceAll(/\s/g, '')}`;
  const caller = await identity.callerOf(own, apikey, 'realtime', address === '' ? undefined : address);
  // A request may come with one that has just ended; a channel would stay open with it.
  const endedAt = expiryOf(caller);
  if (endedAt !== undefined && endedAt <= nowMs / 1000)
    throw new CredentialsRefused('expired', String(endedAt));
  return caller;
}

/** When the caller's token ends, in Unix seconds; undefined: it does not. */
function expiryOf({ claims, by }: Caller): number | undefined {
  if (by !== 'token') return undefined;
  const { exp } = JSON.parse(claims) as { exp?: unknown };
  return typeof exp === 'number' ? exp : undefined;
}

/** Upstream's code and sentence. */
export function refusalOf(
  error: CredentialsRefused,
  nowMs: number,
): { readonly code: string; readonly sentence: string } {
  switch (error.reason) {
    case 'expired': {
      const ago = Number(error.value);
      const seconds = Number.isFinite(ago) ? Math.max(1, Math.floor(nowMs / 1000) - ago) : undefined;
      return {
        code: 'InvalidJWTToken',
        sentence: seconds === undefined ? 'Token has expired' : `Token has expired ${seconds} seconds ago`,
      };
    }
    case 'wrong_parts':
    case 'malformed':
    case 'empty':
    case 'claims_not_an_object':
      return { code: 'MalformedJWT', sentence: 'The token provided is not a valid JWT' };
    case 'bad_signature':
      return { code: 'JwtSignatureError', sentence: 'Failed to validate JWT signature' };
    case 'no_suitable_key':
    case 'bad_algorithm':
    case 'no_secret':
      return {
        code: 'JwtSignerError',
        sentence: 'Failed to generate JWT signer, check your JWT secret or JWKS configuration',
      };
    case 'missing':
      return { code: 'MissingAPIKey', sentence: 'API key is missing' };
    case 'exp_not_a_number':
      return { code: 'InvalidJWTToken', sentence: 'Token expiration time is invalid' };
    default:
      return { code: 'Unauthorized', sentence: `The credentials do not hold: ${error.reason}` };
  }
}

export function isRefused(error: unknown): error is CredentialsRefused {
  return error instanceof CredentialsRefused;
}
