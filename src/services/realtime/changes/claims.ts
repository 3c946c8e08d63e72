// In charge of: who counts as one: callers of a role who have the same claims wherever the policies can read.
import type { Caller } from '../../../engine/identity/caller.ts';
import type { RoleFacts } from './facts.ts';

/** The same text for callers who get the same answers under these policies. */
export function claimsKey(caller: Caller, { claims }: RoleFacts): string {
  if (claims === 'all') return caller.claims;
  if (claims.length === 0) return '';
  const parsed = parseClaims(caller.claims);
  if (parsed === undefined) return caller.claims;
  // With their names: the same values under other names are somebody else, and what a call gives is remembered by this.
  return JSON.stringify(
    claims.flatMap((name) => (Object.hasOwn(parsed, name) ? [[name, parsed[name]]] : [])),
  );
}

/** Undefined: two texts that differ could read the same here, as of numbers that JavaScript does not hold. */
function parseClaims(claims: string): Readonly<Record<string, unknown>> | undefined {
  try {
    let isExact = true;
    const parsed: unknown = JSON.parse(claims, (_, value: unknown) => {
      if (typeof value === 'number' && !Number.isSafeInteger(value)) isExact = false;
      return value;
    });
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
    // Sound: it has just been looked at.
    return isExact && isObject ? (parsed as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}
