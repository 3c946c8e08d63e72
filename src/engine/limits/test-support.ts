// In charge of: what the tests of the limits share: settings from a tree as in config.toml, and requests.
import { openSettings } from '../settings/live.ts';
import type { LimitedRequest } from './limits.ts';
import { limitSettings } from './settings.ts';

/** The settings of the limits with this under `[gateway]`. The general limits are off unless they are named. */
export function limitsSettings(gateway: {
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly quotas?: Readonly<Record<string, unknown>>;
}) {
  const limits = { per_address: 'off', per_caller: 'off', per_key: 'off', ...gateway.limits };
  return openSettings([limitSettings], { file: { gateway: { ...gateway, limits } }, environment: {} });
}

/** A request of a signed-in user, or what is said otherwise. */
export function requestOf(facts: Partial<LimitedRequest> = {}): LimitedRequest {
  return {
    path: '/rest/v1/items',
    method: 'GET',
    address: '192.0.2.1',
    keyId: 'publishable',
    caller: 'ada',
    role: 'authenticated',
    ...facts,
  };
}

/** A long window that does not end while a test runs; windows begin at multiples of their length. */
export function steadyWindow(): '1d' | '23h' {
  const nowSeconds = Date.now() / 1000;
  return 86_400 - (nowSeconds % 86_400) > 300 ? '1d' : '23h';
}
