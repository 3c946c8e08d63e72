// In charge of: why a token does not hold, in the words of the library that upstream verifies by.
// Source: panva/jose src/util/errors.ts, src/jwt/verify.ts, src/jws/compact/verify.ts, src/lib/jwt_claims_set.ts.
import type { CredentialsRefused } from '../../engine/identity/refused.ts';

export function refusedWords({ reason, value }: CredentialsRefused): string {
  switch (reason) {
    case 'expired':
      return '"exp" claim timestamp check failed';
    case 'not_yet_valid':
      return '"nbf" claim timestamp check failed';
    case 'issued_in_future':
      return '"iat" claim timestamp check failed (it should be in the past)';
    case 'bad_signature':
    case 'no_suitable_key':
      return 'signature verification failed';
    case 'bad_algorithm':
      return '"alg" (Algorithm) Header Parameter value not allowed';
    case 'claims_not_an_object':
      return 'JWT Claims Set must be a top-level JSON object';
    case 'not_in_audience':
      return 'unexpected "aud" claim value';
    case 'exp_not_a_number':
      return '"exp" claim must be a number';
    case 'nbf_not_a_number':
      return '"nbf" claim must be a number';
    case 'iat_not_a_number':
      return '"iat" claim must be a number';
    // Upstream's gateway writes an empty token where there is none. Source: supabase/cli apps/cli-go/internal/start/templates/kong.yml.
    case 'missing':
    case 'empty':
    case 'wrong_parts':
    case 'malformed':
    case 'aud_not_text':
      return 'Invalid Compact JWS';
    case 'unknown_key':
      return 'Unregistered API key';
    case 'expired_key':
      return `The API key "${value}" has expired`;
    case 'revoked_key':
      return `The API key "${value}" has been revoked`;
    case 'key_not_for_service':
      return `The API key "${value}" is not for files`;
    case 'key_not_for_address':
      return `The API key "${value}" is not for this address`;
    case 'no_secret':
    case 'issuer_unavailable':
      return 'The token cannot be verified now';
    case 'development_secret':
      return 'This is a development secret, which this server takes from its own machine alone';
  }
}
