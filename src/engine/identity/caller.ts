// In charge of: who asks, as verified by the gateway.

export interface Caller {
  /** The database role: `anon`, `authenticated`, `service_role`, or a role of the project's own. */
  readonly role: string;
  /** The JWT's claims, as the JSON text that `request.jwt.claims` holds; `{"role":"anon"}` without a token. */
  readonly claims: string;
  /** The `sub` claim, where there is one. */
  readonly subject: string | undefined;
  /** Whether a user's or a legacy key's token was presented, or only a key, or nothing. */
  readonly by: 'token' | 'key' | 'nothing';
  /** The token is another issuer's: what it says of a session is not about one of ours. */
  readonly isForeign?: true;
  /** The key of our own that was presented, alone or beside a user's token. Its scope holds for both. */
  readonly key?: CallerKey;
}

export interface CallerKey {
  readonly id: string;
  readonly name: string;
  /** The services that it is for; undefined: all. */
  readonly services: readonly string[] | undefined;
  /** What the tables and functions that it is for begin with; undefined: all. A service that knows no tables refuses a key that has this. */
  readonly tables: readonly TablePrefix[] | undefined;
}

export interface TablePrefix {
  /** Undefined: in any schema. */
  readonly schema: string | undefined;
  /** Empty: everything in the schema. */
  readonly prefix: string;
}
