// In charge of: what each extension of hosted projects is here. One row an extension; docs/extensions.md is made from it.

/** Hosted projects up to PostgreSQL 15 have it from their start, so that scripts of theirs use it without creating it. Source: supabase/postgres migrations/schema-15.sql. */
export interface Assumed {
  /** A script that has this, outside of comments, uses it. */
  readonly mention: RegExp;
  /** Where they have it. Undefined: in its own schema. */
  readonly schema?: string;
}

/** SQL takes the extension's place where the server does not have it: ours, in `sql/<name>/`, or that of an npm package. */
export interface ProvidedExtension {
  readonly kind: 'provided';
  readonly name: string;
  /** The version of upstream whose functions these are. */
  readonly version: string;
  /** The one schema that it can be in. Undefined: that of `with schema`, or else the first of the search path. */
  readonly schema?: string;
  readonly requires?: readonly string[];
  /** `superuser`: its script needs one, and runs as one whoever creates it. Default: it runs as whoever creates it. */
  readonly runsAs?: 'superuser';
  /** Whether `alter extension … set schema` can move it: nothing in its script names a schema. */
  readonly relocatable?: boolean;
  /** The npm package that holds its script; what is in `sql/<name>/` follows it. */
  readonly package?: string;
  readonly assumed?: Assumed;
  /** Where a statement wants it in another schema, it is in its own all the same. Source: supabase/postgres supautils.conf.j2, extensions_parameter_overrides. */
  readonly overridesSchema?: true;
  /** What it is, as `\dx` shows it. */
  readonly comment: string;
  /** What differs from upstream, for the page. */
  readonly differs: string;
}

/**
 * Nothing of a schema depends on it: it is recorded with the version `absent`, said at each start, and its functions, where
 * projects are known to call them, are there and raise an error that says so.
 */
export interface AbsentExtension {
  readonly kind: 'absent';
  readonly name: string;
  readonly schema?: string;
  readonly requires?: readonly string[];
  /** Those that projects call, as `create function` wants them up to `language`. */
  readonly functions?: readonly string[];
  /** The statement that makes what dumps of hosted projects write into; nothing here reads it. */
  readonly written?: string;
  readonly assumed?: Assumed;
  /** What is missed, and what to do instead. */
  readonly sentence: string;
}

/** Only a real build has it: the migration that asks for it stops and names who does. */
export interface ElsewhereExtension {
  readonly kind: 'elsewhere';
  readonly name: string;
  /** The npm package with which the pglite engine has it. */
  readonly pglite?: string;
  /** Debian's package for an installed PostgreSQL is `postgresql-<major>-<debian>`. */
  readonly debian?: string;
  readonly comment: string;
}

export type Extension = ProvidedExtension | AbsentExtension | ElsewhereExtension;

/** Those whose SQL can be placed: they can be created on every engine of ours. */
export type PlacedExtension = ProvidedExtension | AbsentExtension;

export function findExtension(name: string): Extension | undefined {
  return extensions.find((extension) => extension.name === name);
}

/** How an absent extension shows in `pg_extension`. */
export const absentVersion = 'absent';

export function versionOf(extension: PlacedExtension): string {
  return extension.kind === 'absent' ? absentVersion : extension.version;
}

/** What a person hears of an absent extension, when a migration asks for it and at each start. */
export function sayAbsent({ name, sentence }: AbsentExtension): string {
  return `The extension "${name}" is not in this PostgreSQL, and is only recorded. ${sentence}`;
}

/** Who has an extension that the server lacks: the next move, one sentence. Undefined where this program knows nobody. */
export function whoHas(name: string, major: number): string | undefined {
  const extension = findExtension(name);
  if (extension?.kind !== 'elsewhere') return undefined;
  const { pglite, debian } = extension;
  const ways = [
    ...(pglite === undefined ? [] : ['the engine pglite (--engine pglite)']),
    ...(debian === undefined
      ? []
      : [`an installed PostgreSQL with the package postgresql-${major}-${debian} (--pg-bin DIR)`]),
    'an external server that has it (DATABASE_URL)',
  ];
  return `"${name}" (${extension.comment}) needs a real build. It comes with: ${ways.join('; ')}.`;
}

