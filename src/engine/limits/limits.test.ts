// In charge of: what a limit allows and refuses, what it says about itself, and what it does while the database is away.
import { parseList } from 'structured-headers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Observation } from '../../base/observe.ts';
import type { Database } from '../db/database.ts';
import { type LimitedRequest, type Limits, openLimits, type Verdict } from './limits.ts';
import { refusalFault } from './refusal.ts';
import { deleteOldCounters, type LimitStore, openLimitStore } from './store.ts';
import { limitsSettings, requestOf } from './test-support.ts';

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

type Gateway = Parameters<typeof limitsSettings>[0];

/** A limiter of a process of its own, as far as the database can tell. */
async function open(gateway: Gateway, options: Partial<Parameters<typeof openLimits>[0]> = {}) {
  const settings = limitsSettings(gateway);
  const { limitSettings } = await import('./settings.ts');
  const limits = await openLimits({
    settings: settings.of(limitSettings),
    db: database.db,
    alone: false,
    observe: () => {},
    now: Date.now,
    ...options,
  });
  return Object.assign(limits, {
    set: (values: Record<string, unknown>) => settings.setStored(new Map(Object.entries(values))),
  });
}

/** How many of `count` requests in a row are allowed. */
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

describe('the smoke', () => {
  it('counts', async () => {
    const limits = await open({
      limits: { rules: { smoke: { by: 'address', rate: '5/d' }, big: { by: 'caller', rate: '2000/d' } } },
    });
    expect(await allowedOf(limits, 10)).toBe(5);
    expect(await allowedOf(limits, 2100, { address: undefined, caller: 'eve' })).toBe(2000);
    const verdict = (await limits.check(requestOf())) as Verdict;
    expect(verdict).toMatchObject({ kind: 'refused', rule: 'smoke' });
    console.error(
      verdict,
      limits.figures(),
      await test.run('select * from _millrace.limit_counters', 'millrace_admin'),
    );
    await limits.close();
  });
});
