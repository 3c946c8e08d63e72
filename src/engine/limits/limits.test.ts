// In charge of: what a limit counts, what it says about itself, and what it costs.
import { parseList } from 'structured-headers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Observation } from '../../base/observe.ts';
import type { Database } from '../db/database.ts';
import {
  type LimitedRequest,
  type Limits,
  type LimitsOptions,
  maxCountersPerRule,
  openLimits,
  type Refused,
} from './limits.ts';
import { refusalFault } from './refusal.ts';
import { limitSettings } from './settings.ts';
import { deleteOldCounters } from './store.ts';
import { limitsSettings, requestOf, steadyWindow } from './test-support.ts';

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
});
afterAll(async () => {
  await database.close();
  await test[Symbol.asyncDispose]();
});

const window = steadyWindow();
let rulesMade = 0;

/** A name that no other test's counters have. */
function newName(): string {
  rulesMade += 1;
  return `rule-${rulesMade}`;
}

type Gateway = Parameters<typeof limitsSettings>[0];

/** A limiter, as another process would have it as far as the database can tell. */
async function open(gateway: Gateway, options: Partial<LimitsOptions> = {}) {
  const settings = limitsSettings(gateway);
  const limits = await openLimits({
    settings: settings.of(limitSettings),
    db: database.db,
    alone: false,
    observe: () => {},
    now: Date.now,
    ...options,
  });
  return { ...limits, settings, [Symbol.asyncDispose]: () => limits.close() };
}

const withRule = (rule: Record<string, unknown>): Gateway => ({ limits: { rules: { [newName()]: rule } } });

async function allowedOf(
  limits: Limits,
  count: number,
  facts: Partial<LimitedRequest> = {},
): Promise<number> {
  let allowed = 0;
  for (let at = 0; at < count; at += 1)
    if ((await limits.check(requestOf(facts))).kind === 'allowed') allowed += 1;
  return allowed;
}

describe('a rule counts', () => {
  type Facts = Partial<LimitedRequest>;
  const other: Facts = { address: '198.51.100.7', keyId: 'another', caller: 'eve' };
  it.each<[string, Record<string, unknown>, Facts, Facts, 'together' | 'apart' | 'not']>([
    ['all callers of a route', { by: 'route' }, {}, other, 'together'],
    ['one address', { by: 'address' }, {}, { keyId: 'another', caller: 'eve' }, 'together'],
    ['another address apart', { by: 'address' }, {}, { address: '198.51.100.7' }, 'apart'],
    [
      'an IPv6 /64',
      { by: 'address' },
      { address: '2001:db8::1' },
      { address: '2001:db8::ffff:2' },
      'together',
    ],
    [
      'another /64 apart',
      { by: 'address' },
      { address: '2001:db8::1' },
      { address: '2001:db8:0:1::1' },
      'apart',
    ],
    ['IPv4 written as IPv6', { by: 'address' }, {}, { address: '::ffff:192.0.2.1' }, 'together'],
    ['no loopback address', { by: 'address' }, {}, { address: '127.0.0.1' }, 'not'],
    ['no IPv6 loopback address', { by: 'address' }, {}, { address: '::1' }, 'not'],
    ['one user', { by: 'caller' }, {}, { address: '198.51.100.7', keyId: 'another' }, 'together'],
    ['another user apart', { by: 'caller' }, {}, { caller: 'eve' }, 'apart'],
    ['nobody who is not signed in', { by: 'caller' }, {}, { caller: undefined }, 'not'],
    ['one key', { by: 'key' }, {}, { address: '198.51.100.7', caller: 'eve' }, 'together'],
    ['another key apart', { by: 'key' }, {}, { keyId: 'another' }, 'apart'],
    ['no request without a key', { by: 'key' }, {}, { keyId: undefined }, 'not'],
    ['a path and all below', { by: 'key', path: '/rest/v1' }, {}, { path: '/rest/v1' }, 'together'],
    [
      'no path that only begins alike',
      { by: 'key', path: '/rest/v1/it' },
      { path: '/rest/v1/it' },
      {},
      'not',
    ],
    ['a pattern', { by: 'key', path: '/rest/*/items' }, {}, { path: '/rest/v2/items' }, 'together'],
    ['no deeper path than its pattern', { by: 'key', path: '/rest/*' }, { path: '/rest/v1' }, {}, 'not'],
    ['deeper paths with **', { by: 'key', path: '/rest/**' }, {}, { path: '/rest/v1/a/b/c' }, 'together'],
    [
      'a path however it is written',
      { by: 'key', path: '/rest/v1/items' },
      {},
      { path: '/rest//v1/%69tems' },
      'together',
    ],
    ['its methods', { by: 'key', methods: ['get'] }, {}, { method: 'POST' }, 'not'],
    ['service_role in a rule with a name', { by: 'address' }, {}, { role: 'service_role' }, 'together'],
    ['subjects of any text', { by: 'caller' }, { caller: 'a\u0000b' }, { caller: 'a\ud800b' }, 'apart'],
    [
      'subjects of any length',
      { by: 'caller' },
      { caller: 'x'.repeat(9_000) },
      { caller: 'x'.repeat(9_001) },
      'apart',
    ],
  ])('%s', async (_, rule, first, second, how) => {
    await using limits = await open(withRule({ ...rule, rate: `3/${window}` }));
    expect(await allowedOf(limits, 4, first)).toBe(3);
    const allowed = { together: 0, apart: 3, not: 4 }[how];
    expect(await allowedOf(limits, 4, second)).toBe(allowed);
  });

  it('takes nothing of the other rules when one refuses', async () => {
    const [wide, narrow] = [newName(), newName()];
    await using limits = await open({
      limits: {
        rules: {
          [wide]: { by: 'address', rate: `5/${window}` },
          [narrow]: { by: 'caller', rate: `1/${window}` },
        },
      },
    });
    expect(await allowedOf(limits, 10)).toBe(1);
    expect(await allowedOf(limits, 10, { caller: undefined })).toBe(4);
  });
});

