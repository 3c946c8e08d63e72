// In charge of: why credentials were not accepted. Each service gives it its protocol's status, code and words.

/** The distinctions that PostgREST makes, which are the finest of all services, and those of our own keys. Source: PostgREST 14 src/PostgREST/Error.hs `JwtError`. */
export type RefusalReason =
  /** Neither key nor token, and anonymous access is off. */
  | 'missing'
  /** A token, but nothing here to verify it by. */
  | 'no_secret'
  /** An API key that this project does not have. */
  | 'unknown_key'
  /** Keys of our own; the value is the key's name. */
  | 'expired_key'
  | 'revoked_key'
  | 'key_not_for_service'
  | 'key_not_for_address'
  | 'empty'
  | 'wrong_parts'
  /** No token at all behind its two dots: no base64url, no JSON, an algorithm or extension that is not known. */
  | 'malformed'
  /** Not signed: `none`. */
  | 'bad_algorithm'
  | 'no_suitable_key'
  | 'bad_signature'
  /** From an issuer whose keys cannot be had now: neither good nor bad, and not the client's fault. The value is the issuer's name. */
  | 'issuer_unavailable'
  | 'claims_not_an_object'
  | 'expired'
  | 'not_yet_valid'
  | 'issued_in_future'
  | 'not_in_audience'
  | 'exp_not_a_number'
  | 'nbf_not_a_number'
  | 'iat_not_a_number'
  | 'aud_not_text'
  /** A development secret from somewhere else than this machine. */
  | 'development_secret';

export class CredentialsRefused extends Error {
  override readonly name = 'CredentialsRefused';
  readonly reason: RefusalReason;
  /** The offending value where it is no secret: a number of parts, an algorithm, a claim. */
  readonly value: string | undefined;

  constructor(reason: RefusalReason, value?: string, cause?: unknown) {
    super(value === undefined ? reason : `${reason}: ${value}`, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.value = value;
  }
}
