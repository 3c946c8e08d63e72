// In charge of: where sign-in's limits are counted.
import { expect, it } from 'vitest';
import { openSettings } from '../../../engine/settings/live.ts';
import { openAuthLimits } from './limits.ts';
import { authLimitSettings } from './settings.ts';

it('where the engine has one session they are counted without it: it may be in a transaction that waits for the answer', async () => {
  const file = { auth: { rate_limit: { failed_attempts: 2 } } };
  const limits = await openAuthLimits({
    config: openSettings([authLimitSettings], { file, environment: {} }).of(authLimitSettings),
    db: { hasOneSession: true, asOwner: () => Promise.reject(new Error('the session is taken')) },
    observe: () => {},
    now: Date.now,
  });
  await limits.countFailure('ada@example.com');
  await limits.countFailure('ada@example.com');
  await expect(limits.countFailure('ada@example.com')).rejects.toMatchObject({
    status: 429,
    code: 'over_request_rate_limit',
  });
  expect(() => limits.refuseAfterFailures('ada@example.com')).toThrow('Request rate limit reached');
  await limits.close();
});
