// In charge of: what an outgoing request may reach, and that each of its bounds holds. The servers are real, the names are made up.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createPlainServer } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Observation } from '../../base/observe.ts';
import { makeSelfSigned } from '../../server/tls/self-signed.ts';
import { type EgressOptions, openEgress } from './egress.ts';
import { EgressError } from './errors.ts';
import type { LookupAll } from './lookup.ts';

const loopback = ['127.0.0.1/32'];

function open(options: Partial<EgressOptions> = {}) {
  const seen: Observation[] = [];
  const egress = openEgress({
    allow: () => loopback,
    observe: (observation) => seen.push(observation),
    now: Date.now,
    ...options,
  });
  onTestFinished(() => egress.close());
  return { ...egress, seen };
}

async function serve(
  listener: RequestListener,
): Promise<{ url: string; port: number; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // Sound: a TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, requests };
}

/** Names that lead where a test wants, one answer after the other. */
const names = (...answers: readonly (readonly string[])[]): LookupAll & { asked: number } => {
  const lookup: LookupAll & { asked: number } = Object.assign(
    ((_hostname, _options, done) => {
      const answer = answers[Math.min(lookup.asked++, answers.length - 1)]!;
      done(
        null,
        answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
    }) as LookupAll,
    { asked: 0 },
  );
  return lookup;
};

const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'answered',
    (error: unknown) => (error instanceof EgressError ? error.reason : error),
  );

describe('a request', () => {
  it('comes back with status, headers and body, and carries no cookie, proxy or compression', async () => {
    const { url, requests } = await serve((_, response) =>
      response.writeHead(201, { 'set-cookie': 'a=b', 'x-two': ['1', '2'] }).end('hello'),
    );
    const { fetch, seen } = open();
    const answer = await fetch(`${url}/path?q=secret`, { headers: { 'x-own': 'yes' } });
    expect(answer).toMatchObject({ status: 201, url: `${url}/path?q=secret`, headers: { 'x-two': '1, 2' } });
    expect(answer.body.toString()).toBe('hello');
    await fetch(url, { method: 'POST', body: '{}' });
    expect(requests.map(({ method }) => method)).toEqual(['GET', 'POST']);
    expect(requests[0]!.headers).toMatchObject({ 'x-own': 'yes', 'accept-encoding': 'identity' });
    expect(requests[1]!.headers.cookie).toBeUndefined();
    expect(seen[0]).toMatchObject({ kind: 'egress.request', origin: url, status: 201, sizeBytes: 5 });
    expect(JSON.stringify(seen)).not.toContain('secret');
  });

  it.each([
    ['file:///etc/passwd', 'url'],
    ['ftp://127.0.0.1/', 'url'],
    ['data:text/plain,hello', 'url'],
    ['javascript:alert(1)', 'url'],
    ['//127.0.0.1/', 'url'],
    ['', 'url'],
    ['http://user:password@127.0.0.1/', 'url'],
  ])('to "%s" is refused: %s', async (url, reason) => {
    expect(await reasonOf(open().fetch(url))).toBe(reason);
  });

  it.each([
    'http://127.0.0.1:PORT/',
    'http://127.1:PORT/',
    'http://2130706433:PORT/',
    'http://0x7f000001:PORT/',
    'http://0177.0.0.1:PORT/',
    'http://[::ffff:127.0.0.1]:PORT/',
    'http://[::ffff:7f00:1]:PORT/',
    'http://0.0.0.0:PORT/',
    'http://localhost:PORT/',
    'http://①②⑦.0.0.1:PORT/',
  ])('to loopback, written %s, is refused before anything is sent', async (text) => {
    const { port, requests } = await serve((_, response) => response.end());
    const { fetch, seen } = open({ allow: () => [] });
    expect(await reasonOf(fetch(text.replace('PORT', String(port))))).toBe('address');
    expect(requests).toEqual([]);
    expect(seen).toMatchObject([{ level: 'warn', refused: 'address' }]);
  });

  it('names no address that was looked up in its error', async () => {
    const { fetch } = open({ allow: () => [], lookup: names(['10.9.8.7']) });
    const error = await fetch('http://intern.example/').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: 'address', address: '10.9.8.7' });
    expect(String(error)).not.toContain('10.9.8.7');
  });

  it('goes to loopback when that is allowed, as the setting stands now', async () => {
    const { url } = await serve((_, response) => response.end());
    let allow: readonly string[] = [];
    const { fetch } = open({ allow: () => allow });
    expect(await reasonOf(fetch(url))).toBe('address');
    allow = loopback;
    expect(await reasonOf(fetch(url))).toBe('answered');
  });
});

