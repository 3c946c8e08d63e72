// In charge of: which extensions a project's SQL needs: those that it creates and only another engine has, and those that it takes for granted.
import { ident } from '../ident.ts';
import { extensions, findExtension } from './registry.ts';

/** Of the extensions that these scripts create, those that PGlite has and the embedded build lacks; by name, each once. */
export function extensionsForPglite(scripts: readonly string[]): readonly string[] {
  const names = new Set(scripts.flatMap(createdExtensions));
  return [...names].filter((name) => {
    const known = findExtension(name);
    return known?.kind === 'elsewhere' && known.pglite !== undefined;
  });
}

/** Those that these scripts use and none of them creates, as hosted projects have them from the start: the statements that create them. */
export function assumedExtensions(scripts: readonly string[]): readonly string[] {
  const plain = scripts.map(withoutComments);
  const created = new Set(scripts.flatMap(createdExtensions));
  return extensions.flatMap((extension) => {
    if (extension.kind === 'elsewhere' || extension.assumed === undefined) return [];
    const { mention, schema } = extension.assumed;
    if (created.has(extension.name) || !plain.some((script) => mention.test(script))) return [];
    const place = schema === undefined ? '' : ` with schema ${ident(schema)}`;
    return [`create extension if not exists ${ident(extension.name)}${place}`];
  });
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
