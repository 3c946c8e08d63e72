// In charge of: how deep a client's JSON may be nested. What is much deeper can be parsed and then not be written down again: `JSON.stringify`
// and Postgres work it off by recursion.

const maxDepth = 200;

export function isTooDeep(value: unknown, left = maxDepth): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (left === 0) return true;
  return Object.values(value).some((inner) => isTooDeep(inner, left - 1));
}