describe('a name', () => {
  it('is looked up once: what was judged is what is connected (DNS rebinding)', async () => {
    const { port, requests } = await serve((_, response) => response.end('inside'));
    const lookup = names(['127.0.0.2'], ['127.0.0.1']);
    const { fetch } = open({ allow: () => ['127.0.0.2'], lookup });
    // The first answer may be connected to, and nobody listens there; a second look-up would lead inside.
    expect(await reasonOf(fetch(`http://rebind.example:${port}/`))).toBe('network');
    expect(lookup.asked).toBe(1);
    expect(await reasonOf(fetch(`http://rebind.example:${port}/`))).toBe('address');
    expect(requests).toEqual([]);
  });

  it.each([
    ['a private one', ['10.0.0.1']],
    ['a public and a private one', ['93.184.215.14', '192.168.0.1']],
    ['a mapped one', ['::ffff:169.254.169.254']],
    ['NAT64 of a private one', ['64:ff9b::10.0.0.1']],
  ])('that has %s is refused', async (_, addresses) => {
    const { fetch } = open({ lookup: names(addresses) });
    expect(await reasonOf(fetch('http://app.example/'))).toBe('address');
  });

  it('that is allowed is connected to', async () => {
    const { port } = await serve((request, response) => response.end(request.headers.host));
    const { fetch } = open({ lookup: names(['127.0.0.1']) });
    expect((await fetch(`http://app.example:${port}/`)).body.toString()).toBe(`app.example:${port}`);
  });

  it('without an address is no hang', async () => {
    expect(await reasonOf(open({ lookup: names([]) }).fetch('http://app.example/'))).toBe('network');
  });
});

