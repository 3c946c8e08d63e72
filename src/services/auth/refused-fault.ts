// In charge of: credentials that do not hold, in GoTrue's words. A token that is wrong is 403 `bad_jwt`; a key, of which GoTrue knows nothing,
// is refused as the gateway in front of it does, with 401.
// Source: supabase/auth internal/api/auth.go `parseJWTClaims`; golang-jwt v5 errors.go for the reasons.
import { Fault } from '../../base/errors.ts';
import type { CredentialsRefused, RefusalReason } from '../../engine/identity/refused.ts';

export function refusedFault({ reason, value }: CredentialsRefused): Fault {
  const ofKey = keyRefusals[reason];
  if (ofKey !== undefined) {
    const [status, message] = ofKey;
    return new Fault({ status, code: 'no_authorization', message: value ? `${message}: ${value}` : message });
  }
  if (reason === 'issuer_unavailable') {
    const message = "The keys of the token's issuer cannot be fetched now.";
    const headers = { 'retry-after': '30' };
    return new Fault({ status: 503, code: 'unexpected_failure', message, headers });
  }
  const why = tokenRefusals[reason] ?? 'token is malformed';
  const message = `invalid JWT: unable to parse or verify signature, ${why}`;
  return new Fault({ status: 403, code: 'bad_jwt', message });
}

/** Whether it was the token, and not the API key, that was refused. */
export function isAboutToken(reason: RefusalReason): boolean {
  return keyRefusals[reason] === undefined && reason !== 'issuer_unavailable';
}

type KeyRefusal = readonly [status: number, message: string];

const keyRefusals: Partial<Readonly<Record<RefusalReason, KeyRefusal>>> = {
  missing: [401, 'No API key found in request'],
  unknown_key: [401, 'Invalid API key'],
  expired_key: [401, 'API key expired'],
  revoked_key: [401, 'API key revoked'],
  key_not_for_service: [403, 'The API key is not for this service'],
  key_not_for_address: [403, 'The API key is not for this address'],
  development_secret: [401, 'A development key is only accepted from this machine'],
};

const tokenRefusals: Partial<Readonly<Record<RefusalReason, string>>> = {
  empty: 'token is malformed: token contains an invalid number of segments',
  wrong_parts: 'token is malformed: token contains an invalid number of segments',
  malformed: 'token is malformed',
  bad_algorithm: 'token signature is invalid: signing method none is invalid',
  no_secret: 'token is unverifiable: no key',
  no_suitable_key: 'token is unverifiable: error while executing keyfunc: unrecognized JWT kid or algorithm',
  bad_signature: 'token signature is invalid: signature is invalid',
  claims_not_an_object: 'token is malformed: could not JSON decode claim',
  expired: 'token has invalid claims: token is expired',
  not_yet_valid: 'token has invalid claims: token is not valid yet',
  issued_in_future: 'token has invalid claims: token used before issued',
  not_in_audience: 'token has invalid claims: token has invalid audience',
  exp_not_a_number: 'token has invalid claims: exp is invalid',
  nbf_not_a_number: 'token has invalid claims: nbf is invalid',
  iat_not_a_number: 'token has invalid claims: iat is invalid',
  aud_not_text: 'token has invalid claims: aud is invalid',
};
