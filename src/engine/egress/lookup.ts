// In charge of: which addresses a name has.
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';

/** As `dns.lookup`, for all addresses of a name. A test passes one of its own. */
export type LookupAll = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

// Sound: with `all` dns.lookup calls back with an array.
export const systemLookup = lookup as unknown as LookupAll;