describe('a redirect', () => {
  it('is followed, and each hop is judged', async () => {
    const inside = await serve((_, response) => response.end('inside'));
    const { port } = await serve((request, response) =>
      response
        .writeHead(302, { location: request.url === '/in' ? `http://127.0.0.1:${inside.port}/` : '/in' })
        .end(),
    );
    const lookup: LookupAll = (_hostname, _options, done) =>
      done(null, [{ address: '127.0.0.2', family: 4 }]);
    const other = createServer((_, response) => response.writeHead(302, { location: inside.url }).end());
    other.listen(port, '127.0.0.2');
    await once(other, 'listening');
    onTestFinished(() => {
      other.close();
    });
    expect((await open().fetch(`http://127.0.0.1:${port}/`)).body.toString()).toBe('inside');
    const before = inside.requests.length;
    // Only 127.0.0.2 is allowed here; where it points to is not.
    const guarded = open({ allow: () => ['127.0.0.2'], lookup });
    expect(await reasonOf(guarded.fetch(`http://app.example:${port}/`))).toBe('address');
    expect(inside.requests.length).toBe(before);
  });

  it.each([
    ['file:///etc/passwd', 'redirect'],
    ['http://user:password@example.org/', 'redirect'],
    ['http://[', 'redirect'],
    ['http://169.254.169.254/latest/meta-data/', 'address'],
    ['http://[::ffff:169.254.169.254]/', 'address'],
  ])('to "%s" is refused: %s', async (location, reason) => {
    const { url } = await serve((_, response) => response.writeHead(302, { location }).end());
    expect(await reasonOf(open().fetch(url))).toBe(reason);
  });

  it('without an end is cut', async () => {
    const { url, requests } = await serve((_, response) =>
      response.writeHead(302, { location: '/again' }).end(),
    );
    expect(await reasonOf(open().fetch(url, { maxRedirects: 3 }))).toBe('redirect');
    expect(requests.length).toBe(4);
  });

  it('is given back where none is followed', async () => {
    const { url } = await serve((_, response) => response.writeHead(302, { location: '/again' }).end());
    expect(await open().fetch(url, { maxRedirects: 0 })).toMatchObject({
      status: 302,
      headers: { location: '/again' },
    });
  });

  it('to another origin loses what is secret, and 303 the body', async () => {
    const there = await serve((_, response) => response.end());
    const here = await serve((_, response) => response.writeHead(303, { location: there.url }).end());
    const headers = {
      authorization: 'Bearer x',
      apikey: 'x',
      cookie: 'x',
      'content-type': 'a/b',
      'x-own': 'yes',
    };
    await open().fetch(here.url, { method: 'POST', body: 'x', headers });
    const got = there.requests[0]!;
    expect(got.method).toBe('GET');
    expect(got.headers).toMatchObject({ 'x-own': 'yes' });
    for (const name of ['authorization', 'apikey', 'cookie', 'content-type', 'content-length'])
      expect(got.headers[name]).toBeUndefined();
  });
});

