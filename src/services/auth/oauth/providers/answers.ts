// In charge of: reading what a provider says of a user, as Go's JSON reads it into a struct: what is absent or null is empty, what is of
// another type is an error. And what is told of it further on. Source: supabase/auth internal/api/provider/provider.go `Claims`.
import type { JsonObject } from '../../go-json.ts';
import type { Metadata, ProviderEmail } from '../provider.ts';

/** @throws Error for a member that is not text */
export function textAt(answer: unknown, ...path: readonly string[]): string {
  const value = memberAt(answer, path);
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw wrongType(path, 'text');
  return value;
}

/** @throws Error for a member that is no whole number */
export function numberAt(answer: unknown, ...path: readonly string[]): number {
  const value = memberAt(answer, path);
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrongType(path, 'a whole number');
  return value;
}

/** @throws Error for a member that is not true or false */
export function flagAt(answer: unknown, ...path: readonly string[]): boolean {
  const value = memberAt(answer, path);
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw wrongType(path, 'true or false');
  return value;
}

/** @throws Error for a member that is no list, and for one that is too long */
export function listAt(answer: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = memberAt(answer, path);
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrongType(path, 'a list');
  if (value.length > maxListed) throw new Error(`"${path.join('.')}" has more than ${maxListed} entries.`);
  return value;
}

/** Nobody has that many mail addresses or pictures. */
const maxListed = 1000;

/** @throws Error where an object should be on the way and something else is */
export function memberAt(answer: unknown, path: readonly string[]): unknown {
  let value = answer;
  for (const [at, name] of path.entries()) {
    if (value === undefined || value === null) return undefined;
    if (!isObject(value)) throw wrongType(path.slice(0, at), 'an object');
    value = Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrongType(path: readonly string[], expected: string): Error {
  return new Error(`"${path.join('.')}" in what the provider says of the user is not ${expected}.`);
}

/** Upstream's `Claims` as they are stored: what is empty is left out, but for the two flags. */
export function metadata(facts: JsonObject & { readonly sub: string }): Metadata {
  const told = Object.entries(facts).filter(
    ([name, value]) => name === 'sub' || (value !== '' && value !== undefined && value !== 0),
  );
  return { email_verified: false, phone_verified: false, ...Object.fromEntries(told), sub: facts.sub };
}

/** The one address of a user; none when it is empty. */
export function oneEmail(email: string, verified: boolean): readonly ProviderEmail[] {
  return email === '' ? [] : [{ email, verified, primary: true }];
}
