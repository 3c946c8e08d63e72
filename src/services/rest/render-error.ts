// In charge of: any error in the Data API's shape. Source: PostgREST 14.12, src/PostgREST/Error.hs.
import { Fault } from '../../base/errors.ts';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import { CredentialsRefused, type RefusalReason } from '../../engine/identity/refused.ts';
import type { Answer } from '../../engine/service/http.ts';
import { faultOfPostgres, isPostgresError } from './postgres-errors.ts';
import { respondFault } from './respond.ts';

/** `authenticated`: whether the caller has another role than the anonymous one. */
export function renderError(error: unknown, authenticated = false): Answer {
  return respondFault(faultOf(error, authenticated));
}

export function faultOf(error: unknown, authenticated: boolean): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof CredentialsRefused) return refusedFault(error);
  if (error instanceof DatabaseUnavailable) return unavailableFault(error);
  if (isPostgresError(error)) return faultOfPostgres(error, authenticated);
  return new Fault(
    { status: 500, code: bugCode, message: 'Something went wrong here. The log of the server says what.' },
    error,
  );
}

/** Nothing that the wire has a word for: a mistake of ours, whose cause belongs into the log. */
export function isBug(error: unknown): boolean {
  return faultOf(error, false).code === bugCode;
}

const bugCode = 'PGRSTX00';

function unavailableFault(error: DatabaseUnavailable): Fault {
  const headers = { 'Retry-After': String(error.retryAfterSeconds) };
  if (error.reason === 'unreachable') {
    return new Fault(
      {
        status: 503,
        code: 'PGRST000',
        message: 'Database connection error. Retrying the connection.',
        details: error.message,
        headers,
      },
      error,
    );
  }
  return new Fault(
    {
      status: 504,
      code: 'PGRST003',
      message: 'Timed out acquiring connection from connection pool.',
      headers,
    },
    error,
  );
}

/** An issuer that failed is asked again within half a minute at the latest. */
const issuerRetrySeconds = 30;

type Refusal = readonly [code: string, message: string, details?: string];

const refusals: Readonly<Record<RefusalReason, Refusal>> = {
  missing: ['PGRST302', 'Anonymous access is disabled'],
  no_secret: ['PGRST300', 'Server lacks JWT secret'],
  unknown_key: ['PGRST301', 'Unknown API key'],
  // Upstream has no such keys; of the codes its own are for credentials that do not hold, ours for those that do, elsewhere.
  expired_key: ['PGRST301', 'API key expired'],
  revoked_key: ['PGRST301', 'API key revoked'],
  key_not_for_service: ['key_not_for_service', 'The API key is not for this service'],
  key_not_for_address: ['key_not_for_address', 'The API key is not for this address'],
  empty: ['PGRST301', 'Empty JWT is sent in Authorization header'],
  wrong_parts: ['PGRST301', 'Expected 3 parts in JWT; got '],
  // Source: PostgREST 14 test/io/test_auth.py "complete token but random characters".
  malformed: ['PGRST301', 'JWT cryptographic operation failed'],
  bad_algorithm: [
    'PGRST301',
    'Wrong or unsupported encoding algorithm',
    "JWT is unsecured but expected 'alg' was not 'none'",
  ],
  no_suitable_key: [
    'PGRST301',
    'No suitable key or wrong key type',
    'No suitable key was found to decode the JWT',
  ],
  // Upstream tries each key and keeps no reason: a wrong signature reads like a wrong key. Source: test/io/test_auth.py.
  bad_signature: [
    'PGRST301',
    'No suitable key or wrong key type',
    'None of the keys was able to decode the JWT',
  ],
  // Upstream fetches no keys. A code of ours, and no 401: the token may be good, and a client that signs its user out would be wrong.
  issuer_unavailable: ['issuer_unavailable', "The keys of the token's issuer cannot be fetched"],
  claims_not_an_object: ['PGRST303', 'Parsing claims failed'],
  expired: ['PGRST303', 'JWT expired'],
  not_yet_valid: ['PGRST303', 'JWT not yet valid'],
  issued_in_future: ['PGRST303', 'JWT issued at future'],
  not_in_audience: ['PGRST303', 'JWT not in audience'],
  exp_not_a_number: ['PGRST303', "The JWT 'exp' claim must be a number"],
  nbf_not_a_number: ['PGRST303', "The JWT 'nbf' claim must be a number"],
  iat_not_a_number: ['PGRST303', "The JWT 'iat' claim must be a number"],
  aud_not_text: ['PGRST303', "The JWT 'aud' claim must be a string or an array of strings"],
  development_secret: ['PGRST301', 'A development key is only accepted from this machine'],
};

/** What a good key is used for where it may not be. Source: RFC 6750 section 3.1 `insufficient_scope`. */
const forbidden: ReadonlySet<RefusalReason> = new Set(['key_not_for_service', 'key_not_for_address']);

const hints: Partial<Readonly<Record<RefusalReason, string>>> = {
  expired_key: 'Make another with `millrace keys create`.',
  revoked_key: 'Make another with `millrace keys create`.',
  key_not_for_service: '`millrace keys list` shows what a key is for.',
  key_not_for_address: '`millrace keys list` shows what a key is for.',
  development_secret:
    'Make keys of your own with `millrace keys new`; for a tunnel set gateway.development_tunnel.',
};

/** Those whose value says what it was about. */
const named: ReadonlySet<RefusalReason> = new Set([
  'development_secret',
  'expired_key',
  'revoked_key',
  ...forbidden,
]);

function refusedFault({ reason, value }: CredentialsRefused): Fault {
  const [code, words, details = null] = refusals[reason];
  if (reason === 'no_secret') return new Fault({ status: 500, code, message: words });
  if (reason === 'issuer_unavailable') {
    const headers = { 'Retry-After': String(issuerRetrySeconds) };
    return new Fault({ status: 503, code, message: words, details: value ?? null, headers });
  }
  const message = reason === 'wrong_parts' ? words + (value ?? '') : words;
  const isForbidden = forbidden.has(reason);
  const error = isForbidden ? 'insufficient_scope' : 'invalid_token';
  const challenge =
    reason === 'missing' ? 'Bearer' : `Bearer error="${error}", error_description=${JSON.stringify(message)}`;
  return new Fault({
    status: isForbidden ? 403 : 401,
    code,
    message,
    details: named.has(reason) ? (value ?? null) : details,
    hint: hints[reason] ?? null,
    headers: { 'WWW-Authenticate': challenge },
  });
}