describe('https', () => {
  it('is taken from whoever can prove the name, and never leads to http', async () => {
    const certificate = await makeSelfSigned(['app.example'], Date.now());
    const server = createTlsServer(
      { key: certificate.keyPem, cert: certificate.certPem },
      (request, response) => {
        const location = request.url === '/http' ? 'http://app.example/' : undefined;
        response
          .writeHead(location === undefined ? 200 : 302, location === undefined ? {} : { location })
          .end();
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    // Sound: a TCP server has an address of this form.
    const { port } = server.address() as AddressInfo;
    const { fetch } = open({ lookup: names(['127.0.0.1']) });
    // Nobody vouches for the certificate.
    expect(await reasonOf(fetch(`https://app.example:${port}/`))).toBe('network');
    const usual = getCACertificates('default');
    onTestFinished(() => setDefaultCACertificates(usual));
    setDefaultCACertificates([...usual, certificate.certPem]);
    const trusting = open({ lookup: names(['127.0.0.1']) });
    expect(await reasonOf(trusting.fetch(`https://app.example:${port}/`))).toBe('answered');
    expect(await reasonOf(trusting.fetch(`https://other.example:${port}/`))).toBe('network');
    expect(await reasonOf(trusting.fetch(`https://app.example:${port}/http`))).toBe('redirect');
  });
});

describe('a plain connection', () => {
  it('is judged as a request is', async () => {
    const server = createPlainServer((socket) => socket.end('220 ready'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
    });
    // Sound: a TCP server has an address of this form.
    const { port } = server.address() as AddressInfo;
    const socket = await open({ lookup: names(['127.0.0.1']) }).connect('mail.example', port);
    expect(String(await once(socket, 'data'))).toBe('220 ready');
    const { connect, seen } = open({ allow: () => [], lookup: names(['127.0.0.1']) });
    for (const host of ['mail.example', '127.0.0.1', '[::1]', '::ffff:127.0.0.1'])
      expect(await reasonOf(connect(host, port))).toBe('address');
    expect(seen).toHaveLength(4);
    expect(seen[0]).toMatchObject({ kind: 'egress.connect', level: 'warn', address: '127.0.0.1' });
  });
});

describe('the close', () => {
  it('ends what is under way', async () => {
    const { url, requests } = await serve(() => {});
    const egress = open();
    const outcome = reasonOf(egress.fetch(url));
    await expect.poll(() => requests.length).toBe(1);
    await egress.close();
    expect(await outcome).toBe('network');
  });
});

describe('the bounds', () => {
  it('cut an answer that is too long, with or without a length', async () => {
    const long = Buffer.alloc(2048);
    const { url } = await serve((request, response) => {
      if (request.url === '/length') response.setHeader('content-length', long.length);
      response.write(long.subarray(0, 1024));
      response.end(long.subarray(1024));
    });
    const { fetch } = open();
    expect(await reasonOf(fetch(`${url}/length`, { maxResponseBytes: 2047 }))).toBe('size');
    expect(await reasonOf(fetch(url, { maxResponseBytes: 2047 }))).toBe('size');
    expect(await reasonOf(fetch(url, { maxResponseBytes: 2048 }))).toBe('answered');
  });

  it('cut one that never comes, and one that never ends', async () => {
    const { url } = await serve((request, response) => {
      if (request.url === '/drip') response.write('x');
    });
    const { fetch } = open();
    expect(await reasonOf(fetch(url, { timeoutMs: 100 }))).toBe('time');
    expect(await reasonOf(fetch(`${url}/drip`, { timeoutMs: 100 }))).toBe('time');
  });

  it('end with the caller', async () => {
    const { url } = await serve(() => {});
    const abort = new AbortController();
    const outcome = reasonOf(open().fetch(url, { signal: abort.signal }));
    abort.abort();
    expect(await outcome).toBe('network');
  });

  it('hold for headers and for what is no HTTP', async () => {
    const { url } = await serve((_, response) =>
      response.writeHead(200, { 'x-long': 'x'.repeat(20_000) }).end(),
    );
    expect(await reasonOf(open().fetch(url))).toBe('network');
    const plain = createPlainServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH\r\n'));
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    onTestFinished(() => {
      plain.close();
    });
    // Sound: a TCP server has an address of this form.
    const { port } = plain.address() as AddressInfo;
    expect(await reasonOf(open().fetch(`http://127.0.0.1:${port}/`))).toBe('network');
  });

  it('refuse more requests at once than there may be, and take the next one afterwards', async () => {
    const { url } = await serve((request, response) => {
      if (request.url === '/free') response.end();
    });
    const { fetch } = open();
    const abort = new AbortController();
    const started = Array.from({ length: 64 }, () => reasonOf(fetch(url, { signal: abort.signal })));
    expect(await reasonOf(fetch(`${url}/free`))).toBe('busy');
    abort.abort();
    await Promise.all(started);
    expect(await reasonOf(fetch(`${url}/free`))).toBe('answered');
  });
});

describe('judge', () => {
  it.each([
    ['a public address', '93.184.216.34', { kind: 'fine' }],
    ['what is allowed', '127.0.0.1', { kind: 'fine' }],
    ['loopback', '127.0.0.2', { kind: 'refused', range: 'loopback' }],
    ['loopback as IPv6 in brackets', '[::1]', { kind: 'refused', range: 'loopback' }],
    ['loopback in another dress', '::ffff:127.0.0.2', { kind: 'refused', range: 'loopback' }],
    ['a private network', '10.1.2.3', { kind: 'refused', range: 'private' }],
    ['a metadata service', '169.254.169.254', { kind: 'refused', range: 'linkLocal' }],
  ])('knows %s', async (_, host, judgement) => {
    expect(await open().judge(host)).toEqual(judgement);
  });

  it('judges every address of a name', async () => {
    const lookup = names(['93.184.216.34', '192.168.0.1'], ['93.184.216.34'], []);
    const { judge } = open({ lookup });
    expect(await judge('mixed.example')).toEqual({ kind: 'refused', range: 'private' });
    expect(await judge('good.example')).toEqual({ kind: 'fine' });
    expect(await judge('nowhere.example')).toEqual({ kind: 'unknown_name' });
  });
});
