// In charge of: the settings of the gateway's front guards.

import { findWrongRange, rangeExpectation } from '../../base/address-ranges.ts';
import { parseSizeBytes } from '../../base/bytes.ts';
import { explained, flag, list, oneOf, parsed, wholeNumber } from '../../base/settings.ts';
import { parseDurationSeconds } from '../../base/time.ts';
import { isOriginPattern } from '../cors.ts';
import { complaintsAboutRoutes, parseRoutes, type RouteFacts } from './bounds.ts';
import { complaintsAboutRules, parseRules, type RuleFacts } from './rules.ts';

/** A list in TOML, separated by commas in the environment; undefined when an item is not right. */
function listOf(isRight: (item: string) => boolean): (raw: unknown) => readonly string[] | undefined {
  const words = list({ key: '', default: [], sentence: '' });
  return (raw) => {
    const items = words.parse(raw);
    return items?.every(isRight) ? items : undefined;
  };
}

export const guardSettings = {
  trustedProxies: parsed<readonly string[]>(
    {
      key: 'gateway.trusted_proxies',
      env: ['MILLRACE_TRUSTED_PROXIES'],
      default: [],
      live: true,
      sentence:
        'Whose word on the client address and on https counts: the proxies in front of this server. None: headers of proxies are not read. `unix` stands for whoever comes by the Unix socket.',
    },
    `a list of which each is ${rangeExpectation}, or "unix"`,
    listOf((item) => item === 'unix' || findWrongRange([item]) === undefined),
  ),
  forwardedHeader: oneOf(
    {
      key: 'gateway.forwarded_header',
      env: ['MILLRACE_FORWARDED_HEADER'],
      default: 'x-forwarded-for',
      live: true,
      sentence:
        'Which header the trusted proxies write: `x-forwarded-for` (with `X-Forwarded-Proto`), or `forwarded` of RFC 7239. The other one is not read, because then it is the client that wrote it.',
    },
    ['x-forwarded-for', 'forwarded'],
  ),
  rules: explained(
    complaintsAboutRules,
    parsed<readonly RuleFacts[]>(
      {
        key: 'gateway.rules',
        default: [],
        live: true,
        sentence:
          'Request rules, one table each: `[gateway.rules.<name>]` with `action` and any of `cidr`, `path`, `methods`, `headers`, `keys`, `status`, `message`, `order`. The first that fits decides. See docs/gateway.md.',
      },
      'a table of request rules as docs/gateway.md describes them',
      parseRules,
    ),
  ),
  routes: explained(
    complaintsAboutRoutes,
    parsed<readonly RouteFacts[]>(
      {
        key: 'gateway.routes',
        default: [],
        live: true,
        sentence:
          'Bounds for some routes, one table each: `[gateway.routes.<name>]` with `path` and any of `methods`, `max_body_bytes`, `max_url_bytes`, `timeout`, `order`. See docs/gateway.md.',
      },
      'a table of routes as docs/gateway.md describes them',
      parseRoutes,
    ),
  ),
  maxUrlBytes: parsed(
    {
      key: 'gateway.max_url_bytes',
      env: ['MILLRACE_MAX_URL_BYTES'],
      default: 24 * 1024,
      unit: 'bytes',
      live: true,
      sentence:
        'A longer URL, path and query together, is refused with 414. URL and headers together have 32 KiB.',
    },
    'a number of bytes from 1024, or a size such as "16KiB"',
    (raw) => {
      const value = typeof raw === 'string' && /^\d+$/.test(raw) ? Number(raw) : parseSizeBytes(raw);
      return value !== undefined && value >= 1024 ? value : undefined;
    },
  ),
  minBytesPerSecond: wholeNumber({
    key: 'gateway.min_bytes_per_second',
    env: ['MILLRACE_MIN_BYTES_PER_SECOND'],
    default: 240,
    unit: 'bytes/s',
    live: true,
    sentence:
      'A client that sends its body or reads its answer more slowly than this, on average after a grace, is cut off. 0: never.',
  }),
  slowGraceSeconds: parsed(
    {
      key: 'gateway.slow_grace',
      env: ['MILLRACE_SLOW_GRACE'],
      default: 10,
      unit: 'seconds',
      live: true,
      sentence: 'How long a client may take before its rate counts.',
    },
    'a duration such as "10s"',
    (raw) => {
      const value = parseDurationSeconds(raw);
      return value !== undefined && value >= 0 ? value : undefined;
    },
  ),
  secureHeaders: flag({
    key: 'gateway.secure_headers',
    env: ['MILLRACE_SECURE_HEADERS'],
    default: true,
    live: true,
    sentence:
      'Add headers by which a browser renders data without running it. An answer that has a header of its own by that name keeps it.',
  }),
  corsOrigins: parsed<readonly string[]>(
    {
      key: 'gateway.cors.origins',
      env: ['MILLRACE_CORS_ORIGINS'],
      default: ['*'],
      live: true,
      sentence:
        'The origins whose pages may ask: `*` for all, `https://app.example.com`, or `https://*.example.com` for all names below it.',
    },
    'a list of "*" or origins such as "https://app.example.com" or "https://*.example.com"',
    listOf((item) => item === '*' || isOriginPattern(item)),
  ),
  corsCredentials: flag({
    key: 'gateway.cors.credentials',
    env: ['MILLRACE_CORS_CREDENTIALS'],
    default: false,
    live: true,
    sentence:
      'Let pages of the listed origins send cookies. Without effect while `gateway.cors.origins` holds `*`. No client library of ours or of upstream needs it.',
  }),
  corsMaxAgeSeconds: parsed(
    {
      key: 'gateway.cors.max_age',
      env: ['MILLRACE_CORS_MAX_AGE'],
      default: 3600,
      unit: 'seconds',
      live: true,
      sentence:
        'How long a browser may keep the answer to a preflight. Chrome keeps it for two hours at most.',
    },
    'a duration such as "1h", up to a day',
    (raw) => {
      const value = parseDurationSeconds(raw);
      return value !== undefined && value >= 0 && value <= 86_400 ? Math.floor(value) : undefined;
    },
  ),
} as const;
