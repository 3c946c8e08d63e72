// In charge of: the settings of the Data API. The environment names are PostgREST's, so that its users' files work as they are.
// Source: PostgREST 14.12, docs/references/configuration.rst; supabase/cli, config.toml `[api]`.
import { flag, list, oneOf, parsed, text, type ValuesOf, wholeNumber } from '../../base/settings.ts';

/** A qualified function name, or nothing. */
function functionName(raw: unknown): string | undefined {
  return typeof raw === 'string' && /^[^\0]*$/.test(raw) ? raw : undefined;
}

/** Names separated by commas; one that holds a comma or a quote stands in double quotes, with backslashes. */
function names(raw: unknown): readonly string[] | undefined {
  if (Array.isArray(raw)) return raw.every((item) => typeof item === 'string') ? raw : undefined;
  if (typeof raw !== 'string') return undefined;
  const parts = raw.match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? [];
  return parts
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => (/^".*"$/s.test(part) ? part.slice(1, -1).replace(/\\(.)/gs, '$1') : part));
}

/** The same; none is `public`. Source: PostgREST 14.12, src/PostgREST/Config.hs (`parseDbSchemas`): an empty text is none given. */
function someNames(raw: unknown): readonly string[] | undefined {
  const found = names(raw);
  return found?.length === 0 ? ['public'] : found;
}