/** Source: okbob/plpgsql_check plpgsql_check--2.10.sql. */
const checkOptions = `fatal_errors boolean default true, other_warnings boolean default true,
  performance_warnings boolean default false, extra_warnings boolean default true, security_warnings boolean default false,
  compatibility_warnings boolean default false, oldtable name default null, newtable name default null,
  anyelememttype regtype default 'int', anyenumtype regtype default '-', anyrangetype regtype default 'int4range',
  anycompatibletype regtype default 'int', anycompatiblerangetype regtype default 'int4range',
  without_warnings boolean default false, all_warnings boolean default false, use_incomment_options boolean default true,
  incomment_options_usage_warning boolean default false, constant_tracing boolean default true, pragmas text[] default null`;

/** By name. */
export const extensions: readonly Extension[] = [
  {
    kind: 'provided',
    name: 'http',
    version: '1.6',
    runsAs: 'superuser',
    comment: 'HTTP client for PostgreSQL',
    differs:
      'The program sends, and the statement waits on a second connection: at most 16 calls at once, and a few milliseconds more for each. Requests go through the egress guard. Of curl’s options the time of a whole request and the user agent are acted on, those about connections mean nothing, and those about certificates, proxies and name servers raise an error. Only GET, HEAD, POST, PUT, PATCH and DELETE; answers of up to 8 MiB. On pglite a call raises an error that says so.',
  },
  {
    kind: 'absent',
    name: 'hypopg',
    functions: [
      'hypopg_create_index(sql_order text, out indexrelid oid, out indexname text) returns setof record',
      'hypopg_drop_index(indexid oid) returns boolean',
      'hypopg_get_indexdef(indexid oid) returns text',
      'hypopg_hidden_indexes() returns table (indexid oid)',
      'hypopg_hide_index(indexid oid) returns boolean',
      'hypopg_relation_size(indexid oid) returns bigint',
      'hypopg_reset() returns void',
      'hypopg_reset_index() returns void',
      'hypopg_unhide_all_indexes() returns void',
      'hypopg_unhide_index(indexid oid) returns boolean',
    ],
    sentence: 'Hypothetical indexes are not to be had; make the index and look at EXPLAIN.',
  },
  {
    kind: 'absent',
    name: 'index_advisor',
    requires: ['hypopg'],
    functions: [
      `index_advisor(query text) returns table (startup_cost_before jsonb, startup_cost_after jsonb,
         total_cost_before jsonb, total_cost_after jsonb, index_statements text[], errors text[])`,
    ],
    sentence: 'It needs hypopg. Indexes are not suggested.',
  },
  {
    kind: 'provided',
    name: 'pg_cron',
    version: '1.6',
    schema: 'pg_catalog',
    runsAs: 'superuser',
    overridesSchema: true,
    comment: 'Job scheduler for PostgreSQL',
    differs:
      'The program runs the jobs; one process of several does, by lease. `@yearly` and `@annually` run, which upstream never does. Jobs of the superuser of a server that Millrace runs itself are refused. On an external server a job runs as the URL’s own user or as a role that Millrace made. Nobody but the owner may put triggers on the tables of the schema.',
  },
  {
    kind: 'provided',
    name: 'pg_graphql',
    version: '1.5.11',
    schema: 'graphql',
    runsAs: 'superuser',
    assumed: { mention: /(?<![\w$])"?graphql"?\s*\.\s*"?resolve/i },
    comment: 'GraphQL support',
    differs: 'The schemas and `graphql.resolve` are there, and it answers that GraphQL is not enabled.',
  },
  {
    kind: 'provided',
    name: 'pg_jsonschema',
    version: '0.3.3',
    comment: 'Validates json and jsonb by a JSON Schema',
    differs:
      'Written in PL/pgSQL, so slower. Drafts 4 to 2020-12 but for `unevaluatedItems`, `unevaluatedProperties`, `$dynamicRef`, `$recursiveRef`, references out of the schema, and (up to draft 7) `contentEncoding` and `contentMediaType`: a schema with one of these raises an error instead of passing what it should not. Patterns are PostgreSQL’s regular expressions; `jsonschema` is a domain over `jsonb`.',
  },
  {
    kind: 'provided',
    name: 'pg_net',
    version: '0.20.4',
    runsAs: 'superuser',
    comment: 'Async HTTP',
    differs:
      'The program sends, at most 32 requests at once, through the egress guard; `http://kong:8000` and the other names of the project’s own gateway reach it without a detour. Each request is sent at most once: one that is under way when the program is killed has no answer. Answers of up to 8 MiB; a timeout of 0 or of more than ten minutes is ten minutes. Triggers on the tables of `net` are for `postgres` alone, and run with its rights. The message of a timeout does not split the time. `pg_net.ttl` is read, `pg_net.batch_size` means nothing.',
  },
  {
    kind: 'absent',
    name: 'pg_repack',
    schema: 'repack',
    functions: ['version() returns text'],
    sentence: 'Tables are not rebuilt online; VACUUM FULL or CLUSTER lock them meanwhile.',
  },
  {
    kind: 'absent',
    name: 'pg_stat_monitor',
    functions: ['pg_stat_monitor_reset() returns void', 'pg_stat_monitor_version() returns text'],
    sentence: 'Statements are counted by pg_stat_statements, which is there.',
  },
  {
    kind: 'provided',
    name: 'pg_tle',
    version: '1.5.3',
    schema: 'pgtle',
    runsAs: 'superuser',
    comment: 'Trusted Language Extensions for PostgreSQL',
    differs:
      'Extensions of it are created and updated by migrations, seeds and `millrace test`, at the top of a file; not in a `do` block, and not by a person in psql, where PostgreSQL looks for files alone. Hooks (`register_feature`) and base types raise an error that says so. `pg_extension_config_dump` in a script does nothing.',
  },
  {
    kind: 'absent',
    name: 'pgaudit',
    sentence: 'It changes only what is logged: statements are not written to an audit log.',
  },
  {
    kind: 'provided',
    name: 'pgjwt',
    version: '0.2.0',
    assumed: {
      mention:
        /(?<![\w$])"?extensions"?\s*\.\s*"?(?:sign|verify|algorithm_sign|url_encode|url_decode)"?\s*\(/i,
      schema: 'extensions',
    },
    requires: ['pgcrypto'],
    comment: 'JSON Web Tokens, signed and verified by SQL',
    differs:
      'pgcrypto may be in any schema. Upstream is deprecated; new projects verify tokens by their signing keys.',
  },
  {
    kind: 'provided',
    name: 'pgmq',
    version: '1.11.1',
    schema: 'pgmq',
    package: '@electric-sql/pglite-pgmq',
    comment: 'A lightweight message queue',
    differs:
      'Upstream’s own SQL. Hosted projects run 1.4 or 1.5: all of their functions are here, and `pgmq.message_record` has the columns `last_read_at` and `headers` of the newer version. Partitioned queues need pg_partman, which is not there.',
  },
  {
    kind: 'absent',
    name: 'pgsodium',
    schema: 'pgsodium',
    functions: [
      'crypto_aead_det_decrypt(ciphertext bytea, additional bytea, key_uuid uuid, nonce bytea default null) returns bytea',
      'crypto_aead_det_encrypt(message bytea, additional bytea, key_uuid uuid, nonce bytea default null) returns bytea',
      'crypto_aead_det_keygen() returns bytea',
      'crypto_aead_det_noncegen() returns bytea',
    ],
    written: `create table key (
  id uuid primary key default gen_random_uuid(), status text default 'valid', created timestamptz not null default now(), expires timestamptz,
  key_type text, key_id bigserial, key_context bytea default 'pgsodium', name text unique, associated_data text default 'associated',
  raw_key bytea, raw_key_nonce bytea, parent_key uuid references key, comment text, user_data text
);
alter table key alter column key_id drop not null;`,
    assumed: { mention: /(?<![\w$])"?pgsodium"?\s*\./i },
    sentence:
      'It is deprecated upstream, and only the vault needed it, which is there without it; pgcrypto encrypts. Where a script names its schema without creating it, as hosted projects up to PostgreSQL 15 have it from the start, it is recorded ahead; its table `key` is there to be written to.',
  },
  {
    kind: 'provided',
    name: 'pgtap',
    version: '1.3.5',
    relocatable: true,
    package: '@electric-sql/pglite-pgtap',
    comment: 'Unit tests for PostgreSQL',
    differs: 'Upstream’s own SQL; nothing differs.',
  },
  {
    kind: 'absent',
    name: 'plpgsql_check',
    functions: [
      ...['funcoid regprocedure', 'name text'].flatMap((subject) => [
        `plpgsql_check_function(${subject}, relid regclass default 0, format text default 'text', ${checkOptions}) returns setof text`,
        `plpgsql_check_function_tb(${subject}, relid regclass default 0, ${checkOptions}) returns table (functionid regproc,
           lineno int, statement text, sqlstate text, message text, detail text, hint text, level text, "position" int,
           query text, context text)`,
      ]),
    ],
    sentence: 'Functions are checked by `millrace lint` with checks of its own.',
  },
  {
    kind: 'provided',
    name: 'supabase_vault',
    version: '0.3.1',
    schema: 'vault',
    requires: ['pgcrypto'],
    runsAs: 'superuser',
    comment: 'Secrets, encrypted at rest',
    differs:
      'AES-256-CBC with a random IV and an HMAC-SHA-256 over it, the secret’s id and nonce, instead of libsodium’s AEAD, so ciphertexts do not travel between the two; the key is the file `vault.key` in the state folder.',
  },
  {
    kind: 'absent',
    name: 'supautils',
    sentence: 'Millrace gives its rights in another way: migrations may do what hosted projects may.',
  },
  {
    kind: 'absent',
    name: 'wrappers',
    sentence: 'Foreign tables on its wrappers cannot be made; postgres_fdw is there.',
  },
  ...(
    [
      ['address_standardizer', undefined, 'postgis-3', 'parses addresses'],
      ['address_standardizer_data_us', undefined, 'postgis-3', 'parses addresses of the United States'],
      ['orioledb', undefined, undefined, 'another storage engine'],
      ['pg_hashids', undefined, undefined, 'short ids of numbers'],
      ['pg_partman', undefined, 'partman', 'keeps partitions'],
      ['pgroonga', undefined, undefined, 'full text in all languages'],
      ['pgroonga_database', undefined, undefined, 'full text in all languages'],
      ['pgrouting', undefined, 'pgrouting', 'routes in road networks'],
      ['plcoffee', undefined, undefined, 'functions in CoffeeScript'],
      ['pljava', undefined, undefined, 'functions in Java'],
      ['plls', undefined, undefined, 'functions in LiveScript'],
      ['plv8', undefined, undefined, 'functions in JavaScript'],
      ['postgis', '@electric-sql/pglite-postgis', 'postgis-3', 'geometry and geography'],
      ['postgis_raster', undefined, 'postgis-3', 'raster maps'],
      ['postgis_sfcgal', undefined, 'postgis-3', 'geometry in three dimensions'],
      ['postgis_tiger_geocoder', undefined, 'postgis-3', 'addresses of the United States'],
      ['postgis_topology', undefined, 'postgis-3', 'topology'],
      ['rum', undefined, 'rum', 'full text with ranking in the index'],
      ['timescaledb', undefined, undefined, 'time series'],
      ['vector', '@electric-sql/pglite-pgvector', 'pgvector', 'vectors and their neighbours'],
    ] as const
  ).map(
    ([name, pglite, debian, comment]): ElsewhereExtension => ({
      kind: 'elsewhere',
      name,
      ...(pglite === undefined ? {} : { pglite }),
      ...(debian === undefined ? {} : { debian }),
      comment,
    }),
  ),
];
