// In charge of: who a request comes from, with and without proxies, honest and not.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRanges, findWrongRange, normalAddress } from '../../base/address-ranges.ts';
import { openClients, type ProxySettings, unnamedProxyNotices } from './client-address.ts';
import { hopsOfForwarded } from './forwarded.ts';

const clients = (
  trustedProxies: readonly string[],
  forwardedHeader: ProxySettings['forwardedHeader'] = 'x-forwarded-for',
) => {
  const settings = { trustedProxies, forwardedHeader };
  return openClients(() => settings);
};
const addressOf = (trusted: readonly string[], peer: string | undefined, xff: string) =>
  clients(trusted).of(peer, false, { 'x-forwarded-for': xff }).address;

describe('without trusted proxies', () => {
  it.each<[string | undefined, string]>([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:0DB8::0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    [undefined, ''],
  ])('the client is the peer %s, whatever the headers say', (peer, address) => {
    const headers = {
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-proto': 'https',
      forwarded: 'for=10.0.0.2;proto=https',
    };
    expect(clients([]).of(peer, false, headers)).toEqual({ address, isSecure: false, isProxied: false });
    expect(clients([]).of(peer, true, {})).toEqual({ address, isSecure: true, isProxied: false });
  });

  it('reads no header at all', () => {
    const headers = new Proxy(
      {},
      {
        get: () => {
          throw new Error('was read');
        },
      },
    );
    expect(clients([]).of('203.0.113.7', false, headers).address).toBe('203.0.113.7');
    expect(clients(['10.0.0.0/8']).of('203.0.113.7', false, headers).address).toBe('203.0.113.7');
  });
});

