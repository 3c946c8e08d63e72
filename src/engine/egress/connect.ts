// In charge of: opening a connection only to an address that may be connected to. The judgement is on what is connected, not on the URL.
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import type { Network } from '../../base/address-ranges.ts';
import { mayConnect, rangeOf } from './addresses.ts';
import { EgressError } from './errors.ts';

/** As `dns.lookup`, for all addresses of a name. A test passes one of its own. */
export type LookupAll = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

/**
 * A connector for undici. A name is looked up once, all its addresses are judged, and one refused address refuses the name: who
 * answers with a public and a private address wants the second one tried. What was judged is what is connected; between
 * the two there is no second look-up that could say something else (DNS rebinding). The socket's own far end is looked at once more.
 */
export function guardedConnector(
  allow: () => readonly Network[],
  lookup: LookupAll | undefined,
  timeoutMs: number,
): buildConnector.connector {
  // Sound: with `all` dns.lookup calls back with an array.
  const lookUp = lookup ?? (dnsLookup as unknown as LookupAll);

  // The shape that net.connect asks for: one address, or all of them for its race of families.
  function guardedLookup(
    hostname: string,
    options: LookupOptions,
    done: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
  ): void {
    lookUp(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, '');
      const refused = addresses.find(({ address }) => !mayConnect(address, allow()));
      const first = addresses[0];
      if (refused !== undefined) return done(refusedAddress(hostname, refused.address), '');
      if (first === undefined)
        return done(new EgressError('network', `The name "${hostname}" has no address.`), '');
      if (options.all) done(null, [...addresses]);
      else done(null, first.address, first.family);
    });
  }

  const connect = buildConnector({ timeout: timeoutMs, lookup: guardedLookup as never });

  return (options, done) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
    // net.connect asks no lookup for what is an address already.
    if (isIP(host) !== 0 && !mayConnect(host, allow())) return done(refusedAddress(host, host), null);
    connect({ ...options, hostname: host }, (error, socket) => {
      if (error !== null) return done(error, null);
      const far = socket.remoteAddress;
      if (far === undefined || !mayConnect(far, allow())) {
        socket.destroy();
        return done(refusedAddress(host, far ?? 'unknown'), null);
      }
      done(null, socket);
    });
  };
}

/** `range`: of the address that is refused, as the registries call it. */
export type Judgement =
  | { readonly kind: 'fine' }
  | { readonly kind: 'unknown_name' }
  | { readonly kind: 'refused'; readonly range: string };

export async function judgeHost(
  host: string,
  allow: readonly Network[],
  lookup: LookupAll | undefined,
): Promise<Judgement> {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  const addresses = isIP(bare) === 0 ? await addressesOf(bare, lookup) : [bare];
  if (addresses.length === 0) return { kind: 'unknown_name' };
  const refused = addresses.find((address) => !mayConnect(address, allow));
  return refused === undefined ? { kind: 'fine' } : { kind: 'refused', range: rangeOf(refused) };
}

/** None: nobody knows the name. The operating system gives up by itself, after its own time. */
function addressesOf(name: string, lookup: LookupAll | undefined): Promise<readonly string[]> {
  // Sound: with `all` dns.lookup calls back with an array.
  const lookUp = lookup ?? (dnsLookup as unknown as LookupAll);
  return new Promise((resolve) =>
    lookUp(name, { all: true }, (error, found) =>
      resolve(error === null ? found.map(({ address }) => address) : []),
    ),
  );
}

function refusedAddress(host: string, address: string): EgressError {
  return new EgressError(
    'address',
    `"${host}" does not lead to an address on the public Internet, and egress.allow does not hold it.`,
    { address },
  );
}
