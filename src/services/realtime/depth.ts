// In charge of: how deep a client's JSON may be nested. What is much deeper can be parsed and then not be written down again: `JSON.stringify`
// and Postgres work it off by recursion.

export const maxDepth = 200;

/** Of a value that `JSON.parse` made. */
export function isTooDeep(value: unknown, left = maxDepth): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (left === 0) return true;
  // Loops: it is asked about every message.
  if (Array.isArray(value)) {
    for (const inner of value) if (isTooDeep(inner, left - 1)) return true;
    return false;
  }
  // Sound: an object that is no array.
  for (const name in value) if (isTooDeep((value as Record<string, unknown>)[name], left - 1)) return true;
  return false;
}
