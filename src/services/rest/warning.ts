// In charge of: the `Warning` of an answer: what the request did that will not always be possible.
// Source: PostgREST 16, src/library/PostgREST/App.hs (warningHeaders), Plan.hs (legacyWarnings); docs "url-use-legacy-target-names".
import type { ReadNode } from '../../engine/query/ast.ts';

/** Of filters, orders and limits that name an embed by its relation though it has an alias. */
export function renderWarning(read: ReadNode): string | undefined {
  const renamed = renamedEmbeds(read);
  if (renamed.length === 0) return undefined;
  const changes = renamed.map(({ name, alias }) => `\`${name}\` to \`${alias}\``).join(', ');
  return `299 PostgRESTv16 "${quotable(`${sentence} Update ${changes} in query string filters, orders or limits.`)}"`;
}

const sentence =
  'Embedded resource was referenced by relation name even though it has an alias. This is deprecated and will stop working in a future release.';

function renamedEmbeds(node: ReadNode): readonly ReadNode[] {
  const below = node.embeds.flatMap(renamedEmbeds);
  return node.namedByRelation ? [node, ...below] : below;
}

/** An alias is the client's and may hold anything; a header cannot carry it all. */
function quotable(text: string): string {
  return text
    .replace(/["\\]/g, '\\$&')
    .replace(/[^\x20-\x7e]+/gu, (found) => encodeURIComponent(found.toWellFormed()));
}