describe('X-Forwarded-For', () => {
  it.each<[why: string, trusted: string[], peer: string | undefined, header: string, address: string]>([
    ['one proxy', ['10.0.0.1'], '10.0.0.1', '203.0.113.7', '203.0.113.7'],
    [
      'what the client wrote itself is not read',
      ['10.0.0.1'],
      '10.0.0.1',
      '1.1.1.1, 203.0.113.7',
      '203.0.113.7',
    ],
    ['two proxies', ['10.0.0.0/8'], '10.0.0.1', '1.1.1.1, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
    ['all trusted: the outermost', ['private'], '10.0.0.1', '192.168.0.9, 10.0.0.2', '192.168.0.9'],
    [
      'a stranger in between ends it',
      ['10.0.0.0/8'],
      '10.0.0.1',
      '203.0.113.7, 198.51.100.1, 10.0.0.2',
      '198.51.100.1',
    ],
    ['a stranger as peer', ['10.0.0.0/8'], '198.51.100.1', '203.0.113.7', '198.51.100.1'],
    ['a word ends it at the proxy', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.7, unknown, 10.0.0.2', '10.0.0.2'],
    ['an empty entry, too', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.7, ', '10.0.0.1'],
    ['an octal octet is no address', ['10.0.0.0/8'], '10.0.0.1', '0177.0.0.1', '10.0.0.1'],
    ['nor a short form', ['10.0.0.0/8'], '10.0.0.1', '127.1', '10.0.0.1'],
    ['nor a number', ['10.0.0.0/8'], '10.0.0.1', '2130706433', '10.0.0.1'],
    ['nor one with a zone', ['10.0.0.0/8'], '10.0.0.1', 'fe80::1%lo', '10.0.0.1'],
    ['a port is left out', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.7:4711', '203.0.113.7'],
    ['and the brackets', ['10.0.0.0/8'], '10.0.0.1', '[2001:DB8::7]:4711', '2001:db8::7'],
    ['plain IPv6', ['10.0.0.0/8'], '10.0.0.1', '2001:db8:0:0::7', '2001:db8::7'],
    [
      'IPv4 in IPv6, of the peer and in the list',
      ['10.0.0.0/8'],
      '::ffff:10.0.0.1',
      '::ffff:203.0.113.7',
      '203.0.113.7',
    ],
    ['a range in IPv6 clothes', ['::ffff:10.0.0.0/104'], '10.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['an IPv6 range', ['2001:db8::/32'], '2001:db8::1', '203.0.113.7', '203.0.113.7'],
    ['loopback', ['loopback'], '127.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['loopback, IPv6', ['loopback'], '::1', '203.0.113.7', '203.0.113.7'],
    ['a Unix socket that is trusted', ['unix'], undefined, '203.0.113.7', '203.0.113.7'],
    ['a Unix socket that is not', ['loopback'], undefined, '203.0.113.7', ''],
  ])('%s', (_, trusted, peer, header, address) => {
    expect(addressOf(trusted, peer, header)).toBe(address);
  });

  it('that came several times is one list', () => {
    expect(
      clients(['private']).of('10.0.0.1', false, { 'x-forwarded-for': ['1.1.1.1', '203.0.113.7'] }).address,
    ).toBe('203.0.113.7');
  });

  it('is walked for 32 hops and no further', () => {
    const list = ['203.0.113.7', ...Array.from({ length: 5000 }, () => '10.0.0.9')].join(',');
    expect(addressOf(['private'], '10.0.0.1', list)).toBe('10.0.0.9');
  });

  it('is the only header that is read, so that the other one cannot be slipped in', () => {
    const headers = { forwarded: 'for=203.0.113.66' };
    expect(clients(['private']).of('10.0.0.1', false, headers).address).toBe('10.0.0.1');
    expect(
      clients(['private'], 'forwarded').of('10.0.0.1', false, { 'x-forwarded-for': '203.0.113.66' }).address,
    ).toBe('10.0.0.1');
  });
});

describe('Forwarded', () => {
  it.each<[string, string, boolean]>([
    ['for=203.0.113.7', '203.0.113.7', false],
    ['For="[2001:db8:cafe::17]:4711"', '2001:db8:cafe::17', false],
    ['for=1.1.1.1, for=203.0.113.7;proto=https;by=10.0.0.2', '203.0.113.7', true],
    ['for=203.0.113.7;proto=https, for=10.0.0.2;proto=http', '203.0.113.7', true],
    ['for=203.0.113.7;proto=http, for=10.0.0.2;proto=https', '203.0.113.7', false],
    ['for="_hidden"', '10.0.0.1', false],
    ['for=unknown', '10.0.0.1', false],
    ['for=203.0.113.7, nonsense', '10.0.0.1', false],
    ['for="203.0.113.7', '10.0.0.1', false],
    ['for=203.0.113.7;for=203.0.113.8', '10.0.0.1', false],
    ['', '10.0.0.1', false],
  ])('%s', (forwarded, address, isSecure) => {
    expect(clients(['private'], 'forwarded').of('10.0.0.1', false, { forwarded })).toEqual({
      address,
      isSecure,
      isProxied: true,
    });
  });
});

describe('X-Forwarded-Proto', () => {
  const of = (proto: string, xff = '203.0.113.7') =>
    clients(['private']).of('10.0.0.1', false, { 'x-forwarded-for': xff, 'x-forwarded-proto': proto })
      .isSecure;
  it.each<[string, string | undefined, boolean]>([
    ['https', undefined, true],
    ['HTTPS', undefined, true],
    ['http', undefined, false],
    ['wss', undefined, false],
    ['https, http', undefined, false],
    ['https', '203.0.113.7, 10.0.0.2', true],
    ['https, http', '203.0.113.7, 10.0.0.2', true],
    ['http, https', '203.0.113.7, 10.0.0.2', false],
  ])('%s with %s', (proto, xff, isSecure) => {
    expect(of(proto, xff)).toBe(isSecure);
  });

  it('counts without an address, and only from a trusted proxy', () => {
    const headers = { 'x-forwarded-proto': 'https' };
    expect(clients(['private']).of('10.0.0.1', false, headers)).toEqual({
      address: '10.0.0.1',
      isSecure: true,
      isProxied: true,
    });
    expect(clients(['private']).of('203.0.113.7', false, headers)).toEqual({
      address: '203.0.113.7',
      isSecure: false,
      isProxied: false,
    });
  });
});

describe('whoever is counted by an address', () => {
  const xff = { 'x-forwarded-for': '203.0.113.7' };

  it.each<
    [string, boolean, readonly string[], string, Readonly<Record<string, string>>, string, warned: boolean]
  >([
    ['a client elsewhere by that', false, [], '203.0.113.9', {}, '203.0.113.9', false],
    ['a laptop’s own test not at all', false, [], '127.0.0.1', {}, '', false],
    ['nor one by IPv6', false, [], '::1', {}, '', false],
    ['everybody behind a proxy that nobody named as one', false, [], '127.0.0.1', xff, 'loopback', true],
    ['…also one that writes Forwarded', false, [], '::1', { forwarded: 'for=x' }, 'loopback', true],
    ['a proxy of ours that says nothing not', true, ['loopback'], '127.0.0.1', {}, '', false],
    ['in production everybody from loopback as one', true, [], '127.0.0.1', {}, 'loopback', false],
    ['…beside other proxies, too', true, ['10.0.0.0/8'], '::1', {}, 'loopback', false],
  ])('is, %s', (_, production, trustedProxies, address, headers, countedAs, warned) => {
    let said = 0;
    const settings = { trustedProxies, forwardedHeader: 'x-forwarded-for' } as const;
    const found = openClients(() => settings, { production, onUnnamedProxy: () => said++ });
    expect(found.countedAs(address, headers)).toBe(countedAs);
    expect(found.countedAs(address, headers)).toBe(countedAs);
    // Once, however many come.
    expect(said).toBe(warned ? 1 : 0);
  });

  it.each<[boolean, boolean, readonly string[], boolean]>([
    [true, true, [], true],
    [true, true, ['10.0.0.0/8'], true],
    [true, true, ['loopback'], false],
    [true, true, ['127.0.0.1'], false],
    [true, false, [], false],
    [false, true, [], false],
  ])(
    'in production %s, on loopback %s with the proxies %j: said at start: %s',
    (production, onLoopback, trustedProxies, said) => {
      const notices = unnamedProxyNotices({ production, onLoopback, trustedProxies });
      expect(notices).toEqual(
        said
          ? [expect.stringContaining('Set trusted_proxies = ["loopback"] in [gateway] of config.toml')]
          : [],
      );
    },
  );
});

it('takes changed settings at once', () => {
  let settings: ProxySettings = { trustedProxies: [], forwardedHeader: 'x-forwarded-for' };
  const live = openClients(() => settings);
  const ask = () => live.of('10.0.0.1', false, { 'x-forwarded-for': '203.0.113.7' }).address;
  expect(ask()).toBe('10.0.0.1');
  settings = { ...settings, trustedProxies: ['10.0.0.1'] };
  expect(ask()).toBe('203.0.113.7');
});

describe('any bytes', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'for=',
      '"',
      '\\',
      ';',
      ',',
      ' ',
      '[',
      ']',
      ':',
      '10.0.0.1',
      '203.0.113.7',
      '::1',
      'proto=https',
      '%',
      '/',
      '.',
    ),
    fc.string(),
  );
  const header = fc.array(piece, { maxLength: 40 }).map((parts) => parts.join(''));

  it('give the peer or a normal address', () => {
    fc.assert(
      fc.property(
        header,
        fc.constantFrom<ProxySettings['forwardedHeader']>('forwarded', 'x-forwarded-for'),
        (text, name) => {
          const { address } = clients(['private'], name).of('10.0.0.1', false, {
            [name]: text,
            'x-forwarded-proto': text,
          });
          expect(normalAddress(address)).toBe(address);
        },
      ),
    );
  });

  it('before an honest entry change nothing', () => {
    fc.assert(
      fc.property(header, (text) => {
        expect(addressOf(['private'], '10.0.0.1', `${text},203.0.113.7`)).toBe('203.0.113.7');
      }),
    );
  });

  it('take no longer than their length', () => {
    // A quadratic walk would not end within the test's time.
    const long = 2 ** 21;
    for (const text of [
      ' '.repeat(long),
      `a=b;${' '.repeat(long)}x`,
      'a'.repeat(long),
      `a="${'\\'.repeat(long)}`,
      ','.repeat(long),
      'a=b;'.repeat(long / 4),
    ]) {
      hopsOfForwarded(text);
      expect(addressOf(['private'], '10.0.0.1', text)).toBe('10.0.0.1');
    }
  });
});

describe('ranges', () => {
  it.each([
    '10.0.0.0/33',
    '10.0.0/8',
    '010.0.0.1',
    '1.2.3.4/',
    '1.2.3.4/-1',
    '::1/129',
    'fe80::1%lo',
    'localhost',
    '',
    '/8',
    '0x7f.1',
    'constructor',
  ])('refuse "%s"', (text) => {
    expect(findWrongRange(['loopback', text])).toBe(text);
  });

  it('hold exactly what their prefix says', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (network, address, bits) => {
        const bitsOf = (text: string) =>
          text
            .split('.')
            .map((octet) => Number(octet).toString(2).padStart(8, '0'))
            .join('');
        const expected = bitsOf(network).slice(0, bits) === bitsOf(address).slice(0, bits);
        expect(compileRanges([`${network}/${bits}`]).has(address)).toBe(expected);
      }),
    );
    expect(compileRanges(['0.0.0.0/0']).has('255.255.255.255')).toBe(true);
    expect(compileRanges(['::/0']).has('1.2.3.4')).toBe(false);
    for (const none of ['', '0', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1.2.3.x', ' 1.2.3.4'])
      expect(compileRanges(['0.0.0.0/0']).has(none)).toBe(false);
    expect(compileRanges(['2001:db8::/33']).has('2001:db8:8000::1')).toBe(false);
  });

  it('never throw', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (range, address) => {
        findWrongRange([range]);
        compileRanges([range, '10.0.0.0/8', '::/8']).has(address);
      }),
    );
  });
});
