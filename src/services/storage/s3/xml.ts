// In charge of: XML as S3 speaks it: answers from plain values, and small documents that clients send.
// Source: supabase/storage src/http/plugins/xml.ts.
import type { Answer, Headers } from '../../../engine/service/http.ts';
import { malformedXml } from './faults.ts';

/** Undefined is left out, null is an empty element, a list is its element several times. */
export type XmlValue =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly XmlValue[]
  | { readonly [name: string]: XmlValue };

const declaration = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>';
const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

export function xmlAnswer(root: string, value: XmlValue, status = 200, headers: Headers = []): Answer {
  return {
    status,
    headers: [['content-type', 'application/xml; charset=utf-8'], ...headers],
    body: renderXml(root, value),
  };
}

export function renderXml(root: string, value: XmlValue): string {
  // Amazon's errors are in no namespace, and its clients in Python know them by that alone. Source: boto/botocore botocore/parsers.py, `_parse_error_from_body`.
  const inNamespace = root === 'Error' ? '' : ` xmlns="${namespace}"`;
  return `${declaration}<${root}${inNamespace}>${inner(value)}</${root}>`;
}

function inner(value: XmlValue): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'object') return escaped(String(value));
  if (isList(value)) return value.map(inner).join('');
  return Object.entries(value)
    .map(([name, child]) => element(name, child))
    .join('');
}

function element(name: string, value: XmlValue): string {
  if (value === undefined) return '';
  if (typeof value === 'object' && value !== null && isList(value))
    return value.map((one) => element(name, one)).join('');
  const content = inner(value);
  return content === '' ? `<${name}/>` : `<${name}>${content}</${name}>`;
}

const isList = (value: object): value is readonly XmlValue[] => Array.isArray(value);

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#xD;',
};

/** What no document of XML 1.0 may hold stands as U+FFFD. Source: XML 1.0 section 2.2. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replace(/[&<>"\r]/g, (character) => escapes[character]!);
}

/** An element of a document that a client sent: its text, or its children; those named in `lists` are lists, however many there are. */
export type XmlElement = string | { readonly [name: string]: XmlElement | readonly XmlElement[] };

/**
 * The content of the root element `root`. Entities but the five of XML itself, and whatever declares some, are refused.
 * @throws MalformedXML
 */
export async function parseXml(text: string, root: string, lists: readonly string[]): Promise<XmlElement> {
  if (/<!(?:DOCTYPE|ENTITY)/i.test(text)) throw malformedXml('DOCTYPE is not supported');
  const { XMLParser } = await import('fast-xml-parser');
  const names = new Set(lists);
  let found: Readonly<Record<string, XmlElement>>;
  try {
    const parser = new XMLParser({
      ignoreDeclaration: true,
      ignorePiTags: true,
      ignoreAttributes: true,
      parseTagValue: false,
      trimValues: false,
      processEntities: false,
      tagValueProcessor: (_name, value, _path, _hasAttributes, isLeaf) =>
        isLeaf ? unescaped(value) : value.trim(),
      isArray: (name) => names.has(name),
    });
    found = parser.parse(text.replace(/^\uFEFF/, ''), true);
  } catch (error) {
    throw malformedXml(error instanceof Error ? error.message : String(error), error);
  }
  const content = found[root];
  if (content === undefined) throw malformedXml(`there is no element ${root}`);
  return content;
}

const entities: Readonly<Record<string, string>> = { amp: '&', apos: "'", gt: '>', lt: '<', quot: '"' };

function unescaped(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w+));|&/gi, (whole, decimal, hex, name) => {
    if (name !== undefined && Object.hasOwn(entities, name)) return entities[name]!;
    const digits = decimal ?? hex;
    const code = digits === undefined ? Number.NaN : Number.parseInt(digits, decimal === undefined ? 16 : 10);
    if (Number.isNaN(code) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      throw new Error(`Undeclared entity ${whole}`);
    return String.fromCodePoint(code);
  });
}

/** A member that is a text. */
export function textOf(element: XmlElement | undefined, name: string): string | undefined {
  if (typeof element !== 'object') return undefined;
  const value = element[name];
  return typeof value === 'string' ? value : undefined;
}

/** A member that is a list; none of them is an empty one. */
export function listOf(element: XmlElement, name: string): readonly XmlElement[] {
  if (typeof element !== 'object') return [];
  const value = element[name];
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as XmlElement];
}
