// In charge of: a document of SAML as a tree of plain values, in which names have no prefix. What it says is believed by nobody who has not
// verified it. A document with a DTD is none: entities and what they fetch (CWE-611, CWE-776) do not exist here.
export interface XmlNode {
  /** Attributes. */
  readonly $?: Readonly<Record<string, string>>;
  /** Text. */
  readonly _?: string;
  readonly [child: string]: unknown;
}

/** Undefined for what is no well-formed document, or has a DTD. */
export async function readXml(text: string): Promise<{ name: string; root: XmlNode } | undefined> {
  if (hasDtd(text)) return undefined;
  // With the first document: most projects have none.
  const { parseXml2JsFromString } = await import('@node-saml/node-saml/lib/xml.js');
  try {
    const entries = Object.entries<unknown>(await parseXml2JsFromString(text));
    const [name, root] = entries[0] ?? [];
    return name === undefined ? undefined : { name, root: nodeOf(root) };
  } catch {
    return undefined;
  }
}

/** The only other things that begin like this are comments and CDATA. */
export const hasDtd = (text: string): boolean => /<!(?!--|\[CDATA\[)/.test(text);

export function childrenOf(node: XmlNode | undefined, name: string): readonly XmlNode[] {
  const found = node?.[name];
  if (!Array.isArray(found)) return [];
  return found.map(nodeOf);
}

/** An element with neither attributes nor children comes as its text. */
function nodeOf(found: unknown): XmlNode {
  // Sound: elements and texts are all that the parser makes.
  return typeof found === 'object' && found !== null ? (found as XmlNode) : { _: String(found ?? '') };
}

export const childOf = (node: XmlNode | undefined, name: string): XmlNode | undefined =>
  childrenOf(node, name)[0];

export const textOf = (node: XmlNode | undefined): string => node?._ ?? '';

export const attributeOf = (node: XmlNode | undefined, name: string): string => node?.$?.[name] ?? '';
