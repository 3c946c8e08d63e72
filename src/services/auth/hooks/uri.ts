// In charge of: what the address and the secrets of a hook mean.
// Source: supabase/auth internal/conf/configuration.go `ValidateExtensibilityPoint`, `HTTPHookSecrets.Decode`; supabase/cli pkg/config/config.go.

export type HookTarget =
  | { readonly kind: 'function'; readonly schema: string; readonly name: string }
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'nothing' };

export function parseHookUri(text: string): HookTarget {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return nothing;
  }
  if (url.protocol === 'pg-functions:') {
    const [, schema = '', name = ''] = url.pathname.split('/');
    return isName.test(schema) && isName.test(name) ? { kind: 'function', schema, name } : nothing;
  }
  if (url.username !== '' || url.password !== '') return nothing;
  if (url.protocol === 'https:') return { kind: 'http', url: text };
  return url.protocol === 'http:' && onThisMachine.has(url.hostname) ? { kind: 'http', url: text } : nothing;
}

/**
 * What a client is told of a hook's address when asking it failed: as upstream, and nothing that could open something. The address of an
 * HTTP hook may hold a key in its query, that of a function a login that nobody asked for.
 */
export function shownUri(text: string): string {
  return URL.canParse(text) ? text.replace(/[?#].*$/s, '').replace(/^([^/]+\/\/)[^/]*@/, '$1') : '';
}

const nothing: HookTarget = { kind: 'nothing' };
/** Quotes cannot be in it, so that the name can stand in a statement. */
const isName = /^[a-zA-Z_][a-zA-Z0-9_]{0,62}$/;
const onThisMachine: ReadonlySet<string> = new Set([
  'localhost',
  '127.0.0.1',
  '[::1]',
  'host.docker.internal',
]);

/** Text with `|` between them, or a list; undefined when one is no secret. */
export function parseSecrets(raw: unknown): readonly string[] | undefined {
  const parts = typeof raw === 'string' ? raw.split('|').filter((part) => part !== '') : raw;
  if (!Array.isArray(parts) || parts.length > maxSecrets) return undefined;
  return parts.every((part): part is string => typeof part === 'string' && isSecret.test(part))
    ? parts
    : undefined;
}

/** One that is in use and one that follows it would do. */
const maxSecrets = 16;
const isSecret = /^v1,whsec_[A-Za-z0-9+/=]{32,88}$/;
