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
}