describe('a look ahead', () => {
  it('says what is certain here, takes nothing, and learns of others by asking only', async () => {
    const rule = withRule({ by: 'caller', rate: `2/${window}` });
    await using limits = await open(rule);
    await using other = await open(rule);
    expect(limits.peek(requestOf())).toBeUndefined();
    expect(await allowedOf(limits, 1)).toBe(1);
    for (let at = 0; at < 5; at += 1) expect(limits.peek(requestOf())).toBeUndefined();
    expect(await allowedOf(other, 1)).toBe(1);
    expect(other.peek(requestOf())).toMatchObject({ kind: 'refused', because: 'rate', limit: 2 });
    expect(limits.peek(requestOf())).toBeUndefined();
    expect(await allowedOf(limits, 1)).toBe(0);
    expect(limits.peek(requestOf())).toMatchObject({ kind: 'refused', because: 'rate', limit: 2 });
    expect(limits.peek(requestOf({ caller: 'eve' }))).toBeUndefined();
  });
});

describe('the general limits', () => {
  it('are on by default, and generous', async () => {
    const settings = limitsSettings({
      limits: { per_address: '10000/10s', per_caller: '5000/10s', per_key: '1000000/10s' },
    });
    await using limits = await open({}, { settings: settings.of(limitSettings) });
    expect(await limits.check(requestOf())).toMatchObject({
      policy: '"address";q=10000;w=10, "caller";q=5000;w=10, "key";q=1000000;w=10',
    });
    expect(limitSettings.enabled.default).toBe(true);
    const { perAddress, perCaller, perKey } = limitSettings;
    expect([perAddress, perCaller, perKey].map((setting) => setting.default)).toEqual([
      '10000/10s',
      '5000/10s',
      '1000000/10s',
    ]);
  });

  it('leave service_role to its key', async () => {
    const rate = `5/${window}`;
    await using limits = await open({
      limits: { per_address: rate, per_caller: rate, per_key: `8/${window}` },
    });
    expect(await allowedOf(limits, 9, { role: 'service_role' })).toBe(8);
    expect(await allowedOf(limits, 9, { keyId: undefined })).toBe(5);
  });

  it('are nothing when switched off', async () => {
    await using limits = await open({
      limits: { enabled: false, per_key: '1/d' },
      quotas: { q: { by: 'key', per: 'day', amount: 1 } },
    });
    expect(limits.check(requestOf())).toEqual({ kind: 'allowed', policy: '', rateLimit: '' });
    expect(await allowedOf(limits, 5)).toBe(5);
  });
});

