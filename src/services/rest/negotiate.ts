// In charge of: what an answer is rendered as: the first accepted media type that there is a handler for.
// Source: PostgREST 14.12, src/PostgREST/Plan.hs (negotiateContent); docs/references/api/media_type_handlers.rst.
import { type Catalog, type MediaHandler, type Name, sameName } from '../../engine/catalog/catalog.ts';
import type { Output } from '../../engine/query/compile/output.ts';
import { noMediaType } from './errors.ts';
import { type MediaType, parseMediaType, renderMediaType } from './parse/media-type.ts';

export interface Rendering {
  readonly output: Output;
  /** What the answer says it is. */
  readonly mediaType: MediaType;
}

const json: MediaType = { kind: 'known', name: 'application/json' };
const jsonArray: Output = { kind: 'array', stripNulls: false };

/**
 * @param target the relation (or function) that is answered for
 * @param wholeRows nothing was picked out by `select`: handlers of the relation's own get its rows
 * @throws PGRST107 when nothing accepted can be given.
 */
export function negotiate(
  catalog: Catalog,
  accepted: readonly MediaType[],
  target: Name,
  wholeRows: boolean,
  plansEnabled: boolean,
): Rendering {
  for (const type of accepted) {
    const found = render(catalog, type, target, wholeRows, plansEnabled);
    if (found) return found;
  }
  throw noMediaType(accepted.map(renderMediaType));
}

function render(
  catalog: Catalog,
  type: MediaType,
  target: Name,
  wholeRows: boolean,
  plansEnabled: boolean,
): Rendering | undefined {
  // The vendored types have parameters and cannot be taken over by a handler of the project's.
  if (type.kind === 'object')
    return { output: { kind: 'object', stripNulls: type.stripNulls }, mediaType: type };
  if (type.kind === 'array-stripped') return { output: { kind: 'array', stripNulls: true }, mediaType: type };
  if (type.kind === 'plan') {
    const explained = plansEnabled ? render(catalog, type.of, target, wholeRows, false) : undefined;
    return explained && { output: explained.output, mediaType: type };
  }
  const name = renderMediaType(type).toLowerCase();
  const own = wholeRows
    ? (handlerFor(catalog, target, '*/*') ?? handlerFor(catalog, target, name))
    : undefined;
  const custom = own ?? handlerFor(catalog, undefined, name);
  if (custom) {
    return {
      output: {
        kind: 'custom',
        function: custom.function,
        target: custom.target,
        isBytes: custom.isBytes,
        isBinaryJson: custom.isBinaryJson,
      },
      mediaType: parseMediaType(custom.contentType),
    };
  }
  switch (name) {
    case '*/*':
    case 'application/json':
      return { output: jsonArray, mediaType: json };
    case 'text/csv':
      return { output: { kind: 'csv' }, mediaType: type };
    case 'application/geo+json':
      return { output: { kind: 'geojson' }, mediaType: type };
  }
  return undefined;
}

function handlerFor(catalog: Catalog, target: Name | undefined, mediaType: string): MediaHandler | undefined {
  return catalog.mediaHandlers.find(
    (handler) =>
      handler.mediaType === mediaType &&
      (target === undefined
        ? handler.target === undefined
        : handler.target !== undefined && sameName(handler.target, target)),
  );
}
