// In charge of: the settings of a PostgREST process, as `--only rest` takes them: its names, its defaults, its file.
// Source: PostgREST 14.12, docs/references/configuration.rst; src/PostgREST/Config.hs.
import {
  flag,
  list,
  oneOf,
  parsed,
  type Settings,
  text,
  type ValuesOf,
  wholeNumber,
} from '../base/settings.ts';
import { parseRolePath, plainRole, type RolePath } from '../engine/identity/role-path.ts';
import { settings as ofRest } from '../services/rest/settings.ts';
import { serverSettings } from './settings.ts';

/** The settings of the Data API with PostgREST's defaults, which open less than a project's. */
export const postgrestRestSettings = {
  ...ofRest,
  schemas: { ...ofRest.schemas, default: ['public'] },
  extraSearchPath: { ...ofRest.extraSearchPath, default: ['public'] },
  maxRows: { ...ofRest.maxRows, default: 0 },
  anonRole: { ...ofRest.anonRole, default: '' },
} satisfies Settings;

/** The settings of the process around it. */
export const postgrestSettings = {
  uri: text({
    key: 'db-uri',
    env: ['PGRST_DB_URI', 'DATABASE_URL'],
    default: 'postgresql://',
    sentence: 'Where the database is, and as which role requests log in; `@FILE` reads it from a file.',
  }),
  host: text({
    key: 'api.host',
    env: ['PGRST_SERVER_HOST'],
    default: '!4',
    sentence: 'The address to listen on; `*`, `*4`, `!4`, `*6` and `!6` are all of a kind.',
  }),
  port: wholeNumber({
    key: 'api.port',
    env: ['PGRST_SERVER_PORT'],
    default: 3000,
    max: 65535,
    sentence: 'The HTTP port. 0 takes any free one.',
  }),
  unixSocket: text({
    key: 'server-unix-socket',
    env: ['PGRST_SERVER_UNIX_SOCKET'],
    default: '',
    sentence: 'The path of a Unix socket to listen on, in place of address and port.',
  }),
  unixSocketMode: parsed<number>(
    {
      key: 'server-unix-socket-mode',
      env: ['PGRST_SERVER_UNIX_SOCKET_MODE'],
      default: 0o660,
      sentence: 'Who may use that socket.',
    },
    'an octal number from 600 to 777',
    (raw) => (typeof raw === 'string' && /^[67][0-7]{2}$/.test(raw) ? Number.parseInt(raw, 8) : undefined),
  ),
  adminHost: text({
    key: 'admin-server-host',
    env: ['PGRST_ADMIN_SERVER_HOST'],
    default: '',
    sentence: 'The address of the admin port. Empty: that of the HTTP port.',
  }),
  adminPort: wholeNumber({
    key: 'admin-server-port',
    env: ['PGRST_ADMIN_SERVER_PORT'],
    default: 0,
    max: 65535,
    sentence: 'The port for /live, /ready, /schema_cache and /metrics. 0: there is none.',
  }),
  corsOrigins: list({
    key: 'server-cors-allowed-origins',
    env: ['PGRST_SERVER_CORS_ALLOWED_ORIGINS'],
    default: [],
    sentence: 'The origins of pages that may ask. Empty: all.',
    live: true,
  }),
  channel: text({
    key: 'db-channel',
    env: ['PGRST_DB_CHANNEL'],
    default: 'pgrst',
    sentence: 'The channel on which `reload schema` and `reload config` are heard.',
  }),
  channelEnabled: flag({
    key: 'db-channel-enabled',
    env: ['PGRST_DB_CHANNEL_ENABLED'],
    default: true,
    sentence: 'Listen on that channel. A transaction pooler cannot carry it.',
  }),
  inDatabase: flag({
    key: 'db-config',
    env: ['PGRST_DB_CONFIG'],
    default: true,
    sentence: 'Read settings that stand in the database.',
    live: true,
  }),
  preConfig: text({
    key: 'db-pre-config',
    env: ['PGRST_DB_PRE_CONFIG'],
    default: '',
    sentence: 'A function that sets settings, called whenever they are read.',
    live: true,
  }),
  prepared: flag({
    key: 'db-prepared-statements',
    env: ['PGRST_DB_PREPARED_STATEMENTS'],
    default: true,
    sentence: 'Prepare statements by name.',
  }),
  poolSize: serverSettings.poolSize,
  poolAcquireSeconds: serverSettings.poolAcquireSeconds,
  poolMaxWaiting: serverSettings.poolMaxWaiting,
  poolIdleSeconds: wholeNumber({
    key: 'db-pool-max-idletime',
    env: ['PGRST_DB_POOL_TIMEOUT', 'PGRST_DB_POOL_MAX_IDLETIME'],
    default: 30,
    unit: 'seconds',
    sentence: 'A connection that is idle for so long is closed.',
  }),
  poolLifetimeSeconds: wholeNumber({
    key: 'db-pool-max-lifetime',
    env: ['PGRST_DB_POOL_MAX_LIFETIME'],
    default: 1800,
    unit: 'seconds',
    sentence: 'A connection that is older is not used again.',
  }),
  recovers: flag({
    key: 'db-pool-automatic-recovery',
    env: ['PGRST_DB_POOL_AUTOMATIC_RECOVERY'],
    default: true,
    sentence: 'Wait for a database that cannot be reached at start; otherwise end.',
  }),
  jwtSecret: text({
    key: 'jwt-secret',
    env: ['PGRST_JWT_SECRET'],
    default: '',
    sentence: 'A secret of 32 characters or more, a JWK, or a set of them; `@FILE` reads it from a file.',
    live: true,
  }),
  jwtSecretIsBase64: flag({
    key: 'jwt-secret-is-base64',
    env: ['PGRST_JWT_SECRET_IS_BASE64', 'PGRST_SECRET_IS_BASE64'],
    default: false,
    sentence: 'The secret is written in base64.',
    live: true,
  }),
  jwtAudience: parsed<string>(
    {
      key: 'jwt-aud',
      env: ['PGRST_JWT_AUD'],
      default: '',
      sentence: 'The audience that a token with an `aud` claim must name. Empty: any.',
      live: true,
    },
    'a text without a colon, or a URI',
    // Source: RFC 7519 section 2, StringOrURI.
    (raw) => (typeof raw === 'string' && (!raw.includes(':') || URL.canParse(raw)) ? raw : undefined),
  ),
  rolePath: parsed<RolePath>(
    {
      key: 'jwt-role-claim-key',
      env: ['PGRST_JWT_ROLE_CLAIM_KEY', 'PGRST_ROLE_CLAIM_KEY'],
      default: plainRole,
      sentence: 'Where the role stands in the claims: `.role`, `.realm.roles[0]`, `.roles[?(@ ^== "api_")]`.',
      live: true,
    },
    'a path such as .realm.roles[0]',
    (raw) => (raw === '' ? plainRole : typeof raw === 'string' ? parseRolePath(raw) : undefined),
  ),
  jwtCacheMaxEntries: wholeNumber({
    key: 'jwt-cache-max-entries',
    env: ['PGRST_JWT_CACHE_MAX_ENTRIES'],
    default: 1000,
    unit: 'tokens',
    sentence: 'How many verified tokens are remembered.',
    live: true,
  }),
  logLevel: oneOf(
    {
      key: 'log.level',
      env: ['PGRST_LOG_LEVEL'],
      default: 'error',
      sentence: '`error` logs answers of 500 and above, `warn` those of 400 and above, `info` all.',
    },
    ['crit', 'error', 'warn', 'info', 'debug', 'silent'],
  ),
  logQuery: flag({
    key: 'log-query',
    env: ['PGRST_LOG_QUERY'],
    default: false,
    sentence: 'Log the SQL of each request.',
  }),
  // PostgREST has none of these bounds; they are far enough out not to be met by what worked with it.
  maxBodyBytes: { ...serverSettings.maxBodyBytes, default: 256 * 1024 * 1024 },
  requestTimeoutSeconds: { ...serverSettings.requestTimeoutSeconds, default: 3600 },
  drainSeconds: serverSettings.drainSeconds,
} satisfies Settings;

