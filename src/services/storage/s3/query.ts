// In charge of: a query as S3 reads it: unescaped pairs, in their order.
import { invalidRequest } from '../errors.ts';

export interface S3Query {
  has(name: string): boolean;
  /** Of several the first. */
  get(name: string): string | undefined;
  pairs(): readonly (readonly [name: string, value: string])[];
}

/** @throws InvalidRequest for an escape that is none */
export function parseQuery(text: string): S3Query {
  const pairs = text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
      return [unescaped(name), unescaped(value)] as const;
    });
  const first = new Map<string, string>();
  for (const [name, value] of pairs) if (!first.has(name)) first.set(name, value);
  return { has: (name) => first.has(name), get: (name) => first.get(name), pairs: () => pairs };
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (error) {
    throw invalidRequest('The query cannot be read: an escape in it is none', error);
  }
}
