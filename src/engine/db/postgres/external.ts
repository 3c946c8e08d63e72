// In charge of: a PostgreSQL that somebody else runs, given by DATABASE_URL: reached, checked, and described as ours are.
//
//   openExternal({ url, directUrl?, passwordOf?, observe, signal? }): Promise<PostgresServer>
import type { ClientConfig } from 'pg';
import { errorCode, errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { delay } from '../../../base/time.ts';
import type { LoginRole } from '../db.ts';
import { oldestMajor } from './binaries.ts';
import { type DatabaseUrl, isLocal, isUnixSocket, parseDatabaseUrl } from './database-url.ts';
import { askHealth, askOnce } from './health.ts';
import { hasTransactionPooler } from './pooler.ts';
import type { PostgresServer } from './server.ts';

export interface ExternalOptions {
  readonly url: string;
  /** How the URL is called in sentences. Unset: `DATABASE_URL`. */
  readonly urlName?: string;
  /** Whether a server that takes no writes will do, too. */
  readonly allowsStandby?: boolean;
  /** `DIRECT_URL`: the same server without its pooler. */
  readonly directUrl?: string | undefined;
  /**
   * The password that a role has there; undefined when it has none. `supabase_admin` is never asked for:
   * there it means the URL's own user.
   */
  readonly passwordOf?: ((role: LoginRole) => string | undefined) | undefined;
  readonly observe: Observe;
  readonly signal?: AbortSignal | undefined;
  /** How long a server that is starting up is waited for; default 60 seconds. */
  readonly startingWithinMs?: number | undefined;
}

/** One way to the server, tried. */
interface Way {
  readonly url: DatabaseUrl;
  readonly encrypted: boolean;
  /** A transaction pooler stands there, as the URL says or as was found. */
  readonly pooled: boolean;
  readonly version: string;
  readonly versionNumber: number;
  readonly database: string;
  readonly startedAt: string;
}

const connectWithinMs = 10_000;
const startingWithinMsDefault = 60_000;
const askAgainAfterMs = 500;

/**
 * Reaches the server of a URL and makes sure that it will do: PostgreSQL 15 or later, TLS as `sslmode` says, not a standby.
 * @throws OperatorError, one sentence without the password, when it will not.
 */
export async function openExternal(options: ExternalOptions): Promise<PostgresServer> {
  const main = await reach(parseDatabaseUrl(options.url, options.urlName ?? 'DATABASE_URL'), options);
  const direct =
    options.directUrl === undefined
      ? undefined
      : await reach(parseDatabaseUrl(options.directUrl, 'DIRECT_URL'), options);
  const { pooled } = main;
  const login = (way: Way, role: LoginRole, database?: string) =>
    configOf(way, role, database, options.passwordOf);
  return {
    engine: 'external',
    major: Math.floor(main.versionNumber / 10_000),
    version: main.version,
    login: (role, database) => login(main, role, database),
    directLogin: (role, database) => {
      const way = direct ?? (pooled ? undefined : main);
      return way === undefined ? undefined : login(way, role, database);
    },
    url: options.url,
    notices: noticesOf(main, direct),
    prepared: pooled ? 'off' : 'auto',
    passwords: {},
    stateFolder: undefined,
    processId: undefined,
    health: () => askHealth(login(main, 'supabase_admin')),
    // It is not ours to watch: a lost server is seen by every request, and comes back by itself.
    onExit: () => () => {},
    stop: async () => {},
  };
}

function configOf(
  way: Way,
  role: LoginRole,
  database: string | undefined,
  passwordOf: ExternalOptions['passwordOf'],
): ClientConfig {
  const { url } = way;
  const own = role === 'supabase_admin';
  const password = own ? url.password : passwordOf?.(role);
  return {
    ...url.extra,
    host: url.host,
    port: url.port,
    user: own ? url.user : `${role}${url.userSuffix}`,
    database: database ?? url.database,
    ...(password === undefined ? {} : { password }),
    ssl: way.encrypted ? { ...url.tls } : false,
    connectionTimeoutMillis: connectWithinMs,
    keepAlive: true,
  };
}

/** Connects by a URL, with TLS as `sslmode` says, and asks who is there. */
async function reach(url: DatabaseUrl, options: ExternalOptions): Promise<Way> {
  const giveUpAtMs = Date.now() + (options.startingWithinMs ?? startingWithinMsDefault);
  for (;;) {
    let failure: unknown;
    for (const encrypted of encryptions(url)) {
      options.signal?.throwIfAborted();
      const trial: Way = {
        url,
        encrypted,
        pooled: url.pooled,
        version: '',
        versionNumber: 0,
        database: '',
        startedAt: '',
      };
      const answer = await askOnce(
        configOf(trial, 'supabase_admin', undefined, undefined),
        whoIsThere,
        connectWithinMs,
      );
      if (answer.ok) {
        const way = accept(trial, answer.rows[0] ?? [], options.allowsStandby ?? false);
        const login = configOf(way, 'supabase_admin', undefined, undefined);
        return { ...way, pooled: way.pooled || (await hasTransactionPooler(login)) };
      }
      // Of two failures that one counts which says more than that there is no TLS.
      if (failure === undefined || noTls(failure)) failure = answer.error;
      if (!triesOtherWay(url, encrypted, answer.error)) break;
    }
    if (errorCode(failure) !== '57P03' || Date.now() >= giveUpAtMs) throw explain(url, failure);
    options.observe({
      kind: 'postgres.waiting',
      level: 'info',
      sentence: `The server of ${url.name} is starting up.`,
    });
    await delay(askAgainAfterMs, options.signal);
  }
}

/** Encrypted or not, in the order that `sslmode` asks for. A Unix socket is never encrypted. Source: libpq, "SSL Mode Descriptions". */
function encryptions(url: DatabaseUrl): readonly boolean[] {
  if (isUnixSocket(url) || url.sslMode === 'disable') return [false];
  if (url.sslMode === 'allow') return [false, true];
  return url.sslMode === 'prefer' ? [true, false] : [true];
}

/** `prefer` and `allow` try the other way when the server does not do the first, or its pg_hba.conf refuses it. */
function triesOtherWay(url: DatabaseUrl, encrypted: boolean, error: unknown): boolean {
  if (errorCode(error) === '28000') return true;
  return encrypted && url.sslMode === 'prefer' && noTls(error);
}

/** `pg` has no code for it. */
function noTls(error: unknown): boolean {
  return /does not support SSL|establishing an SSL/.test(errorMessage(error));
}

function accept(way: Way, row: readonly unknown[], allowsStandby: boolean): Way {
  const [number, version, database, standby, startedAt] = row.map(String);
  const { url } = way;
  const versionNumber = Number(number);
  if (!(versionNumber >= oldestMajor * 10_000)) {
    throw new OperatorError(
      `The server of ${url.name} at ${placeOf(url)} is PostgreSQL ${version}; Millrace needs ${oldestMajor} or later.`,
      'Upgrade it, or leave the URL out for the embedded PostgreSQL.',
    );
  }
  if (standby === 'true' && !allowsStandby) {
    throw new OperatorError(
      `The server of ${url.name} at ${placeOf(url)} is a standby, which takes no writes.`,
      'Give the URL of its primary.',
    );
  }
  return {
    ...way,
    version: version ?? '',
    versionNumber,
    database: database ?? '',
    startedAt: startedAt ?? '',
  };
}

function noticesOf(main: Way, direct: Way | undefined): readonly string[] {
  const notices: string[] = [];
  for (const way of direct === undefined ? [main] : [main, direct]) {
    if (!way.encrypted && !isLocal(way.url)) {
      notices.push(
        `The connection of ${way.url.name} to ${placeOf(way.url)} is not encrypted; sslmode=verify-full would be safe.`,
      );
    }
  }
  if (main.pooled && direct === undefined) {
    notices.push(
      'DATABASE_URL leads to a transaction pooler and DIRECT_URL is not set: a changed schema is noticed by asking every few seconds, Realtime reads changes by triggers, and migrations run through the pooler.',
    );
  }
  if (direct?.pooled === true)
    notices.push(
      'DIRECT_URL leads to a transaction pooler as well; LISTEN and replication need the server itself.',
    );
  if (direct !== undefined && (direct.startedAt !== main.startedAt || direct.database !== main.database)) {
    notices.push('DATABASE_URL and DIRECT_URL seem to lead to different databases.');
  }
  return notices;
}

function placeOf(url: DatabaseUrl): string {
  return `"${url.host}" port ${url.port}`;
}

/** One sentence for each way in which a connection fails. */
function explain(url: DatabaseUrl, error: unknown): OperatorError {
  const code = errorCode(error) ?? '';
  const message = withoutPassword(errorMessage(error), url);
  const { name, host, port } = url;
  const place = placeOf(url);
  const sentence = (text: string, hint: string) => new OperatorError(text, hint, error);
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return sentence(`The host "${host}" of ${name} is not known.`, 'Check its spelling and the network.');
    case 'ECONNREFUSED':
    case 'ENOENT':
      return sentence(
        `Nothing answers at ${place}, where ${name} leads.`,
        'Start that server, or correct host and port.',
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return sentence(
        `There is no way in the network to ${place}, where ${name} leads.`,
        'A host that has only an IPv6 address needs IPv6 here; many services offer a pooler for IPv4.',
      );
    case '28P01':
      return sentence(
        `The server of ${name} at ${place} does not take the password of "${url.user}".`,
        'Correct user and password; signs such as # / @ in a URL are written %23 %2F %40.',
      );
    case '28000':
      return sentence(
        `The server of ${name} at ${place} refuses "${url.user}": ${message}.`,
        'Its pg_hba.conf decides who may log in from where, and whether encrypted.',
      );
    case '3D000':
      return sentence(
        `There is no database "${url.database}" on the server of ${name} at ${place}.`,
        'Make it (create database …), or correct the name at the end of the URL.',
      );
    case '53300':
      return sentence(
        `The server of ${name} at ${place} has no connection left.`,
        'Raise its max_connections, or close other clients.',
      );
    case '57P03':
      return sentence(
        `The server of ${name} at ${place} is still starting up.`,
        'Start again when it is ready.',
      );
    default:
  }
  if (noTls(error)) {
    return sentence(
      `The server of ${name} at ${place} does not do TLS, and sslmode is "${url.sslMode}".`,
      'Set its ssl = on, or sslmode=disable on a network that you trust.',
    );
  }
  if (code.startsWith('ERR_TLS_CERT_ALTNAME')) {
    return sentence(
      `The certificate at ${place}, where ${name} leads, is not for "${host}".`,
      'Give the name that stands in it, or sslmode=verify-ca.',
    );
  }
  if (/CERT|SIGNED|SIGNATURE|ISSUER/.test(code)) {
    return sentence(
      `The certificate at ${place}, where ${name} leads, cannot be verified: ${message}.`,
      'Give the certificate of its authority with sslrootcert=FILE.',
    );
  }
  if (code === 'ETIMEDOUT' || /timeout/i.test(message)) {
    return sentence(
      `${place}, where ${name} leads, does not answer within ${connectWithinMs / 1000} seconds.`,
      `A firewall may be in the way of port ${port}.`,
    );
  }
  return sentence(
    `${name} leads to ${place}, but the connection failed: ${message}.`,
    'Correct the URL, or look at the log of that server.',
  );
}

function withoutPassword(text: string, url: DatabaseUrl): string {
  const message = text.replace(/\.$/, '');
  return url.password === undefined ? message : message.replaceAll(url.password, '****');
}

const whoIsThere = `select pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_version'),
  pg_catalog.current_database(), pg_catalog.pg_is_in_recovery(), extract(epoch from pg_catalog.pg_postmaster_start_time())`;
