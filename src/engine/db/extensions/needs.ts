// In charge of: which extensions a project's SQL needs: those that it creates and only another engine has, and those that it takes for granted.
import { extensions, findExtension } from './registry.ts';

/** Of the extensions that these scripts create, those that PGlite has and the embedded build lacks; by name, each once. */
export function extensionsForPglite(scripts: readonly string[]): readonly string[] {
  const names = new Set(scripts.flatMap(createdExtensions));
  return [...names].filter((name) => {
    const known = findExtension(name);
    return known?.kind === 'elsewhere' && known.pglite !== undefined;
  });
}

/** Those whose schema these scripts name, as hosted projects have them from the start, and that none of them creates; by name. */
export function assumedExtensions(scripts: readonly string[]): readonly string[] {
  const assumed = extensions.filter((one) => one.kind === 'absent' && one.isAssumed === true);
  return assumed
    .filter(({ name, ...one }) => {
      const schema = 'schema' in one && one.schema !== undefined ? one.schema : name;
      const named = new RegExp(`(?<![\\w$])(?:"${schema}"|${schema})\\s*\\.`, 'i');
      return (
        scripts.some((script) => named.test(withoutComments(script))) &&
        !scripts.some((script) => createdExtensions(script).includes(name))
      );
    })
    .map(({ name }) => name);
}

/** What stands behind CREATE EXTENSION, outside of comments. A script that makes the statement by other means is not seen through. */
function createdExtensions(script: string): readonly string[] {
  return [
    ...withoutComments(script).matchAll(
      /\bcreate\s+extension\s+(?:if\s+not\s+exists\s+)?(?:"([^"]+)"|([a-z_][\w$]*))/gi,
    ),
  ].map(([, quoted, name]) => quoted ?? name!.toLowerCase());
}

function withoutComments(script: string): string {
  return script.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
}
