// In charge of: PostgreSQL's own parser, as WASM. Loaded when there is something to parse: a start that finds everything applied does without.
import type { parseSync } from 'libpg-query';

let parser: typeof parseSync | undefined;

/** Loads the parser, once. */
export async function loadParser(): Promise<void> {
  if (parser !== undefined) return;
  const module = await import('libpg-query');
  await module.loadModule();
  parser = module.parseSync;
}

/** The tree of a text. Pure once the parser is loaded. @throws what the parser says of text that is no SQL. */
export function parseSql(text: string): ReturnType<typeof parseSync> {
  if (parser === undefined) throw new Error('the parser is not loaded: loadParser() comes first');
  return parser(text);
}
