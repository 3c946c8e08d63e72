// In charge of: what a DATABASE_URL says: where the server is, who logs in, how TLS is done, and whether a pooler stands before it.
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type ConnectionOptions, getCACertificates } from 'node:tls';
import type { ClientConfig } from 'pg';
import { errorMessage, OperatorError } from '../../../base/errors.ts';

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export interface DatabaseUrl {
  /** `DATABASE_URL` or `DIRECT_URL`, for sentences. */
  readonly name: string;
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly sslMode: SslMode;
  /** What of the URL `pg` is given beside the above. */
  readonly extra: Pick<
    ClientConfig,
    'application_name' | 'options' | 'enableChannelBinding' | 'sslnegotiation'
  >;
  /** A transaction pooler: PgBouncer, or what hosted services put before their servers. */
  readonly pooled: boolean;
  /** How a role is named there: Supabase's pooler wants `role.project`. */
  readonly userSuffix: string;
  /** Of the certificate's files, read once. */
  readonly tls: Readonly<ConnectionOptions>;
}

const sslModes: readonly SslMode[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
const tlsVersions: Readonly<Record<string, ConnectionOptions['minVersion']>> = {
  TLSv1: 'TLSv1',
  'TLSv1.1': 'TLSv1.1',
  'TLSv1.2': 'TLSv1.2',
  'TLSv1.3': 'TLSv1.3',
};

/**
 * Reads a connection URL with libpq's meaning; what others write into it (Prisma's `schema`, `connection_limit`, …) is left out.
 * `env` gives the user when the URL names none. No message holds the password.
 * @throws OperatorError when it is not such a URL, or names a file that cannot be read.
 * Source: PostgreSQL's manual, "Connection URIs" and "SSL Support".
 */
export function parseDatabaseUrl(text: string, name: string): DatabaseUrl {
  const url = parseText(text.trim(), name);
  const query = url.searchParams;
  // `postgresql:///app?host=/var/run/postgresql` and `postgresql://%2Fvar%2Frun%2Fpostgresql/app` are the same.
  const host =
    query.get('host') ?? (decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, '$1')) || 'localhost');
  if (host.includes(',')) {
    throw new OperatorError(`${name} names several hosts ("${host}").`, 'Give the one that takes writes.');
  }
  const port = Number(query.get('port') ?? (url.port || '5432'));
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new OperatorError(
      `${name} holds the port "${query.get('port')}".`,
      'Give a number from 1 to 65535.',
    );
  }
  const user = query.get('user') ?? decode(url.username, name);
  if (user === '')
    throw new OperatorError(
      `${name} names no user.`,
      'Write it as postgresql://user:password@host:5432/database.',
    );
  const password = query.get('password') ?? decode(url.password, name);
  const database = query.get('dbname') ?? (decode(url.pathname.slice(1), name) || user);
  const sslMode = query.get('sslmode') ?? (query.get('sslnegotiation') === 'direct' ? 'require' : 'prefer');
  if (!isSslMode(sslMode)) {
    throw new OperatorError(`${name} has sslmode "${sslMode}".`, `It is one of ${sslModes.join(', ')}.`);
  }
  const supabasePooler = /\.pooler\.supabase\.(com|co)$/.test(host);
  return {
    name,
    host,
    port,
    user,
    password: password === '' ? undefined : password,
    database,
    sslMode,
    extra: extrasOf(query),
    // Supabase's pooler keeps a session for each client on 5432, and one for each transaction on 6543.
    pooled:
      query.get('pgbouncer') === 'true' || port === 6543 || (host.includes('pooler') && !supabasePooler),
    userSuffix: supabasePooler ? (/\.[^.]+$/.exec(user)?.[0] ?? '') : '',
    tls: sslMode === 'disable' ? {} : readTls(query, name, sslMode),
  };
}

function parseText(text: string, name: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw notAUrl(name);
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw notAUrl(name);
  // An unescaped # in a password ends the URL for its reader.
  if (url.hash !== '') throw notAUrl(name);
  return url;
}

function notAUrl(name: string): OperatorError {
  return new OperatorError(
    `${name} is not a URL of a PostgreSQL database.`,
    'Write it as postgresql://user:password@host:5432/database, with signs such as # / @ ? % in the password as %23 %2F %40 %3F %25.',
  );
}

function decode(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notAUrl(name);
  }
}

function isSslMode(text: string): text is SslMode {
  return sslModes.some((mode) => mode === text);
}

function extrasOf(query: URLSearchParams): DatabaseUrl['extra'] {
  const applicationName = query.get('application_name');
  const options = query.get('options');
  return {
    ...(applicationName === null ? {} : { application_name: applicationName }),
    ...(options === null ? {} : { options }),
    ...(['require', 'prefer'].includes(query.get('channel_binding') ?? '')
      ? { enableChannelBinding: true }
      : {}),
    ...(query.get('sslnegotiation') === 'direct' ? { sslnegotiation: 'direct' } : {}),
  };
}

/** The files that the URL names, and how much of the server's certificate is checked. */
function readTls(query: URLSearchParams, name: string, sslMode: SslMode): ConnectionOptions {
  const file = (key: string): string | undefined => {
    const path = query.get(key);
    if (path === null || path === '') return undefined;
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new OperatorError(
        `${name} names the ${key} "${path}", which cannot be read: ${errorMessage(error)}.`,
        'Correct the path.',
        error,
      );
    }
  };
  const system = query.get('sslrootcert') === 'system';
  const ca = system ? getCACertificates('system') : file('sslrootcert');
  const cert = file('sslcert');
  const key = file('sslkey');
  const crl = file('sslcrl');
  const passphrase = query.get('sslpassword');
  const minVersion = tlsVersions[query.get('ssl_min_protocol_version') ?? ''];
  // libpq: with a root certificate at hand `require` checks the chain, for the sake of old set-ups; `system` means all of it.
  const effective = system
    ? 'verify-full'
    : sslMode === 'require' && ca !== undefined
      ? 'verify-ca'
      : sslMode;
  return {
    rejectUnauthorized: effective === 'verify-ca' || effective === 'verify-full',
    ...(effective === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(crl === undefined ? {} : { crl }),
    ...(passphrase === null ? {} : { passphrase }),
    ...(minVersion === undefined ? {} : { minVersion }),
  };
}

export function isUnixSocket(url: DatabaseUrl): boolean {
  return url.host.startsWith('/');
}

/** Whether the connection stays on this machine. */
export function isLocal(url: DatabaseUrl): boolean {
  return (
    isUnixSocket(url) ||
    url.host === 'localhost' ||
    url.host === '::1' ||
    (isIP(url.host) === 4 && url.host.startsWith('127.'))
  );
}
