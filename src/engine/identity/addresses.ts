// In charge of: which client addresses a key is for. Networks in CIDR notation, of both families.
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Network = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, prefixLength: number];

/** `10.0.0.0/8`, `2001:db8::/32`, or one address; undefined when it is none of them. IPv4 inside IPv6 is IPv4. */
function parseNetwork(text: string): Network | undefined {
  const [address = '', length, ...more] = text.trim().split('/');
  // ipaddr.js also reads `10.1` and `010.0.0.1` as C's inet_aton does: another address than a person means.
  const family = isIP(address);
  if (family === 0 || address.includes('%') || more.length > 0) return undefined;
  const most = family === 4 ? 32 : 128;
  const prefixLength = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (prefixLength < 0 || prefixLength > most) return undefined;
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() && prefixLength >= 96)
    return [parsed.toIPv4Address(), prefixLength - 96];
  return [parsed, prefixLength];
}

/** The network as it is kept and shown: without bits behind its prefix. Undefined when the text names none. */
export function normalNetwork(text: string): string | undefined {
  const network = parseNetwork(text);
  if (!network) return undefined;
  const cidr = `${network[0].toString()}/${network[1]}`;
  const base =
    network[0].kind() === 'ipv4'
      ? ipaddr.IPv4.networkAddressFromCIDR(cidr)
      : ipaddr.IPv6.networkAddressFromCIDR(cidr);
  return `${base.toString()}/${network[1]}`;
}

/** Whether an address lies in one of the networks. One that cannot be read lies in none. */
export function openNetworks(texts: readonly string[]): (address: string) => boolean {
  const networks = texts.flatMap((text) => {
    const network = parseNetwork(text);
    return network ? [network] : [];
  });
  return (address) => {
    const family = isIP(address);
    if (family === 0) return false;
    // `process` gives the IPv4 address of `::ffff:192.0.2.1`, which is how a socket of both families shows it.
    const parsed = ipaddr.process(address);
    return networks.some(
      ([network, prefixLength]) => network.kind() === parsed.kind() && parsed.match(network, prefixLength),
    );
  };
}
