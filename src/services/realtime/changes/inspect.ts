// In charge of: values of JSON as Elixir's `inspect` writes them, since upstream's sentences quote what a client sent that way.

/** Source: Elixir's Inspect protocol; maps with at most 32 keys are in the order of their keys. */
export function inspect(value: unknown): string {
  if (value === null || value === undefined) return 'nil';
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(inspect).join(', ')}]`;
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `%{${entries.map(([key, item]) => `${quoted(key)} => ${inspect(item)}`).join(', ')}}`;
}

/** Also of a list of tuples of texts and booleans, as upstream prints filters. */
export function inspectTuples(tuples: readonly (readonly (string | boolean)[])[]): string {
  return `[${tuples.map((tuple) => `{${tuple.map(inspect).join(', ')}}`).join(', ')}]`;
}

function quoted(text: string): string {
  const inner = text.replace(/["\\\n\r\t\0]|#\{/g, (found) => escapes[found] ?? `\\${found}`);
  return `"${inner}"`;
}

const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0' };
