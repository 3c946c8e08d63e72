// In charge of: who may work under a name, and what happens when the lease of it is lost on the way.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Leases, openLocalLeases } from '../../engine/db/leases.ts';
import { leaderByLease } from './leader.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it('one works at a time, and the next may when it has ended', async () => {
  const leases = openLocalLeases();
  const [one, two] = [leaderByLease(leases, 'tls.acme'), leaderByLease(leases, 'tls.acme')];
  const done: string[] = [];
  const led = await one(async () => {
    expect(await two(async () => void done.push('two, too early'))).toBe(false);
    done.push('one');
  });
  expect(led).toBe(true);
  expect(await two(async () => void done.push('two'))).toBe(true);
  expect(done).toEqual(['one', 'two']);
});

it('the lease is given back when the work fails', async () => {
  const leases = openLocalLeases();
  const lead = leaderByLease(leases, 'tls.acme');
  await expect(lead(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await lead(async () => {})).toBe(true);
});

it.each<[string, () => Promise<boolean>]>([
  ['another process has it', async () => false],
  ['the database does not answer', () => Promise.reject(new Error('gone'))],
])('the work hears within 20 seconds when %s', async (_, renew) => {
  const leases: Leases = {
    acquire: async (name) => ({ name, fence: 1n, renew, release: () => Promise.reject(new Error('gone')) }),
  };
  const led = leaderByLease(
    leases,
    'tls.acme',
  )((signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())));
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await led).toBe(true);
});

it('is renewed for as long as the work takes', async () => {
  let renewals = 0;
  const leases: Leases = {
    acquire: async (name) => ({
      name,
      fence: 1n,
      async renew() {
        renewals += 1;
        return true;
      },
      release: async () => {},
    }),
  };
  const work = Promise.withResolvers<void>();
  let signal: AbortSignal | undefined;
  const led = leaderByLease(
    leases,
    'tls.acme',
  )((given) => {
    signal = given;
    return work.promise;
  });
  await vi.advanceTimersByTimeAsync(100_000);
  expect(renewals).toBe(5);
  expect(signal?.aborted).toBe(false);
  work.resolve();
  expect(await led).toBe(true);
});
