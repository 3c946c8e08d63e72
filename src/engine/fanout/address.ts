// In charge of: what the URL of a broker says, and how that is shown without who logs in.

export interface BrokerAddress {
  readonly kind: 'nats' | 'redis';
  /** An address of IPv6 stands without its brackets. */
  readonly host: string;
  readonly port: number;
  readonly isEncrypted: boolean;
  /** Empty: nobody logs in. */
  readonly user: string;
  /** Of NATS, with an empty user: a token. */
  readonly password: string;
  /** For sentences and logs: neither user nor password is in it. */
  readonly shown: string;
}

interface Scheme {
  readonly kind: BrokerAddress['kind'];
  readonly port: number;
  readonly isEncrypted: boolean;
}

const nats: Scheme = { kind: 'nats', port: 4222, isEncrypted: false };
const redis: Scheme = { kind: 'redis', port: 6379, isEncrypted: false };
const schemes: Readonly<Record<string, Scheme>> = {
  'nats:': nats,
  'tls:': { ...nats, isEncrypted: true },
  'redis:': redis,
  'rediss:': { ...redis, isEncrypted: true },
  'valkey:': redis,
  'valkeys:': { ...redis, isEncrypted: true },
};

export const brokerUrlExpectation =
  'a URL such as "nats://user:password@host:4222" or "redis://:password@host:6379", encrypted with tls://, rediss:// or valkeys://';

/** Undefined when it is not one. What would be overlooked, a query or the number of a database, is none. */
export function parseBrokerUrl(raw: unknown): BrokerAddress | undefined {
  if (typeof raw !== 'string' || !URL.canParse(raw.trim())) return undefined;
  const url = new URL(raw.trim());
  const scheme = schemes[url.protocol];
  if (scheme === undefined || url.hostname === '') return undefined;
  if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '') return undefined;
  const port = url.port === '' ? scheme.port : Number(url.port);
  const [user, password] = [decode(url.username), decode(url.password)];
  if (user === undefined || password === undefined || port === 0) return undefined;
  const isToken = scheme.kind === 'nats' && password === '';
  return {
    ...scheme,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    user: isToken ? '' : user,
    password: isToken ? user : password,
    shown: `${url.protocol}//${url.hostname}:${port}`,
  };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
