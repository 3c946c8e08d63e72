// In charge of: the examples of docs/gateway.md: each one is read as settings, and each request below it has the outcome that it says.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseToml } from '../../engine/project/config.ts';
import { openSettings } from '../../engine/settings/live.ts';
import { openCors } from '../cors.ts';
import { serverSettings } from '../settings.ts';
import { openBounds } from './bounds.ts';
import { openClients } from './client-address.ts';
import { openRules } from './rules.ts';
import { guardSettings } from './settings.ts';

const page = readFileSync(fileURLToPath(new URL('../../../docs/gateway.md', import.meta.url)), 'utf8');

interface Example {
  readonly toml: string;
  readonly line: string;
}

/** Each line of a block of requests, with the settings that stand before it. */
function examplesOf(text: string): readonly Example[] {
  let toml = '';
  const found: Example[] = [];
  for (const [, language, body = ''] of text.matchAll(/^```(toml|requests)\n(.*?)^```$/gms)) {
    if (language === 'toml') toml = body;
    else
      found.push(
        ...body
          .trim()
          .split('\n')
          .map((line) => ({ toml, line })),
      );
  }
  return found;
}

function open(file: Readonly<Record<string, unknown>>, environment: Readonly<Record<string, string>> = {}) {
  const settings = openSettings([guardSettings, serverSettings], { file, environment });
  const guard = settings.of(guardSettings);
  const server = settings.of(serverSettings);
  const { maxBodyBytes, requestTimeoutSeconds } = server.now();
  const everywhere = {
    maxBodyBytes,
    maxUrlBytes: guard.now().maxUrlBytes,
    timeoutMs: requestTimeoutSeconds * 1000,
  };
  return {
    clients: openClients(guard.now),
    rules: openRules(() => guard.now().rules),
    bounds: openBounds(
      () => guard.now().routes,
      () => everywhere,
    ),
    cors: openCors(guard.now),
    guard: guard.now(),
  };
}

const shape = /^(\w+) (\S+) from (\S+)(?: with key (\S+)| with ([\w-]+): (.*?))? -> (.+)$/;

function outcomeOf({ toml, line }: Example): { readonly found: string; readonly expected: string } {
  const parts = shape.exec(line);
  if (!parts) throw new Error(`"${line}" is no example.`);
  const [, method = '', path = '', peer = '', key, header, value, expected = ''] = parts;
  const { clients, rules, bounds, cors } = open(parseToml(toml, 'docs/gateway.md'));
  const headers = header === undefined ? {} : { [header]: value };
  const { address } = clients.of(peer, false, headers);
  const kind = expected.split(' ', 1)[0];
  if (kind === 'client') return { found: `client ${address}`, expected };
  if (kind === 'origin') {
    const given = new Map(cors.headers(value)).get('access-control-allow-origin');
    return { found: `origin ${given ?? 'none'}`, expected };
  }
  if (kind === 'body') {
    const { maxBodyBytes, maxUrlBytes, timeoutMs } = bounds.of(method, path);
    return { found: `body ${maxBodyBytes}, url ${maxUrlBytes}, seconds ${timeoutMs / 1000}`, expected };
  }
  const request = { method, path, headers, address };
  const refusal = rules.before(request) ?? rules.after(request, key === undefined ? [] : [key]);
  return { found: refusal === undefined ? 'passes' : String(refusal.status), expected };
}

describe('docs/gateway.md', () => {
  const examples = examplesOf(page);
  it('has examples of everything', () => {
    const kinds = new Set(examples.map(({ line }) => line.split('-> ')[1]?.split(' ', 1)[0]));
    expect([...kinds].sort()).toEqual(['403', '404', '429', 'body', 'client', 'origin', 'passes']);
  });

  it.each(examples)('$line', (example) => {
    const { found, expected } = outcomeOf(example);
    expect(found).toBe(expected);
  });

  it('gives a list of rules that can be set at run time', () => {
    const json = /^```json\n(.*?)^```$/ms.exec(page)?.[1] ?? '';
    expect(guardSettings.rules.parse(JSON.parse(json))?.map(({ name }) => name)).toEqual([
      'office',
      'others',
    ]);
  });
});

describe('the settings', () => {
  it('are open to all and trust nobody as long as nothing is set', () => {
    expect(open({}).guard).toEqual({
      trustedProxies: [],
      forwardedHeader: 'x-forwarded-for',
      rules: [],
      routes: [],
      maxUrlBytes: 24_576,
      minBytesPerSecond: 240,
      slowGraceSeconds: 10,
      secureHeaders: true,
      corsOrigins: ['*'],
      corsCredentials: false,
      corsMaxAgeSeconds: 3600,
    });
  });

  it('come from the environment, too', () => {
    const { guard } = open(
      {},
      {
        MILLRACE_TRUSTED_PROXIES: 'private, 192.0.2.0/24',
        MILLRACE_CORS_ORIGINS: 'https://a.example,https://*.b.example',
        MILLRACE_MAX_URL_BYTES: '4096',
        MILLRACE_CORS_MAX_AGE: '10m',
      },
    );
    expect(guard).toMatchObject({
      trustedProxies: ['private', '192.0.2.0/24'],
      corsOrigins: ['https://a.example', 'https://*.b.example'],
      maxUrlBytes: 4096,
      corsMaxAgeSeconds: 600,
    });
  });

  it.each([
    [
      { trusted_proxies: ['10.0.0.0/8', '10.0.0.0/40'] },
      '"gateway.trusted_proxies" in config.toml is ["10.0.0.0/8","10.0.0.0/40"], but must be a list of which each is an address',
    ],
    [{ trusted_proxies: ['*'] }, '"gateway.trusted_proxies" in config.toml is ["*"], but must be'],
    [
      { max_url_bytes: 10 },
      '"gateway.max_url_bytes" in config.toml is 10, but must be a number of bytes from 1024',
    ],
    [
      { cors: { origins: ['null'] } },
      '"gateway.cors.origins" in config.toml is ["null"], but must be a list of "*" or origins',
    ],
    [
      { rules: { a: { action: 'block' } } },
      '"gateway.rules.a.action" is "block", but must be "allow" or "deny".',
    ],
    [
      { forwarded_header: 'x-real-ip' },
      '"gateway.forwarded_header" in config.toml is "x-real-ip", but must be one of x-forwarded-for, forwarded.',
    ],
  ])('refuse %j', (gateway, beginning) => {
    expect(() => open({ gateway })).toThrow(beginning);
  });

  it('say of tables what is wrong within them', () => {
    expect(guardSettings.rules.complaints?.({ a: { action: 'block' } })).toEqual([
      '"gateway.rules.a.action" is "block", but must be "allow" or "deny".',
    ]);
    expect(guardSettings.routes.complaints?.({ a: { path: '/a', timeout: 'soon' } })).toEqual([
      '"gateway.routes.a.timeout" is "soon", but must be a duration such as "60s", up to "24h".',
    ]);
    expect(guardSettings.rules.complaints?.({})).toEqual([]);
  });
});