describe('the headers', () => {
  it('are structured fields as the draft has them', async () => {
    const [rate, plan] = [newName(), newName()];
    await using limits = await open({
      limits: { rules: { [rate]: { by: 'address', rate: '3/10s' } } },
      quotas: { [plan]: { by: 'key', per: 'month', amount: 10 } },
    });
    const verdict = await limits.check(requestOf());
    expect(parseList(verdict.policy)).toEqual([
      [
        rate,
        new Map([
          ['q', 3],
          ['w', 10],
        ]),
      ],
      [plan, new Map([['q', 10]])],
    ]);
    const [[name, parameters]] = parseList(verdict.rateLimit) as unknown as [[string, Map<string, number>]];
    expect([name, parameters.get('r'), [...parameters.keys()]]).toEqual([rate, 2, ['r', 't']]);
    expect(parameters.get('t')).toBeGreaterThanOrEqual(1);
    expect(parameters.get('t')).toBeLessThanOrEqual(10);
  });

  it('tell who is refused when to come again', async () => {
    const name = newName();
    await using limits = await open({
      limits: { rules: { [name]: { by: 'address', rate: `1/${window}` } } },
    });
    await limits.check(requestOf());
    const refused = (await limits.check(requestOf())) as Refused;
    expect(refused).toMatchObject({ kind: 'refused', because: 'rate', rule: name, limit: 1 });
    const [[, parameters]] = parseList(refused.rateLimit) as unknown as [[string, Map<string, number>]];
    expect(parameters.get('r')).toBe(0);
    expect(parameters.get('t')).toBe(refused.retryAfterSeconds);
    expect(refusalFault(refused)).toMatchObject({
      status: 429,
      code: 'rate_limited',
      message: `Too many requests: the limit "${name}" of 1 is reached.`,
      headers: {
        'retry-after': String(refused.retryAfterSeconds),
        'ratelimit-policy': refused.policy,
        ratelimit: refused.rateLimit,
      },
    });
  });

  it('name every rule about a request, also behind the one that refuses', async () => {
    const [one, two] = [newName(), newName()];
    const rules = { [one]: { by: 'address', rate: '1/10s' }, [two]: { by: 'key', rate: '5/10s' } };
    await using limits = await open({ limits: { rules } });
    const first = await limits.check(requestOf());
    expect((await limits.check(requestOf())).policy).toBe(first.policy);
  });
});

describe('a window', () => {
  it.each([true, false])('ends, and the next one is whole again (alone: %s)', async (alone) => {
    let nowMs = 1_000;
    await using limits = await open(withRule({ by: 'caller', rate: '5/1h' }), {
      alone,
      monotonicMs: () => nowMs,
    });
    expect(await allowedOf(limits, 7)).toBe(5);
    nowMs += 3_600_000;
    expect(await allowedOf(limits, 7)).toBe(5);
    expect(limits.figures().counters).toBe(1);
  });

  it('is the database’s, whatever the clock of a process says', async () => {
    const gateway = withRule({ by: 'caller', rate: `6/${window}` });
    await using right = await open(gateway);
    await using wrong = await open(gateway, { now: () => Date.now() - 40 * 86_400_000 });
    expect(await allowedOf(right, 4)).toBe(4);
    expect(await allowedOf(wrong, 4)).toBe(2);
  });

  it('of a counter that stands far ahead is the present one: the database’s clock was set back', async () => {
    const gateway = withRule({ by: 'caller', rate: `2/${window}` });
    await using limits = await open(gateway);
    await test.run(
      `insert into _millrace.limit_counters
       select '${Object.keys(gateway.limits?.rules ?? {})[0]}/${window === '1d' ? 86_400 : 82_800}s', 'ada',
         now() + interval '90 days', now() + interval '91 days', 2, 2`,
      'millrace_admin',
    );
    expect(await allowedOf(limits, 3)).toBe(2);
  });
});

