// In charge of: which addresses are counted as one.
import ipaddr from 'ipaddr.js';

/** Remembered IPv6 addresses; when there are more, all are forgotten and read anew. */
const maxRemembered = 10_000;

/**
 * Gives the reader of addresses. An IPv4 address stands for itself, an IPv6 address for its /64: that is what one customer
 * of a provider has, so that by counting single addresses nobody would ever be limited (RFC 6177 section 2).
 * Undefined for what is not counted: no address, or a loopback one. Behind a proxy on this machine that
 * `gateway.trusted_proxies` does not name, all the world comes from loopback.
 */
export function openAddressReader(): (address: string | undefined) => string | undefined {
  const remembered = new Map<string, string | undefined>();
  return (address) => {
    if (address === undefined) return undefined;
    if (!address.includes(':')) return address.startsWith('127.') ? undefined : address;
    const known = remembered.get(address);
    if (known !== undefined || remembered.has(address)) return known;
    if (remembered.size >= maxRemembered) remembered.clear();
    const subject = subjectOf(address);
    remembered.set(address, subject);
    return subject;
  };
}

/** Whether an address that was read is one of a private network, as that of a proxy is that nobody named. */
export function isPrivateAddress(subject: string): boolean {
  const address = subject.replace(/\/64$/, '');
  if (!ipaddr.isValid(address)) return false;
  const range = ipaddr.parse(address).range();
  return (
    range === 'private' || range === 'uniqueLocal' || range === 'linkLocal' || range === 'carrierGradeNat'
  );
}

function subjectOf(address: string): string | undefined {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.range() === 'loopback') return undefined;
  // `process` has made an IPv4 address of ::ffff:192.0.2.1.
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  const [a = 0, b = 0, c = 0, d = 0] = parsed.parts;
  return `${[a, b, c, d].map((part) => part.toString(16)).join(':')}::/64`;
}