export type PostgrestSettings = ValuesOf<typeof postgrestSettings>;

type Variables = Readonly<Record<string, string | undefined>>;

/** Set to nothing is not set, as compose files pass variables on. Only of the extra search path is nothing a value. */
export function withoutEmpty(environment: Variables): Variables {
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name, value]) => !name.startsWith('PGRST_') || value !== '' || name === 'PGRST_DB_EXTRA_SEARCH_PATH',
    ),
  );
}

/** What is set and nothing here acts on, in one sentence. */
export function ignoredVariables(environment: Variables): readonly string[] {
  const known = [...Object.values(postgrestSettings), ...Object.values(postgrestRestSettings)];
  const names = new Set(known.flatMap(({ env }) => env));
  const ignored = Object.keys(environment).filter(
    (name) => name.startsWith('PGRST_') && !name.startsWith('PGRST_APP_SETTINGS_') && !names.has(name),
  );
  return ignored.length === 0 ? [] : [`Nothing here acts on ${ignored.sort().join(', ')}.`];
}

/** PostgREST's reserved addresses. Source: PostgREST 14.12, docs/references/configuration.rst "server-host". */
export function listenAddress(host: string): string {
  if (host === '!4' || host === '*4') return '0.0.0.0';
  return host === '*' || host === '*6' || host === '!6' ? '::' : host;
}