describe('a request that waits for the database', () => {
  /** Opens a limiter that tells whether its statements failed. */
  async function openWatched(gateway: Gateway, options: Partial<LimitsOptions> = {}) {
    const observed: Observation[] = [];
    const limits = await open(gateway, { ...options, observe: (observation) => observed.push(observation) });
    return Object.assign(limits, { observed });
  }

  it('is decided in the next window when its own ends meanwhile', async () => {
    let nowMs = 1_000;
    await using limits = await openWatched(withRule({ by: 'caller', rate: '1/1h' }), {
      monotonicMs: () => nowMs,
    });
    const first = limits.check(requestOf());
    nowMs += 3_600_000;
    const second = limits.check(requestOf());
    expect([(await first).kind, (await second).kind].sort()).toEqual(['allowed', 'refused']);
    expect(limits.observed.map(({ kind }) => kind)).toEqual(['limits.reached']);
  });

  it('is decided by the rule that holds then', async () => {
    const name = newName();
    const rules = (amount: number) => ({ [name]: { by: 'caller', rate: `${amount}/${window}` } });
    await using limits = await openWatched({ limits: { rules: rules(1) } });
    const verdicts = [limits.check(requestOf()), limits.check(requestOf())];
    limits.settings.setStored(new Map([['gateway.limits.rules', rules(3)]]));
    verdicts.push(limits.check(requestOf()));
    const kinds = (await Promise.all(verdicts)).map(({ kind }) => kind);
    // The two points that were asked for under the old rule are gone, or one of them.
    expect(kinds).toContain('allowed');
    expect(limits.observed.filter(({ kind }) => kind === 'limits.store_down')).toEqual([]);
  });

  it('joins the window that the others are in already', async () => {
    const gateway = withRule({ by: 'caller', rate: `3/${window}` });
    const seconds = window === '1d' ? 86_400 : 82_800;
    await using limits = await openWatched(gateway);
    await test.run(
      `insert into _millrace.limit_counters
       select '${Object.keys(gateway.limits?.rules ?? {})[0]}/${seconds}s', 'ada', to_timestamp(starts),
         to_timestamp(starts + ${seconds}), 3, 1
       from (select (floor(extract(epoch from now()) / ${seconds}) + 1) * ${seconds} as starts) as next`,
      'millrace_admin',
    );
    expect(await allowedOf(limits, 5)).toBe(2);
    expect((await limits.check(requestOf())).rateLimit).toMatch(/;r=0;/);
  });
});

