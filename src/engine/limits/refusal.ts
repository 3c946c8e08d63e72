// In charge of: what a client is told that is refused.
import { Fault } from '../../base/errors.ts';
import type { Refused } from './limits.ts';

/**
 * 429 for who has used up a limit or quota, 503 while the database does not answer and the rule refuses then. Always with
 * `Retry-After`, and never earlier than the `t` of RateLimit. Source: RFC 6585 section 4; draft-ietf-httpapi-ratelimit-headers.
 */
export function refusalFault(refused: Refused): Fault {
  const { because, rule, limit, retryAfterSeconds, policy, rateLimit } = refused;
  const headers = {
    'retry-after': String(retryAfterSeconds),
    'ratelimit-policy': policy,
    ratelimit: rateLimit,
  };
  const wait = `Try again in ${retryAfterSeconds} s.`;
  switch (because) {
    case 'rate':
      return new Fault({
        status: 429,
        code: 'rate_limited',
        message: `Too many requests: the limit "${rule}" of ${limit} is reached.`,
        hint: `${wait} The header RateLimit says what is left.`,
        headers,
      });
    case 'quota':
      return new Fault({
        status: 429,
        code: 'quota_exceeded',
        message: `The quota "${rule}" of ${limit} is used up.`,
        hint: `${wait} The header RateLimit says what is left.`,
        headers,
      });
    case 'store':
      return new Fault({
        status: 503,
        code: 'limits_unavailable',
        message: `The limit "${rule}" cannot be checked: the database does not answer.`,
        hint: wait,
        headers,
      });
  }
}
