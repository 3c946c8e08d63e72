// In charge of: media types, as they are asked for (Accept), sent (Content-Type) and answered.
// Source: PostgREST 14.12, src/PostgREST/MediaType.hs; docs/references/api/media_type_handlers.rst.

export type PlanOption = 'analyze' | 'verbose' | 'settings' | 'buffers' | 'wal';

export type MediaType =
  | { readonly kind: 'known'; readonly name: KnownName }
  | { readonly kind: 'any' }
  | { readonly kind: 'array-stripped' }
  | { readonly kind: 'object'; readonly stripNulls: boolean }
  | {
      readonly kind: 'plan';
      readonly of: MediaType;
      readonly format: 'text' | 'json';
      readonly options: readonly PlanOption[];
    }
  | { readonly kind: 'other'; readonly name: string };

export type KnownName =
  | 'application/json'
  | 'application/geo+json'
  | 'text/csv'
  | 'text/plain'
  | 'text/xml'
  | 'application/openapi+json'
  | 'application/x-www-form-urlencoded'
  | 'application/octet-stream';

const knownNames: readonly KnownName[] = [
  'application/json',
  'application/geo+json',
  'text/csv',
  'text/plain',
  'text/xml',
  'application/openapi+json',
  'application/x-www-form-urlencoded',
  'application/octet-stream',
];

const planOptions: readonly PlanOption[] = ['analyze', 'verbose', 'settings', 'buffers', 'wal'];

/** A media type may stand in the parameter of a plan's, but not deeper. */
export function parseMediaType(text: string, nested = false): MediaType {
  const match = /^([A-Za-z0-9.*]+)\/([A-Za-z0-9.*+-]+)/.exec(text);
  if (!match) return { kind: 'other', name: text };
  const name = match[0].toLowerCase();
  const parameters = parseParameters(text.slice(match[0].length));
  const known = knownNames.find((one) => one === name);
  if (known) return { kind: 'known', name: known };
  const stripNulls = parameters.get('nulls') === 'stripped';
  switch (name) {
    case '*/*':
      return { kind: 'any' };
    case 'application/vnd.pgrst.object':
    case 'application/vnd.pgrst.object+json':
      return { kind: 'object', stripNulls };
    case 'application/vnd.pgrst.array':
    case 'application/vnd.pgrst.array+json':
      return stripNulls ? { kind: 'array-stripped' } : { kind: 'known', name: 'application/json' };
    case 'application/vnd.pgrst.plan':
    case 'application/vnd.pgrst.plan+text':
    case 'application/vnd.pgrst.plan+json': {
      if (nested) break;
      const asked = (parameters.get('options') ?? '').split('|');
      return {
        kind: 'plan',
        of: parseMediaType(parameters.get('for') ?? 'application/json', true),
        format: name.endsWith('+json') ? 'json' : 'text',
        options: planOptions.filter((option) => asked.includes(option)),
      };
    }
  }
  return { kind: 'other', name: text };
}

function parseParameters(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const pattern = /\s*;\s*([A-Za-z0-9-]+)\s*=\s*(?:"([^"]*)"|([A-Za-z0-9|-]+))/gy;
  for (const [, name, quoted, plain] of text.matchAll(pattern)) {
    found.set(name!.toLowerCase(), quoted ?? plain!);
  }
  return found;
}

/** The types of an Accept header, those preferred first; without a header anything is accepted. */
export function parseAccept(header: string | undefined): readonly MediaType[] {
  if (header === undefined) return [{ kind: 'any' }];
  return splitOutsideQuotes(header)
    .map((part, index) => {
      const quality = /;\s*q\s*=\s*([0-9.]+)\s*$/i.exec(part);
      const text = (quality ? part.slice(0, quality.index) : part).trim();
      return { text, quality: quality ? Number(quality[1]) : 1, specific: specificity(text), index };
    })
    .sort((a, b) => b.quality - a.quality || b.specific - a.specific || a.index - b.index)
    .map(({ text }) => parseMediaType(text));
}

function specificity(text: string): number {
  if (text.startsWith('*/')) return 0;
  if (text.includes('/*')) return 1;
  return 2 + (text.split(';').length - 1);
}

function splitOutsideQuotes(text: string): readonly string[] {
  return text.match(/(?:[^,"]|"[^"]*"?)+/g) ?? [''];
}

export function renderMediaType(type: MediaType): string {
  switch (type.kind) {
    case 'known':
    case 'other':
      return type.name;
    case 'any':
      return '*/*';
    case 'array-stripped':
      return 'application/vnd.pgrst.array+json;nulls=stripped';
    case 'object':
      return `application/vnd.pgrst.object+json${type.stripNulls ? ';nulls=stripped' : ''}`;
    case 'plan': {
      const options = type.options.length === 0 ? '' : `; options=${type.options.join('|')}`;
      return `application/vnd.pgrst.plan+${type.format}; for="${renderMediaType(type.of)}"${options}`;
    }
  }
}

/** The Content-Type header; bytes and the project's own types say nothing of a character set. */
export function renderContentType(type: MediaType): string {
  const bare = type.kind === 'other' || (type.kind === 'known' && type.name === 'application/octet-stream');
  return bare ? renderMediaType(type) : `${renderMediaType(type)}; charset=utf-8`;
}
