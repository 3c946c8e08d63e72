// In charge of: what an application may ask to see of a user. Source: supabase/auth internal/models/oauth_scope.go.

export const supportedScopes = ['openid', 'profile', 'email', 'phone', 'offline_access'] as const;
export type Scope = (typeof supportedScopes)[number];

const supported: ReadonlySet<string> = new Set(supportedScopes);

export const parseScopes = (text: string): readonly string[] =>
  text.split(' ').filter((scope) => scope.trim() !== '');

/** The first that there is not; undefined when all are known. */
export const unknownScope = (scopes: readonly string[]) => scopes.find((scope) => !supported.has(scope));

export const coversScopes = (granted: readonly string[], asked: readonly string[]) =>
  asked.every((scope) => granted.includes(scope));