describe('what it costs', () => {
  it('is no promise and no row for a caller who comes a few times', async () => {
    const gateway = withRule({ by: 'caller', rate: `5000/${window}` });
    await using limits = await open(gateway);
    for (let at = 0; at < 5; at += 1) expect(limits.check(requestOf())).not.toBeInstanceOf(Promise);
    await limits.close();
    const rows = await test.run(
      `select from _millrace.limit_counters where rule like '${Object.keys(gateway.limits?.rules ?? {})[0]}/%'`,
      'millrace_admin',
    );
    expect(rows).toEqual([]);
  });

  it('is one statement for many callers', async () => {
    let statements = 0;
    const db: typeof database.db = {
      ...database.db,
      asOwner: (owner, run) => {
        statements += 1;
        return database.db.asOwner(owner, run);
      },
    };
    await using limits = await open(withRule({ by: 'caller', rate: `5/${window}` }), { db });
    const before = statements;
    const callers = Array.from({ length: 200 }, (_, n) => `caller ${n}`);
    const verdicts = await Promise.all(callers.map(async (caller) => limits.check(requestOf({ caller }))));
    expect(verdicts.every(({ kind }) => kind === 'allowed')).toBe(true);
    expect(statements - before).toBe(1);
  });

  it('is nothing in the database for a process that has nothing of its own there', async () => {
    const db = { asOwner: () => Promise.reject(new Error('asked the database')) };
    const quotas = { [newName()]: { by: 'caller', per: 'day', amount: 6 } };
    await using limits = await open(
      { ...withRule({ by: 'key', rate: `5/${window}` }), quotas },
      { db, alone: true },
    );
    const verdicts = Array.from({ length: 7 }, () => limits.check(requestOf()));
    expect(
      verdicts.filter((verdict) => !(verdict instanceof Promise) && verdict.kind === 'allowed'),
    ).toHaveLength(5);
  });

  it('is bounded memory: beyond, the counter that was made first goes', async () => {
    await using limits = await open(withRule({ by: 'caller', rate: '1/1h' }), { alone: true });
    for (let n = 0; n <= maxCountersPerRule; n += 1) limits.check(requestOf({ caller: `user ${n}` }));
    expect(limits.figures().counters).toBe(maxCountersPerRule);
    expect(limits.check(requestOf({ caller: 'user 1' }))).toMatchObject({ kind: 'refused' });
    expect(limits.check(requestOf({ caller: 'user 0' }))).toMatchObject({ kind: 'allowed' });
  });

  it('is no row for long: those whose window is over go', async () => {
    await test.run(
      `insert into _millrace.limit_counters
         select 'old/10s', n::text, now() - interval '1 hour', now() - interval '59 minutes', 1, 1 from generate_series(1, 6000) as n;
       insert into _millrace.quota_counters select 'old/day', 'x', now() - interval '2 days', now() - interval '1 day', 1, 1`,
      'millrace_admin',
    );
    const count = "select count(*)::int from _millrace.limit_counters where rule <> 'old/10s'";
    const others = await test.run(count, 'millrace_admin');
    expect(await deleteOldCounters(database.db)).toBe(6_001);
    expect(await test.run(count, 'millrace_admin')).toEqual(others);
  });
});

describe('the log', () => {
  it('hears once in a while that somebody reached a limit, and of what may be a proxy', async () => {
    const name = newName();
    const observed: Observation[] = [];
    await using limits = await open(
      { limits: { rules: { [name]: { by: 'address', rate: '1/1h' } } } },
      { alone: true, observe: (observation) => observed.push(observation) },
    );
    for (const address of ['203.0.113.5', '10.1.2.3', 'fd00::1']) await allowedOf(limits, 2, { address });
    const facts = { kind: 'limits.reached', level: 'info', rule: name, by: 'address', limit: 1 };
    const hint = expect.stringContaining('gateway.trusted_proxies') as string;
    expect(observed).toEqual([facts, { ...facts, hint }, { ...facts, hint }]);
    await allowedOf(limits, 20);
    expect(observed).toHaveLength(5);
  });
});

describe('settings changed at run time', () => {
  it('hold at once, and keep what was counted', async () => {
    const name = newName();
    const rule = (amount: number) => ({ [name]: { by: 'caller', rate: `${amount}/${window}` } });
    await using limits = await open({ limits: { rules: rule(3) } });
    expect(await allowedOf(limits, 5)).toBe(3);
    limits.settings.setStored(new Map([['gateway.limits.rules', rule(5)]]));
    expect(await allowedOf(limits, 5)).toBe(2);
    limits.settings.setStored(new Map<string, unknown>([['gateway.limits.enabled', false]]));
    expect(await allowedOf(limits, 5)).toBe(5);
  });

  it('of one rule leave the others as they are', async () => {
    const [kept, changed] = [newName(), newName()];
    const rules = (amount: number) => ({
      [kept]: { by: 'caller', rate: '100000/1h' },
      [changed]: { by: 'key', rate: `${amount}/1h` },
    });
    await using limits = await open({ limits: { rules: rules(3) } }, { alone: true });
    expect(await allowedOf(limits, 2)).toBe(2);
    limits.settings.setStored(new Map([['gateway.limits.rules', rules(100)]]));
    const verdict = await limits.check(requestOf());
    expect(limits.figures().counters).toBe(2);
    expect(verdict.rateLimit).toMatch(new RegExp(`^"${changed}";r=99;`));
    expect(await allowedOf(limits, 200, { keyId: undefined })).toBe(200);
    expect((await limits.check(requestOf({ keyId: undefined }))).rateLimit).toMatch(
      `"${kept}";r=${100_000 - 204};`,
    );
  });
});
