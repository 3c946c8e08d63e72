// In charge of: which of the platform's tables hold rows that are a project's: what moves with it to another server.

/** By schema. Left out: what is only for a moment (challenges, states of sign-ins under way), and what a service remembers of itself. */
export const rowsOfPlatform: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    auth: `users identities sessions refresh_tokens mfa_factors mfa_amr_claims one_time_tokens sso_providers sso_domains saml_providers
      oauth_clients oauth_consents custom_oauth_providers webauthn_credentials audit_log_entries`,
    storage: 'buckets buckets_analytics objects',
    supabase_migrations: 'schema_migrations seed_files',
  }).map(([schema, names]) => [schema, new Set(names.trim().split(/\s+/))]),
);

/** What is worth something only together with the secret or key that signed the tokens beside it. */
export const sessionTables: ReadonlySet<string> = new Set(['sessions', 'refresh_tokens', 'mfa_amr_claims']);