/** `{"app.settings.name": "value"}`, in TOML a table. */
function nameValues(raw: unknown): Readonly<Record<string, string>> | undefined {
  let value = raw;
  if (typeof raw === 'string') {
    try {
      value = raw.trim() === '' ? {} : JSON.parse(raw);
    } catch {
      return undefined;
    }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  return entries.every(([, one]) => typeof one === 'string') ? Object.fromEntries(entries) : undefined;
}

export const settings = {
  schemas: parsed<readonly string[]>(
    {
      key: 'api.schemas',
      env: ['PGRST_DB_SCHEMAS', 'PGRST_DB_SCHEMA'],
      default: ['public', 'graphql_public'],
      sentence: 'The schemas whose tables, views and functions are the API; the first is the default.',
      live: true,
    },
    'a list of names',
    someNames,
  ),
  extraSearchPath: parsed<readonly string[]>(
    {
      key: 'api.extra_search_path',
      env: ['PGRST_DB_EXTRA_SEARCH_PATH'],
      default: ['public', 'extensions'],
      sentence: 'Schemas that are searched behind the exposed one, without being exposed.',
      live: true,
    },
    'a list of names',
    names,
  ),
  maxRows: wholeNumber({
    key: 'api.max_rows',
    env: ['PGRST_DB_MAX_ROWS', 'PGRST_MAX_ROWS'],
    default: 1000,
    unit: 'rows',
    sentence: 'The most rows that a read gives, whatever its limit says; 0 is no limit.',
    live: true,
  }),
  anonRole: text({
    key: 'api.anon_role',
    env: ['PGRST_DB_ANON_ROLE'],
    default: 'anon',
    sentence: 'The role of requests without a token; refusals to it are 401, to others 403.',
    live: true,
  }),
  preRequest: parsed<string>(
    {
      key: 'api.pre_request',
      env: ['PGRST_DB_PRE_REQUEST', 'PGRST_PRE_REQUEST'],
      default: '',
      sentence: 'A function that is called before each request, in its transaction and with its role.',
      live: true,
    },
    'the name of a function',
    functionName,
  ),
  rootSpec: parsed<string>(
    {
      key: 'api.root_spec',
      env: ['PGRST_DB_ROOT_SPEC', 'PGRST_ROOT_SPEC'],
      default: '',
      sentence: 'A function that answers at the root in place of the OpenAPI description.',
      live: true,
    },
    'the name of a function',
    functionName,
  ),
  txEnd: oneOf(
    {
      key: 'api.tx_end',
      env: ['PGRST_DB_TX_END'],
      default: 'commit',
      sentence: 'How a request ends its transaction, and whether `Prefer: tx=` may say otherwise.',
      live: true,
    },
    ['commit', 'commit-allow-override', 'rollback', 'rollback-allow-override'],
  ),
  aggregates: flag({
    key: 'api.aggregates_enabled',
    env: ['PGRST_DB_AGGREGATES_ENABLED'],
    default: false,
    sentence: 'Allow `sum()`, `avg()`, `max()`, `min()` and `count()` in select.',
    live: true,
  }),
  plans: flag({
    key: 'api.plan_enabled',
    env: ['PGRST_DB_PLAN_ENABLED'],
    default: false,
    sentence: 'Answer `Accept: application/vnd.pgrst.plan` with the execution plan.',
    live: true,
  }),
  hoistedSettings: list({
    key: 'api.hoisted_tx_settings',
    env: ['PGRST_DB_HOISTED_TX_SETTINGS'],
    default: ['statement_timeout', 'plan_filter.statement_cost_limit', 'default_transaction_isolation'],
    sentence: 'The settings of a called function that hold for its whole transaction.',
    live: true,
  }),
  legacyTargetNames: flag({
    key: 'api.url_use_legacy_target_names',
    env: ['PGRST_URL_USE_LEGACY_TARGET_NAMES'],
    default: true,
    sentence:
      'Let filters, orders and limits name an embed by its relation although it has an alias; the answer then carries a `Warning`.',
    live: true,
  }),
  errorVerbosity: oneOf(
    {
      key: 'api.client_error_verbosity',
      env: ['PGRST_CLIENT_ERROR_VERBOSITY'],
      default: 'verbose',
      sentence: 'Whether errors say details and a hint, or only code and message.',
      live: true,
    },
    ['verbose', 'minimal'],
  ),
  openApiMode: oneOf(
    {
      key: 'api.openapi_mode',
      env: ['PGRST_OPENAPI_MODE'],
      default: 'follow-privileges',
      sentence: 'What the description at the root shows: what the role may use, everything, or nothing.',
      live: true,
    },
    ['follow-privileges', 'ignore-privileges', 'disabled'],
  ),
  openApiSecurity: flag({
    key: 'api.openapi_security_active',
    env: ['PGRST_OPENAPI_SECURITY_ACTIVE'],
    default: false,
    sentence: 'Say in the description that requests carry a token.',
    live: true,
  }),
  openApiProxy: parsed<string>(
    {
      key: 'api.openapi_server_proxy_uri',
      env: ['PGRST_OPENAPI_SERVER_PROXY_URI'],
      default: '',
      sentence: 'The address under which the API is reached, for the description.',
      live: true,
    },
    'an absolute http or https address',
    (raw) =>
      typeof raw === 'string' && (raw === '' || /^https?:\/\/[^/?#@]+[^?#]*$/i.test(raw)) ? raw : undefined,
  ),
  serverTiming: flag({
    key: 'api.server_timing_enabled',
    env: ['PGRST_SERVER_TIMING_ENABLED'],
    default: false,
    sentence: 'Answer with `Server-Timing`: milliseconds per phase.',
    live: true,
  }),
  traceHeader: text({
    key: 'api.server_trace_header',
    env: ['PGRST_SERVER_TRACE_HEADER'],
    default: '',
    sentence: 'The request header that is given back with the answer.',
    live: true,
  }),
  appSettings: parsed<Readonly<Record<string, string>>>(
    {
      key: 'api.app_settings',
      env: ['PGRST_APP_SETTINGS'],
      default: {},
      // Projects keep keys of other services in them.
      secret: true,
      sentence:
        'Settings that every transaction gets: `app.settings.<name>`; in the environment one variable each, PGRST_APP_SETTINGS_<name>.',
      live: true,
    },
    'a table of texts',
    nameValues,
  ),
};

export type RestSettings = ValuesOf<typeof settings>;

const appSettingPrefix = 'PGRST_APP_SETTINGS_';

/** The environment with its `PGRST_APP_SETTINGS_<name>` variables as the one that `appSettings` reads. */
export function withAppSettings(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  const found = Object.entries(environment).filter(([name]) => name.startsWith(appSettingPrefix));
  if (found.length === 0) return environment;
  const named = found.map(([name, value]) => [name.slice(appSettingPrefix.length), value ?? '']);
  return { ...environment, PGRST_APP_SETTINGS: JSON.stringify(Object.fromEntries(named)) };
}
