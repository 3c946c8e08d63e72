// In charge of: reading what proxies say about the request that they pass on. What they say is believed elsewhere, or not at all.
import { normalAddress } from '../../base/address-ranges.ts';

/** One hop as a proxy saw it; undefined where it says nothing that can be understood. */
export interface Hop {
  readonly address: string | undefined;
  readonly proto: 'http' | 'https' | undefined;
}

/** More hops than this are not walked: the rest of the list is the client's own invention. */
const maxHops = 32;

/**
 * The hops of `X-Forwarded-For`, the nearest first. An entry that is no address gives a hop without one. With `X-Forwarded-Proto` of the
 * same length each hop has its own; a single value is the nearest proxy's word on what reached it.
 */
export function hopsOfXForwarded(forwardedFor: string, proto: string | undefined): readonly Hop[] {
  const addresses = lastItems(forwardedFor);
  const protos = proto === undefined ? [] : lastItems(proto);
  const isAligned = protos.length === addresses.length;
  return addresses.map((text, at) => ({
    address: nodeAddress(text),
    proto: isAligned || at === 0 ? protoOf(protos[at]) : undefined,
  }));
}

/**
 * The hops of RFC 7239 `Forwarded`, the nearest first. Undefined when it is not well-formed: then nobody can tell where one hop ends.
 * `unknown` and `_hidden` are well-formed and give a hop without an address. Source: RFC 7239 sections 4 and 6.
 */
export function hopsOfForwarded(text: string): readonly Hop[] | undefined {
  const hops: Hop[] = [];
  let address: string | undefined;
  let proto: Hop['proto'];
  const seen = new Set<string>();
  pair.lastIndex = 0;
  for (let at = 0; at < text.length; ) {
    pair.lastIndex = at;
    const found = pair.exec(text);
    if (!found) return undefined;
    at = pair.lastIndex;
    const [, name, token, quoted, end] = found;
    if (name !== undefined) {
      const lower = name.toLowerCase();
      if (seen.has(lower)) return undefined;
      seen.add(lower);
      const value = token ?? quoted?.replace(/\\(.)/g, '$1') ?? '';
      if (lower === 'for') address = nodeAddress(value);
      else if (lower === 'proto') proto = protoOf(value);
    }
    if (end === ';') continue;
    if (seen.size > 0) hops.push({ address, proto });
    address = undefined;
    proto = undefined;
    seen.clear();
    if (end === '') break;
  }
  return hops.reverse().slice(0, maxHops);
}

// One `name=value` of a hop, or nothing, with what ends it: `;`, `,` or the end. Each part begins where the one before has ended, so no
// text takes longer than its length.
const pair =
  /[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]+)|"((?:[^"\\]|\\[\s\S])*)")[ \t]*)?([;,]|$)/y;

/** The last items of a list, the last first. Split from the end, so that a long list costs no more than the hops that count. */
function lastItems(list: string): readonly string[] {
  const items: string[] = [];
  let end = list.length;
  while (items.length < maxHops) {
    const comma = end === 0 ? -1 : list.lastIndexOf(',', end - 1);
    items.push(list.slice(comma + 1, end).trim());
    if (comma < 0) break;
    end = comma;
  }
  return items;
}

/** The address of a node that may have a port: `192.0.2.1:80`, `[2001:db8::1]:80`, and plain ones. */
function nodeAddress(text: string): string | undefined {
  if (text.startsWith('[')) {
    const inner = /^\[([0-9a-f:.]+)\](?::[\w.-]+)?$/i.exec(text)?.[1];
    return inner?.includes(':') ? normalAddress(inner) : undefined;
  }
  if (text.includes('%')) return undefined;
  const colon = text.indexOf(':');
  const hasPort = colon > 0 && text.indexOf(':', colon + 1) < 0;
  return normalAddress(hasPort ? text.slice(0, colon) : text);
}

function protoOf(text: string | undefined): Hop['proto'] {
  const lower = text?.toLowerCase();
  return lower === 'http' || lower === 'https' ? lower : undefined;
}
