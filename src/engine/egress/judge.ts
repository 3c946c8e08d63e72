// In charge of: whether a host leads to where may be connected to, without connecting.
import { isIP } from 'node:net';
import type { Network } from '../../base/address-ranges.ts';
import { mayConnect, rangeOf } from './addresses.ts';
import { type LookupAll, systemLookup } from './lookup.ts';

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
  const lookUp = lookup ?? systemLookup;
  return new Promise((resolve) =>
    lookUp(name, { all: true }, (error, found) =>
      resolve(error === null ? found.map(({ address }) => address) : []),
    ),
  );
}
