// In charge of: every flag of the command line, once: what it takes, what it does, who takes it. Help and completion are made from it.

export interface Flag {
  readonly kind: 'text' | 'switch' | 'list';
  readonly short?: string;
  /** What stands for the value in the help. */
  readonly value?: string;
  readonly sentence: string;
  /** The values that there are, for help and completion. */
  readonly words?: readonly string[];
  /** Every command takes it. */
  readonly general?: true;
  /** Taken so that lines written for the Supabase CLI work; left out of the help. */
  readonly silent?: true;
}

export type FlagName = keyof typeof flags;

/** The flags as a table with one type for all of them. */
export const flagTable = (): Readonly<Record<string, Flag>> => flags;

export const flags = {
  project: {
    kind: 'text',
    value: 'DIR',
    sentence: 'the folder that holds supabase/ (default: here)',
    general: true,
  },
  port: {
    kind: 'text',
    value: 'N',
    sentence: 'the HTTP port (default: 54321; 0: any free one)',
    general: true,
  },
  host: {
    kind: 'text',
    value: 'ADDRESS',
    sentence: 'what the HTTP port listens on (default: 127.0.0.1)',
    general: true,
  },
  'db-port': {
    kind: 'text',
    value: 'N',
    sentence: 'the database port (default: 54322; 0: any free one)',
    general: true,
  },
  'db-host': {
    kind: 'text',
    value: 'ADDRESS',
    sentence: 'what the database port listens on (default: 127.0.0.1)',
    general: true,
  },
  data: {
    kind: 'text',
    value: 'DIR',
    sentence: 'where the state lives (default: .millrace in the project)',
    general: true,
  },
  'pg-bin': {
    kind: 'text',
    value: 'DIR',
    sentence: "use an installed PostgreSQL's bin folder",
    general: true,
  },
  engine: {
    kind: 'text',
    value: 'WORD',
    sentence:
      'embedded, system, pglite or external (default: that of the data; for new data what the migrations need)',
    words: ['embedded', 'system', 'pglite', 'external'],
    general: true,
  },
  memory: {
    kind: 'switch',
    sentence: 'a database that is thrown away when it stops, on PGlite',
    general: true,
  },
  production: { kind: 'switch', sentence: 'refuse what is only for development', general: true },
  'log-level': {
    kind: 'text',
    value: 'WORD',
    sentence: 'debug, info, warn, error, silent',
    words: ['debug', 'info', 'warn', 'error', 'silent'],
    general: true,
  },
  json: {
    kind: 'switch',
    sentence: 'print for programs, one line of JSON; what is for people goes to standard error',
    general: true,
  },
  yes: { kind: 'switch', short: 'y', sentence: 'do not ask', general: true },
  help: { kind: 'switch', short: 'h', sentence: "this text, or a command's", general: true },
  version: { kind: 'switch', short: 'v', sentence: 'the version', general: true },

  only: {
    kind: 'text',
    value: 'rest',
    sentence: "the Data API alone over PGRST_DB_URI, with PostgREST's settings and nothing else",
    words: ['rest'],
  },
  'no-seed': { kind: 'switch', sentence: 'leave the seed files out' },
  url: { kind: 'text', value: 'URL', sentence: 'a backend elsewhere, with MILLRACE_OPERATOR_TOKEN' },
  scopes: { kind: 'text', value: 'LIST', sentence: 'some of read, settings, keys, metrics, operators' },
  expires: { kind: 'text', value: 'WORD', sentence: '90d, another number of days, or never' },
  limit: { kind: 'text', value: 'N', sentence: 'how many (default: 50)' },
  name: { kind: 'text', value: 'NAME', sentence: 'what the key is called' },
  user: { kind: 'text', value: 'ID', sentence: 'the user whose rights the access key has' },
  role: { kind: 'text', value: 'NAME', sentence: 'the role that the key gives' },
  service: {
    kind: 'list',
    value: 'NAME',
    sentence: 'a service that the key is for; again for more (default: all)',
  },
  table: {
    kind: 'list',
    value: 'PREFIX',
    sentence: 'what tables and functions that it is for begin with; again for more (default: all)',
  },
  address: {
    kind: 'list',
    value: 'CIDR',
    sentence: 'where its clients are; again for more (default: anywhere)',
  },
  overlap: { kind: 'text', value: 'TIME', sentence: 'how long the replaced key stays valid (default: 24h)' },
  algorithm: {
    kind: 'text',
    value: 'WORD',
    sentence: 'ES256 (the default), RS256, EdDSA or HS256',
    words: ['ES256', 'RS256', 'EdDSA', 'HS256'],
  },
  import: { kind: 'text', value: 'FILE', sentence: 'a private JWK, as `supabase gen signing-key` writes it' },
  now: { kind: 'switch', sentence: 'although the key was announced less than 20 minutes ago' },
  'end-legacy-keys': { kind: 'switch', sentence: 'the legacy API keys end with the JWT secret' },

  'db-url': { kind: 'text', value: 'URL', sentence: "another database than the project's: postgresql://…" },
  schema: {
    kind: 'list',
    short: 's',
    value: 'LIST',
    sentence: 'the schemas that are meant, with commas between; again for more',
  },
  file: { kind: 'text', short: 'f', value: 'NAME', sentence: 'write it there' },
  lang: {
    kind: 'text',
    value: 'WORD',
    sentence: 'typescript (the default), go, swift or python',
    words: ['typescript', 'go', 'swift', 'python'],
  },
  'swift-access-control': {
    kind: 'text',
    value: 'WORD',
    sentence: 'swift: internal (the default) or public',
    words: ['internal', 'public'],
  },
  'postgrest-v9-compat': {
    kind: 'switch',
    sentence: 'typescript: leave isOneToOne out, for PostgREST 9 and below',
  },
  'include-all': { kind: 'switch', sentence: 'also migrations that are older than the last applied one' },
  'include-roles': { kind: 'switch', sentence: 'apply supabase/roles.sql again' },
  'include-seed': { kind: 'switch', sentence: 'apply seed files that are new' },
  status: {
    kind: 'text',
    value: 'WORD',
    sentence: 'what the history is to say of the versions: applied or reverted',
    words: ['applied', 'reverted'],
  },
  rename: {
    kind: 'list',
    value: 'OLD:NEW',
    sentence:
      'a table or column that was renamed, `public.film:public.films` or `public.film.name:title`; again for more',
  },
  live: {
    kind: 'switch',
    sentence: 'compare with the database, although the project has a declarative schema',
  },
  output: { kind: 'text', short: 'o', value: 'FILE', sentence: 'write it there (default: standard output)' },
  for: {
    kind: 'text',
    value: 'MAJOR',
    sentence: 'a PostgreSQL of this version takes it: what that lacks is said otherwise, or refused',
    words: ['15', '17', '18'],
  },
  'schema-only': { kind: 'switch', sentence: 'the structure without rows' },
  'jwt-secret': {
    kind: 'text',
    value: 'SECRET',
    sentence:
      'the JWT secret of the source, or MILLRACE_SOURCE_JWT_SECRET: sessions and refresh tokens come along',
  },
  'new-keys': {
    kind: 'switch',
    sentence: 'with `encrypt`: every encrypted bucket gets a new key, and its files are written anew by it',
  },
  storage: {
    kind: 'text',
    value: 'URL',
    sentence: 'the URL of the other project: files come from there, or go there',
  },
  'service-key': {
    kind: 'text',
    value: 'KEY',
    sentence:
      'the service key of the other project, which other users of this machine can read here; better in the environment: MILLRACE_SOURCE_SERVICE_KEY, MILLRACE_TARGET_SERVICE_KEY',
  },
  resume: { kind: 'switch', sentence: 'go on with an import that broke off' },
  'data-only': { kind: 'switch', sentence: 'the rows and nothing else' },
  'role-only': { kind: 'switch', sentence: 'the roles of the cluster and nothing else' },
  'use-copy': { kind: 'switch', sentence: 'rows as COPY instead of INSERT' },
  exclude: {
    kind: 'list',
    short: 'x',
    value: 'TABLE',
    sentence: 'a table whose rows are left out, `public.films`; again for more',
  },
  'keep-comments': { kind: 'switch', sentence: 'leave the comments of pg_dump in' },
  level: {
    kind: 'text',
    value: 'WORD',
    sentence: 'the least that is said: warning (the default) or error',
    words: ['warning', 'error'],
  },
  'fail-on': {
    kind: 'text',
    value: 'WORD',
    sentence: 'what ends it with status 1: none (the default), warning or error',
    words: ['none', 'warning', 'error'],
  },
  checksums: { kind: 'switch', sentence: 'read every file and compare its digest' },
  repair: { kind: 'switch', sentence: 'remove bytes that no row names' },
  remote: {
    kind: 'text',
    value: 'NAME',
    sentence: 'a section [remotes.NAME] of config.toml, laid over the rest of the file',
    general: true,
  },

  local: {
    kind: 'switch',
    sentence: "the project's own database, which is meant anyway",
    general: true,
    silent: true,
  },
  linked: {
    kind: 'switch',
    sentence: "the project's own database: nothing is linked here",
    general: true,
    silent: true,
  },
  workdir: { kind: 'text', sentence: 'as --project', general: true, silent: true },
  debug: { kind: 'switch', sentence: 'as --log-level debug', general: true, silent: true },
} as const satisfies Readonly<Record<string, Flag>>;
