// In charge of: which client addresses a key is for. Networks in CIDR notation, of both families.
import ipaddr from 'ipaddr.js';
import { compileRanges, normalAddress, parseNetwork } from '../../base/address-ranges.ts';

/** The network as it is kept and shown: without bits behind its prefix. Undefined when the text names none. */
export function normalNetwork(text: string): string | undefined {
  const network = parseNetwork(text.trim());
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
  const ranges = compileRanges(texts);
  return (text) => {
    const address = normalAddress(text);
    return address !== undefined && ranges.has(address);
  };
}
