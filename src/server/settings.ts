// In charge of: the settings of the program itself: ports, addresses, pools, bounds. A service declares its own.

import { flag, oneOf, parsed, text, wholeNumber } from '../base/settings.ts';
import { parseDurationSeconds } from '../base/time.ts';

const seconds = (raw: unknown) => {
  const value = parseDurationSeconds(raw);
  return value !== undefined && value > 0 ? value : undefined;
};

export const serverSettings = {
  host: text({
    key: 'api.host',
    env: ['MILLRACE_HOST'],
    default: '127.0.0.1',
    sentence:
      'The address that the HTTP port listens on. Anything but loopback refuses the development secrets.',
  }),
  port: wholeNumber({
    key: 'api.port',
    env: ['MILLRACE_PORT', 'SUPABASE_API_PORT', 'PORT'],
    default: 54321,
    max: 65535,
    sentence: 'The HTTP port. 0 takes any free one.',
  }),
  externalUrl: text({
    key: 'api.external_url',
    env: ['MILLRACE_EXTERNAL_URL', 'SUPABASE_API_EXTERNAL_URL', 'API_EXTERNAL_URL', 'SUPABASE_PUBLIC_URL'],
    default: '',
    sentence:
      'The URL under which clients reach the HTTP port. Empty: http://<host>:<port>. Links are made from it, never from a request.',
  }),
  authEnabled: flag({
    key: 'auth.enabled',
    env: ['SUPABASE_AUTH_ENABLED'],
    default: true,
    sentence: 'Whether there is sign-in: without it /auth/v1 is a path like any that is not there.',
  }),
  storageEnabled: flag({
    key: 'storage.enabled',
    env: ['SUPABASE_STORAGE_ENABLED'],
    default: true,
    sentence: 'Whether there are files: without them /storage/v1 is a path like any that is not there.',
  }),
  realtimeEnabled: flag({
    key: 'realtime.enabled',
    env: ['MILLRACE_REALTIME_ENABLED'],
    default: true,
    sentence:
      'Whether WebSockets are answered at /realtime/v1, with changes of rows, broadcasts and presence.',
  }),
  maxBodyBytes: wholeNumber({
    key: 'gateway.max_body_bytes',
    env: ['MILLRACE_MAX_BODY_BYTES'],
    default: 10 * 1024 * 1024,
    min: 1024,
    unit: 'bytes',
    live: true,
    sentence: 'A longer request body is refused with 413. Files have their own limit.',
  }),
  requestTimeoutSeconds: parsed(
    {
      key: 'gateway.request_timeout',
      env: ['MILLRACE_REQUEST_TIMEOUT'],
      default: 60,
      unit: 'seconds',
      live: true,
      sentence: 'A request that takes longer is answered with 504 and its query is cancelled.',
    },
    'a duration such as "60s"',
    seconds,
  ),
  drainSeconds: parsed(
    {
      key: 'gateway.drain_timeout',
      env: ['MILLRACE_DRAIN_TIMEOUT'],
      default: 20,
      unit: 'seconds',
      sentence: 'How long a stop waits for requests in flight.',
    },
    'a duration such as "20s"',
    seconds,
  ),
  anonymousWithoutKey: oneOf(
    {
      key: 'gateway.without_key',
      env: ['MILLRACE_WITHOUT_KEY'],
      default: 'unset',
      live: true,
      sentence:
        'What a request with neither key nor token is: `anonymous`, or `refused`. Unset: anonymous in development, refused with --production.',
    },
    ['unset', 'anonymous', 'refused'],
  ),
  tunnel: flag({
    key: 'gateway.development_tunnel',
    env: ['MILLRACE_DEVELOPMENT_TUNNEL'],
    default: false,
    live: true,
    sentence:
      'Accept the development secrets also in requests that came through a proxy or name another host. For tunnels; whoever finds the URL is an administrator then.',
  }),
  guards: flag({
    key: 'gateway.guards',
    env: ['MILLRACE_GUARDS'],
    default: true,
    sentence:
      'Look at addresses, rules, limits, quotas, load and security headers. Off only to measure what that costs.',
  }),
  shedTargetSeconds: parsed(
    {
      key: 'gateway.shed_target',
      env: ['MILLRACE_SHED_TARGET'],
      default: 0.5,
      unit: 'seconds',
      live: true,
      sentence:
        'While answers take longer than this, and than twice what they usually take, some requests are refused with 503, so that the others are answered in time.',
    },
    'a duration such as "500ms"',
    seconds,
  ),
  serverTiming: flag({
    key: 'gateway.server_timing',
    env: ['MILLRACE_SERVER_TIMING'],
    default: false,
    live: true,
    sentence: 'Answer with a `Server-Timing` header.',
  }),
  jwtSecret: text({
    key: 'auth.jwt_secret',
    env: ['MILLRACE_JWT_SECRET', 'SUPABASE_AUTH_JWT_SECRET', 'JWT_SECRET'],
    default: '',
    secret: true,
    sentence:
      'The secret of HS256 tokens and of the legacy keys, 16 characters or more; take 32 or more. Empty: the public development secret.',
  }),
  s3AccessKeyId: text({
    key: 'storage.s3_protocol.access_key_id',
    env: ['S3_PROTOCOL_ACCESS_KEY_ID'],
    default: '',
    sentence:
      'The access key of the S3 protocol, which passes every policy. Empty: the public one of development, as long as the JWT secret is that, too; else there is none.',
  }),
  s3AccessKeySecret: text({
    key: 'storage.s3_protocol.access_key_secret',
    env: ['S3_PROTOCOL_ACCESS_KEY_SECRET'],
    default: '',
    secret: true,
    sentence: 'The secret of that access key, 16 characters or more.',
  }),
  signingKeysPath: text({
    key: 'auth.signing_keys_path',
    env: ['SUPABASE_AUTH_SIGNING_KEYS_PATH'],
    default: '',
    sentence:
      'A JSON file with an array of private JWKs, relative to the supabase folder. Their public halves verify tokens.',
  }),
  publishableKey: text({
    key: 'auth.publishable_key',
    env: ['SUPABASE_AUTH_PUBLISHABLE_KEY', 'SUPABASE_PUBLISHABLE_KEY'],
    default: '',
    secret: true,
    sentence: 'The key that browsers carry. Empty: the public development key.',
  }),
  secretKey: text({
    key: 'auth.secret_key',
    env: ['SUPABASE_AUTH_SECRET_KEY', 'SUPABASE_SECRET_KEY'],
    default: '',
    secret: true,
    sentence: 'The key that makes a request service_role. Empty: the public development key.',
  }),
  anonKey: text({
    key: 'auth.anon_key',
    env: ['SUPABASE_AUTH_ANON_KEY', 'ANON_KEY'],
    default: '',
    secret: true,
    sentence: 'The legacy anonymous key, a token. Empty: made from the JWT secret.',
  }),
  serviceRoleKey: text({
    key: 'auth.service_role_key',
    env: ['SUPABASE_AUTH_SERVICE_ROLE_KEY', 'SERVICE_ROLE_KEY'],
    default: '',
    secret: true,
    sentence: 'The legacy service_role key, a token. Empty: made from the JWT secret.',
  }),
  databaseHost: text({
    key: 'db.host',
    env: ['MILLRACE_DB_HOST'],
    default: '127.0.0.1',
    sentence: 'The address that the database port listens on. Stays loopback unless it is set.',
  }),
  databasePort: wholeNumber({
    key: 'db.port',
    env: ['MILLRACE_DB_PORT', 'SUPABASE_DB_PORT'],
    default: 54322,
    max: 65535,
    sentence: 'The database port for psql and other plain drivers. 0 takes any free one.',
  }),
  databasePassword: text({
    key: 'db.password',
    env: ['MILLRACE_DB_PASSWORD', 'SUPABASE_DB_PASSWORD', 'POSTGRES_PASSWORD'],
    default: '',
    secret: true,
    sentence:
      'The password of role postgres on the database port. Empty: `postgres`, the public development password.',
  }),
  majorVersion: wholeNumber({
    key: 'db.major_version',
    env: ['SUPABASE_DB_MAJOR_VERSION'],
    default: 0,
    sentence: 'The PostgreSQL major version to run. Unset (0): 18, or what the data directory holds.',
  }),
  prepared: oneOf(
    {
      key: 'db.prepared',
      env: ['MILLRACE_DB_PREPARED'],
      default: 'auto',
      sentence:
        'Prepare statements by name. `auto` leaves it off behind a transaction pooler and switches it off when a named statement fails.',
    },
    ['auto', 'on', 'off'],
  ),
  poolSize: wholeNumber({
    key: 'db.pool_size',
    env: ['MILLRACE_DB_POOL_SIZE', 'PGRST_DB_POOL'],
    default: 10,
    min: 1,
    max: 1000,
    unit: 'connections',
    sentence: 'The most connections that requests use at once.',
  }),
  poolAcquireSeconds: parsed(
    {
      key: 'db.pool_acquisition_timeout',
      env: ['MILLRACE_DB_POOL_ACQUISITION_TIMEOUT', 'PGRST_DB_POOL_ACQUISITION_TIMEOUT'],
      default: 10,
      unit: 'seconds',
      sentence: 'How long a request waits for a database connection.',
    },
    'a duration such as "10s"',
    seconds,
  ),
  poolMaxWaiting: wholeNumber({
    key: 'db.pool_max_waiting',
    env: ['MILLRACE_DB_POOL_MAX_WAITING'],
    default: 2000,
    min: 1,
    unit: 'requests',
    sentence:
      'When more requests than this wait for a database connection, further ones are refused at once.',
  }),
  autoExposeNewTables: parsed<'unset' | boolean>(
    {
      key: 'api.auto_expose_new_tables',
      env: ['SUPABASE_API_AUTO_EXPOSE_NEW_TABLES'],
      default: 'unset',
      sentence:
        'Whether new tables in schema public are open to the API roles without grants. Unset: only for projects whose first migration is older than 2026-05-30. Must be set with --production.',
    },
    'true or false',
    (raw) => (raw === true || raw === 'true' ? true : raw === false || raw === 'false' ? false : undefined),
  ),
  logLevel: oneOf(
    {
      key: 'log.level',
      env: ['MILLRACE_LOG_LEVEL', 'LOG_LEVEL'],
      default: 'info',
      sentence: 'What the log holds: a line for each request from `info` on.',
    },
    ['debug', 'info', 'warn', 'error', 'silent'],
  ),
} as const;
