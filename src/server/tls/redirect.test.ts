// In charge of: the plain port: where it sends whom, and what it does not believe.
import { request as httpRequest } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { exchange, openSocket } from '../../../test/harness/sockets.ts';
import { hstsHeader } from './hsts.ts';
import { openRedirect, type RedirectPort } from './redirect.ts';

let redirect: RedirectPort | undefined;
afterEach(() => redirect?.close());

async function open(externalUrl = 'https://api.example'): Promise<RedirectPort> {
  redirect = await openRedirect({
    host: '127.0.0.1',
    port: 0,
    externalUrl: () => externalUrl,
    challengeResponse: (path) => (path === '/.well-known/acme-challenge/token' ? 'answer' : undefined),
    observe: () => {},
  });
  return redirect;
}

function ask(port: number, path: string, { method = 'GET', headers = {} } = {}) {
  return new Promise<{ status?: number | undefined; location?: string | undefined; body: string }>(
    (resolve, reject) => {
      const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers }, (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode, location: response.headers.location, body }),
        );
      });
      sent.on('error', reject).end();
    },
  );
}

describe('the redirect port', () => {
  it.each<[string, string, string]>([
    ['path and query', '/rest/v1/items?select=a&b=%2F', 'https://api.example/rest/v1/items?select=a&b=%2F'],
    ['a path that looks like a host', '//evil.example/x', 'https://api.example//evil.example/x'],
    ['a path that looks like credentials', '/@evil.example', 'https://api.example/@evil.example'],
    ["a proxy's form, without its host", 'http://evil.example/x?y', 'https://api.example/x?y'],
  ])('keeps %s', async (_, path, location) => {
    const { port } = await open();
    expect(await ask(port, path)).toEqual({ status: 308, location, body: '' });
  });

  it.each(['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'])(
    'answers %s with 308, which keeps the method',
    async (method) => {
      const { port } = await open();
      expect(await ask(port, '/x', { method })).toMatchObject({
        status: 308,
        location: 'https://api.example/x',
      });
    },
  );

  it('never believes Host and its kin', async () => {
    const { port } = await open('https://api.example:8443/');
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example',
    };
    expect(await ask(port, '/x', { headers })).toMatchObject({ location: 'https://api.example:8443/x' });
  });

  it('answers the challenges of ACME itself, and no other path below them', async () => {
    const { port } = await open();
    expect(await ask(port, '/.well-known/acme-challenge/token')).toEqual({
      status: 200,
      location: undefined,
      body: 'answer',
    });
    expect(await ask(port, '/.well-known/acme-challenge/other')).toMatchObject({ status: 308 });
  });

  it('answers 503 until the address is known', async () => {
    const { port } = await open('');
    expect(await ask(port, '/x')).toMatchObject({ status: 503, location: undefined });
  });

  it('refuses what is not HTTP', async () => {
    const { port } = await open();
    const socket = await openSocket({ API_URL: `http://127.0.0.1:${port}` });
    expect(await exchange(socket, 'hello\r\n\r\n')).toBe('400');
  });

  it('says which port it could not have', async () => {
    const { port } = await open();
    const second = openRedirect({
      host: '127.0.0.1',
      port,
      externalUrl: () => '',
      challengeResponse: () => undefined,
      observe: () => {},
    });
    await expect(second).rejects.toThrow(
      `The redirect port ${port} on 127.0.0.1 is taken by another program.`,
    );
  });
});

describe('Strict-Transport-Security', () => {
  it.each<[string, string, boolean, number, string | undefined]>([
    ['in production', 'https://api.example', true, 3600, 'max-age=3600'],
    ['in development', 'https://api.example', false, 3600, undefined],
    ['when it is off', 'https://api.example', true, 0, undefined],
    ['on localhost', 'https://localhost:54321', true, 3600, undefined],
    ['below localhost', 'https://api.localhost', true, 3600, undefined],
    ['on an IPv4 address', 'https://192.0.2.1', true, 3600, undefined],
    ['on an IPv6 address', 'https://[2001:db8::1]', true, 3600, undefined],
    ['without encryption', 'http://api.example', true, 3600, undefined],
    ['without an external URL', '', true, 3600, undefined],
  ])('%s (%s)', (_, externalUrl, production, maxAgeSeconds, expected) => {
    expect(hstsHeader({ externalUrl, production, maxAgeSeconds })).toBe(expected);
  });
});
