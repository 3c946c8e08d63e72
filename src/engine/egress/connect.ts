// In charge of: opening a connection only to an address that may be connected to. The judgement is on what is connected, not on the URL.
import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import type { Network } from '../../base/address-ranges.ts';
import { mayConnect } from './addresses.ts';
import { EgressError } from './errors.ts';
import { type LookupAll, systemLookup } from './lookup.ts';

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
  const lookUp = lookup ?? systemLookup;

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

function refusedAddress(host: string, address: string): EgressError {
  return new EgressError(
    'address',
    `"${host}" does not lead to an address on the public Internet, and egress.allow does not hold it.`,
    { address },
  );
}
