// In charge of: which addresses may be connected to. The public Internet, and what the operator names; nothing else.
// Sources: RFC 6890 and the IANA special-purpose address registries, as ipaddr.js knows them; RFC 6052 (NAT64); CWE-918.
import ipaddr from 'ipaddr.js';
import type { Network } from '../../base/address-ranges.ts';

type Address = Network[0];

/**
 * Whether an address may be connected to. What is no address may not. IPv6 that only carries an IPv4 address is judged by
 * that one: `::ffff:127.0.0.1` is loopback, and so is `64:ff9b::7f00:1`.
 */
export function mayConnect(text: string, allow: readonly Network[]): boolean {
  if (!ipaddr.isValid(text)) return false;
  const parsed = ipaddr.parse(text);
  const address = inner(parsed);
  if (allow.some((network) => contains(network, address) || contains(network, parsed))) return true;
  if (metadataAddresses.has(address.toNormalizedString())) return false;
  if (address.range() !== 'unicast') return false;
  // Global unicast is 2000::/3, and what lies outside is unassigned or IPv4 in an old disguise (`::127.0.0.1`). Source: IANA IPv6 address space registry.
  return address.kind() === 'ipv4' || contains(globalUnicast, address);
}

/** What the registries call the range of an address: `loopback`, `private`, `linkLocal`, … */
export function rangeOf(text: string): string {
  return ipaddr.isValid(text) ? inner(ipaddr.parse(text)).range() : 'unknown';
}

function inner(address: Address): Address {
  if (!(address instanceof ipaddr.IPv6)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  if (!contains(nat64, address)) return address;
  return new ipaddr.IPv4(address.toByteArray().slice(-4));
}

function contains([network, bits]: Network, address: Address): boolean {
  return network.kind() === address.kind() && address.match(network, bits);
}

const globalUnicast: Network = [new ipaddr.IPv6([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3];
const nat64: Network = [new ipaddr.IPv6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]), 96];

/**
 * Metadata services at addresses that look public. The others (169.254.169.254, fd00:ec2::254, 100.100.100.200, 192.0.0.192) lie in
 * ranges that are refused as a whole. Source: learn.microsoft.com "What is IP address 168.63.129.16?".
 */
const metadataAddresses: ReadonlySet<string> = new Set(['168.63.129.16']);
