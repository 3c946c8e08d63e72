// In charge of: which extensions a project's SQL creates that only another engine than the embedded one has.
import { findExtension } from './registry.ts';

/** Of the extensions that these scripts create, those that PGlite has and the embedded build lacks; by name, each once. */
export function extensionsForPglite(scripts: readonly string[]): readonly string[] {
  const names = new Set(scripts.flatMap(createdExtensions));
  return [...names].filter((name) => {
    const known = findExtension(name);
    return known?.kind === 'elsewhere' && known.pglite !== undefined;
  });
}

/** What stands behind CREATE EXTENSION, outside of comments. A script that makes the statement by other means is not seen through. */
function createdExtensions(script: string): readonly string[] {
  const plain = script.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
  return [
    ...plain.matchAll(/\bcreate\s+extension\s+(?:if\s+not\s+exists\s+)?(?:"([^"]+)"|([a-z_][\w$]*))/gi),
  ].map(([, quoted, name]) => quoted ?? name!.toLowerCase());
}
