// In charge of: where in a request the API key stands, read in the same way by whoever verifies it and by whoever counts it.
import { bearerOf } from '../engine/identity/identity.ts';
import type { RequestHead } from './passage.ts';

/** The key that a request brings as such: WebSockets and links cannot set headers, so upstream's gateway reads `?apikey=` as well. */
export function apikeyOf({ headers, query }: RequestHead): string | undefined {
  if (headers.apikey !== undefined) return headers.apikey;
  if (!query.includes('apikey=')) return undefined;
  return new URLSearchParams(query).get('apikey') ?? undefined;
}

/**
 * Which of the project's own keys came with a request that identity has let in; undefined when none did. Never the key itself, as this is
 * written down. A token without a subject is a legacy key, wherever it stands.
 */
export function projectKeyOf(
  head: RequestHead,
  subject: string | undefined,
): 'publishable' | 'secret' | 'legacy' | undefined {
  const { authorization } = head.headers;
  const apikey = apikeyOf(head);
  const key = apikey ?? (authorization === undefined ? undefined : bearerOf(authorization));
  if (key === undefined || key === '') return undefined;
  if (key.startsWith('sb_publishable_')) return 'publishable';
  if (key.startsWith('sb_secret_')) return 'secret';
  return apikey !== undefined || subject === undefined ? 'legacy' : undefined;
}
