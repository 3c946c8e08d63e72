// In charge of: network addresses and ranges of them, as people and headers write them, and whether one lies in the other.
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** A set of address ranges, compiled once. */
export interface Ranges {
  readonly isEmpty: boolean;
  /** Whether a normalised address (see `normalAddress`) lies in one of them. Anything else lies in none. */
  has(address: string): boolean;
}

/** Words that stand for ranges. Source: RFC 1918, RFC 4193 (unique local addresses), RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3. */
const words: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** What `compileRanges` takes, for a complaint. */
export const rangeExpectation = 'an address, a range such as "10.0.0.0/8", "loopback" or "private"';

/**
 * The one way to write an address here: IPv4 in dots, also where IPv6 maps it; IPv6 compressed, in lower case, without a zone.
 * Undefined when it is none: octal and hexadecimal octets, short forms and ports are none, because parsers read them in different ways.
 */
export function normalAddress(text: string): string | undefined {
  const kind = isIP(text);
  if (kind === 4) return text;
  if (kind === 0) return undefined;
  const zone = text.indexOf('%');
  return ipaddr.process(zone < 0 ? text : text.slice(0, zone)).toString();
}

/** The first text that is no range; undefined when each is one. */
export function findWrongRange(texts: readonly string[]): string | undefined {
  return texts.find((text) => parseRange(text) === undefined);
}

/** Compiles texts that `findWrongRange` has found right; a wrong one is left out. */
export function compileRanges(texts: readonly string[]): Ranges {
  const four: { readonly network: number; readonly mask: number }[] = [];
  const six: (readonly [ipaddr.IPv6, number])[] = [];
  for (const [address, bits] of texts.flatMap((text) => parseRange(text) ?? [])) {
    if (address.kind() === 'ipv4') {
      const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
      four.push({ network: ((numberOf(address.toString()) ?? 0) & mask) >>> 0, mask });
    } else {
      // Sound: what is not IPv4 here is IPv6.
      six.push([address as ipaddr.IPv6, bits]);
    }
  }
  const remembered = new Map<string, boolean>();

  /** IPv6 is dear to parse, and the same clients come again. */
  function hasSix(address: string): boolean {
    const known = remembered.get(address);
    if (known !== undefined) return known;
    if (isIP(address) !== 6) return false;
    const parsed = ipaddr.IPv6.parse(address);
    const found = six.some(([network, bits]) => parsed.match(network, bits));
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(address, found);
    return found;
  }

  return {
    isEmpty: four.length === 0 && six.length === 0,
    has(address) {
      if (address.includes(':')) return six.length > 0 && hasSix(address);
      const value = four.length === 0 ? undefined : numberOf(address);
      if (value === undefined) return false;
      for (const { network, mask } of four) if ((value & mask) >>> 0 === network) return true;
      return false;
    },
  };
}

/** An address and how many of its bits count. */
export type Network = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number];

/** `10.0.0.0/8`, `2001:db8::/32`, or one address; undefined when it is none of them. IPv4 inside IPv6 is IPv4. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const written = slash < 0 ? text : text.slice(0, slash);
  // ipaddr.js also reads `10.1` and `010.0.0.1` as C's inet_aton does: another address than a person means.
  const kind = written.includes('%') ? 0 : isIP(written);
  if (kind === 0) return undefined;
  const most = kind === 4 ? 32 : 128;
  const length = slash < 0 ? String(most) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length) || Number(length) > most) return undefined;
  const address = ipaddr.parse(written);
  const bits = Number(length);
  // Addresses are compared with the IPv4 address that IPv6 maps, so its ranges are, too.
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= mappedBits
    ? [address.toIPv4Address(), bits - mappedBits]
    : [address, bits];
}

function parseRange(text: string): readonly Network[] | undefined {
  const word = Object.hasOwn(words, text) ? words[text] : undefined;
  if (word) return word.flatMap((range) => parseRange(range) ?? []);
  const network = parseNetwork(text);
  return network && [network];
}

/** A dotted address as one number; undefined when it is none. Several times faster than asking `isIP` first. */
function numberOf(address: string): number | undefined {
  let value = 0;
  let octet = 0;
  let dots = 0;
  for (let at = 0; at < address.length; at += 1) {
    const code = address.charCodeAt(at);
    if (code === dot) {
      value = value * 256 + octet;
      octet = 0;
      dots += 1;
    } else if (code >= zero && code <= nine) octet = octet * 10 + code - zero;
    else return undefined;
    if (octet > 255) return undefined;
  }
  return dots === 3 ? value * 256 + octet : undefined;
}

const nine = 57;
const dot = 46;
const zero = 48;
const mappedBits = 96;
const maxRemembered = 4_096;
