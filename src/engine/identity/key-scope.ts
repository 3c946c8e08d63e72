// In charge of: what a key of our own may be narrowed to, read from what an operator wrote.
import { Fault } from '../../base/errors.ts';
import { normalNetwork } from './addresses.ts';
import type { TablePrefix } from './caller.ts';

/** What a key is to be. Empty lists narrow nothing. */
export interface KeyWish {
  readonly name: string;
  readonly role: string;
  readonly services: readonly string[];
  /** `shop_`, `billing.invoice`, `billing.` */
  readonly tables: readonly string[];
  /** Networks and single addresses. */
  readonly addresses: readonly string[];
  /** Undefined: it does not expire. */
  readonly expiresInSeconds: number | undefined;
}

/** The services of a Supabase project, also those that this version does not run yet: a key may be made ahead. */
export const knownServices: readonly string[] = [
  'rest',
  'graphql',
  'auth',
  'storage',
  'realtime',
  'functions',
];
/** The services that hold a key to its tables. The others could not, so that such a key is not for them. */
const servicesWithTables: readonly string[] = ['rest'];

const maxScopeItems = 50;
const maxItemLength = 130;
const nameShape = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;
const maxExpirySeconds = 10 * 366 * 86_400;

/**
 * The wish as it is kept.
 * @throws Fault 422 `invalid_key` for what is none, with the offending value.
 */
export function checkWish(wish: KeyWish): KeyWish {
  if (!nameShape.test(wish.name))
    throw invalidKey(
      `"${wish.name}" is no name for a key.`,
      'A name has up to 63 letters, digits and . _ @ -, and begins with a letter or digit.',
    );
  for (const [what, items] of Object.entries({
    services: wish.services,
    tables: wish.tables,
    addresses: wish.addresses,
  })) {
    if (items.length > maxScopeItems)
      throw invalidKey(`${items.length} ${what} are more than ${maxScopeItems}.`);
  }
  const { expiresInSeconds } = wish;
  if (expiresInSeconds !== undefined && !(expiresInSeconds > 0 && expiresInSeconds <= maxExpirySeconds))
    throw invalidKey(`A key cannot expire in ${expiresInSeconds} s.`, 'From now on, and within ten years.');
  for (const table of wish.tables) {
    if (parseTablePrefix(table) === undefined)
      throw invalidKey(
        `"${table}" is no beginning of a table's name.`,
        'Write `shop_` for every name that begins so, `billing.invoice` within a schema, `billing.` for all of it.',
      );
  }
  return {
    ...wish,
    services: checkServices(wish),
    addresses: wish.addresses.map(checkNetwork),
  };
}

function checkServices({ services, tables }: KeyWish): readonly string[] {
  const known = tables.length === 0 ? knownServices : servicesWithTables;
  for (const service of services) {
    if (known.includes(service)) continue;
    throw knownServices.includes(service)
      ? invalidKey(
          `The service "${service}" cannot hold a key to tables.`,
          `Services that can: ${servicesWithTables.join(', ')}.`,
        )
      : invalidKey(`There is no service "${service}".`, `Services: ${knownServices.join(', ')}.`);
  }
  const wanted = tables.length > 0 && services.length === 0 ? servicesWithTables : services;
  return [...new Set(wanted)].sort();
}

function checkNetwork(text: string): string {
  const network = normalNetwork(text);
  if (network === undefined)
    throw invalidKey(
      `"${text}" is neither an address nor a network.`,
      'Write for instance 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32.',
    );
  return network;
}

/** Undefined when the text is none. A name that holds a dot itself cannot be written. */
export function parseTablePrefix(text: string): TablePrefix | undefined {
  if (text === '' || text.length > maxItemLength || text.startsWith('.') || text.includes('\0'))
    return undefined;
  const dot = text.indexOf('.');
  return dot < 0
    ? { schema: undefined, prefix: text }
    : { schema: text.slice(0, dot), prefix: text.slice(dot + 1) };
}

/** Of a key with tables only those services that heed them, whatever stands in the row. */
export function servicesInForce(
  services: readonly string[],
  tables: readonly string[],
): readonly string[] | undefined {
  if (tables.length === 0) return services.length === 0 ? undefined : services;
  return services.length === 0
    ? servicesWithTables
    : services.filter((service) => servicesWithTables.includes(service));
}

export function invalidKey(message: string, hint: string | null = null): Fault {
  return new Fault({ status: 422, code: 'invalid_key', message, hint });
}
