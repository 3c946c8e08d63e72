// In charge of: the settings of limits and quotas.
import { explained, flag, list, parsed, wholeNumber } from '../../base/settings.ts';
import { parseRate } from './rate.ts';
import { complaintsAbout, parseTable, quotaOf, ruleOf } from './tables.ts';

/** A rate as text, or `off`. */
const rate = (raw: unknown) => {
  if (typeof raw !== 'string') return undefined;
  const text = raw.trim();
  return text === 'off' || parseRate(text) ? text : undefined;
};
const expectsRate = 'a rate such as "1000/10s" (up to a day), or "off"';

export const limitSettings = {
  enabled: flag({
    key: 'gateway.limits.enabled',
    env: ['MILLRACE_LIMITS'],
    default: true,
    live: true,
    sentence: 'Count requests and refuse with 429 who takes more than its share; false also ends the quotas.',
  }),
  // An office, a campus or a mobile network is one address: a thousand a second is several hundred busy people, and a
  // small part of what two cores answer.
  perAddress: parsed(
    {
      key: 'gateway.limits.per_address',
      env: ['MILLRACE_LIMIT_PER_ADDRESS'],
      default: '10000/10s',
      live: true,
      sentence:
        'Requests of one client address, of IPv6 one /64. Loopback is not counted: behind a proxy that gateway.trusted_proxies does not name it is everybody.',
    },
    expectsRate,
    rate,
  ),
  // A page that fires a hundred requests as it opens, in fifty tabs at once, stays below.
  perCaller: parsed(
    {
      key: 'gateway.limits.per_caller',
      env: ['MILLRACE_LIMIT_PER_CALLER'],
      default: '5000/10s',
      live: true,
      sentence: 'Requests of one signed-in user: the `sub` claim of its token.',
    },
    expectsRate,
    rate,
  ),
  // The publishable key is all users of an app together: a number that only a runaway reaches, and that makes the headers
  // tell something to every caller.
  perKey: parsed(
    {
      key: 'gateway.limits.per_key',
      env: ['MILLRACE_LIMIT_PER_KEY'],
      default: '1000000/10s',
      live: true,
      sentence:
        'Requests of one API key. All users of an app share its publishable key, so this is a limit of the whole app.',
    },
    expectsRate,
    rate,
  ),
  exemptRoles: list({
    key: 'gateway.limits.exempt_roles',
    env: ['MILLRACE_LIMIT_EXEMPT_ROLES'],
    default: ['service_role'],
    live: true,
    sentence:
      'Roles that per_address and per_caller do not count: servers of your own that speak for many. Rules and quotas with a name count them.',
  }),
  processes: wholeNumber({
    key: 'gateway.limits.processes',
    env: ['MILLRACE_LIMIT_PROCESSES'],
    default: 3,
    min: 1,
    max: 1000,
    unit: 'processes',
    live: true,
    sentence:
      'How many processes share one database: each takes points from the shared counters in chunks so small that all together keep a limit to 1 %. A larger number asks the database more often.',
  }),
  rules: explained(
    (raw) => complaintsAbout('gateway.limits.rules', raw, ruleOf),
    parsed(
      {
        key: 'gateway.limits.rules',
        default: {},
        live: true,
        sentence:
          'Limits with a name, `[gateway.limits.rules.<name>]`: `by` = "route" (all callers together), "address", "caller" or "key"; `rate`; optional `path` (a prefix, or a pattern where `*` is one segment and `**` any), `methods`, and `on_store_failure`: while the database does not answer, "allow" lets each process count by itself, "refuse" answers 503.',
      },
      'a table of rules such as {"sign-in":{"path":"/auth/v1/token","methods":["POST"],"by":"address","rate":"30/m","on_store_failure":"refuse"}}',
      (raw) => parseTable(raw, ruleOf),
    ),
  ),
  quotas: explained(
    (raw) => complaintsAbout('gateway.quotas', raw, quotaOf),
    parsed(
      {
        key: 'gateway.quotas',
        default: {},
        live: true,
        sentence:
          'Quotas with a name, `[gateway.quotas.<name>]`: `by` = "key", "caller", "address" or "route"; `per` = "day" or "month" (UTC); `amount`; optional `path`, `methods` and `on_store_failure` as in gateway.limits.rules. They outlive a restart and a crash.',
      },
      'a table of quotas such as {"plan":{"by":"key","per":"month","amount":1000000}}',
      (raw) => parseTable(raw, quotaOf),
    ),
  ),
} as const;
