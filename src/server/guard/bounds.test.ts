// In charge of: which bounds a request has: those of its route, and those of all for the rest.
import { describe, expect, it } from 'vitest';
import { type Bounds, checkUrl, complaintsAboutRoutes, openBounds, parseRoutes } from './bounds.ts';

const all: Bounds = { maxBodyBytes: 1000, maxUrlBytes: 500, timeoutMs: 60_000 };
const routes = parseRoutes({
  uploads: { path: '/storage/v1', max_body_bytes: '50MiB', timeout: '10m' },
  parse: { path: ['/rest/v1/rpc/parse'], methods: ['POST'], max_body_bytes: 100 },
  search: { path: '/rest/v1/rpc/search_*', max_url_bytes: '1kB' },
})!;
const bounds = openBounds(
  () => routes,
  () => all,
);

describe('a request has the bounds of', () => {
  it.each<[string, string, string, Partial<Bounds>]>([
    ['all', 'GET', '/rest/v1/notes', {}],
    ['its route', 'PUT', '/storage/v1/object/a', { maxBodyBytes: 50 * 2 ** 20, timeoutMs: 600_000 }],
    ['its route and method', 'POST', '/rest/v1/rpc/parse', { maxBodyBytes: 100 }],
    ['all for another method', 'GET', '/rest/v1/rpc/parse', {}],
    ['its route by pattern', 'GET', '/rest/v1/rpc/search_notes', { maxUrlBytes: 1000 }],
    ['its narrow route, however it is written', 'POST', '/rest/v1/rpc/%70arse', { maxBodyBytes: 100 }],
    ['its narrow route, also in capitals', 'POST', '/REST/v1/rpc/parse', { maxBodyBytes: 100 }],
    ['no wide route that it only may mean', 'POST', '/storage/v1/../../rest/v1/notes', {}],
    ['no wide route that it climbs into', 'POST', '/rest/v1/%2e%2e/%2e%2e/storage/v1', {}],
  ])('%s', (_, method, path, expected) => {
    expect(bounds.of(method, path)).toEqual({ ...all, ...expected });
  });

  it('what is in force now', () => {
    let [now, facts] = [all, parseRoutes({})!];
    const live = openBounds(
      () => facts,
      () => now,
    );
    expect(live.of('GET', '/rest/v1')).toBe(all);
    now = { ...all, timeoutMs: 1 };
    expect(live.of('GET', '/rest/v1').timeoutMs).toBe(1);
    facts = parseRoutes({ a: { path: '/rest', max_body_bytes: 7 } })!;
    expect(live.of('GET', '/rest/v1')).toEqual({ ...all, timeoutMs: 1, maxBodyBytes: 7 });
    now = { ...all, timeoutMs: 2 };
    expect(live.of('GET', '/rest/v1')).toEqual({ ...all, timeoutMs: 2, maxBodyBytes: 7 });
  });
});

it('a URL that is too long is answered with 414', () => {
  expect(checkUrl(500, all)).toBeUndefined();
  expect(checkUrl(501, all)).toMatchObject({
    status: 414,
    code: 'uri_too_long',
    message: 'The URL is 501 bytes long; 500 are allowed here.',
  });
});

it.each<[unknown, string]>([
  [
    { a: { max_body_bytes: 5 } },
    '"gateway.routes.a.path" is missing, but must be a path, or a list of paths.',
  ],
  [
    { a: { path: '/a' } },
    '"gateway.routes.a" bounds nothing; give max_body_bytes, max_url_bytes or timeout.',
  ],
  [
    { a: { path: '/a', max_body_bytes: '5 parsecs' } },
    '"gateway.routes.a.max_body_bytes" is "5 parsecs", but must be a number of bytes, or a size such as "50MiB".',
  ],
  [
    { a: { path: '/a', timeout: '0s' } },
    '"gateway.routes.a.timeout" is "0s", but must be a duration such as "60s", up to "24h".',
  ],
  [{ a: { path: '/a', timeout: '25h' } }, '"gateway.routes.a.timeout" is "25h", but must be'],
  [
    { a: { path: '/a', max_body: 5 } },
    '"gateway.routes.a.max_body" is not known here; the keys are order, path, methods, max_body_bytes, max_url_bytes, timeout.',
  ],
])('a wrong route is refused with what is wrong: %j', (raw, beginning) => {
  expect(parseRoutes(raw)).toBeUndefined();
  expect(complaintsAboutRoutes(raw)).toEqual([expect.stringContaining(beginning)]);
});
