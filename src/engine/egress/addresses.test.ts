// In charge of: which addresses may be connected to, in every disguise that they come in.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNetwork } from '../../base/address-ranges.ts';
import { mayConnect } from './addresses.ts';
import { egressSettings } from './settings.ts';

const networks = (...words: string[]) => words.map((word) => parseNetwork(word)!);

describe('an address', () => {
  it.each([
    '93.184.215.14',
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '2606:2800:21f:cb07:6820:80da:af6b:8b2c',
  ])('%s is on the public Internet', (address) => expect(mayConnect(address, [])).toBe(true));

  it.each([
    ['loopback', '127.0.0.1'],
    ['loopback, far end', '127.255.255.254'],
    ['loopback, IPv6', '::1'],
    ['loopback, mapped', '::ffff:127.0.0.1'],
    ['loopback, mapped in hexadecimal', '::ffff:7f00:1'],
    ['loopback, IPv4-compatible', '::127.0.0.1'],
    ['loopback by NAT64', '64:ff9b::7f00:1'],
    ['a NAT64 of somebody’s own', '64:ff9b:1::7f00:1'],
    ['loopback by 6to4', '2002:7f00:1::1'],
    ['Teredo', '2001:0:7f00:1::1'],
    ['SIIT', '::ffff:0:127.0.0.1'],
    ['loopback in octal', '0177.0.0.1'],
    ['loopback in hexadecimal', '0x7f000001'],
    ['loopback as one number', '2130706433'],
    ['loopback, short', '127.1'],
    ['this host', '0.0.0.0'],
    ['this network', '0.1.2.3'],
    ['this host, IPv6', '::'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.1.1'],
    ['private, mapped', '::ffff:10.0.0.1'],
    ['private by NAT64', '64:ff9b::10.0.0.1'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['link-local', '169.254.1.1'],
    ['link-local, IPv6', 'fe80::1'],
    ['link-local with a zone', 'fe80::1%eth0'],
    ['site-local', 'fec0::1'],
    ['unique local', 'fd12:3456:789a::1'],
    ['metadata of AWS, GCP, Azure', '169.254.169.254'],
    ['metadata, mapped', '::ffff:169.254.169.254'],
    ['metadata by NAT64', '64:ff9b::a9fe:a9fe'],
    ['metadata of AWS, IPv6', 'fd00:ec2::254'],
    ['metadata of Alibaba', '100.100.100.200'],
    ['metadata of Oracle', '192.0.0.192'],
    ['wire server of Azure', '168.63.129.16'],
    ['wire server of Azure, mapped', '::ffff:168.63.129.16'],
    ['benchmarks', '198.18.0.1'],
    ['documentation', '192.0.2.1'],
    ['documentation, IPv6', '2001:db8::1'],
    ['multicast', '224.0.0.1'],
    ['multicast, IPv6', 'ff02::1'],
    ['broadcast', '255.255.255.255'],
    ['reserved', '240.0.0.1'],
    ['unassigned, IPv6', '4000::1'],
    ['no address', 'localhost'],
    ['nothing', ''],
    ['an address with a line behind it', '8.8.8.8\n'],
  ])('that is %s (%s) is refused', (_, address) => expect(mayConnect(address, [])).toBe(false));

  it('is refused in every spelling in which a URL may hold it', () => {
    const insides = [
      '10.0.0.0/8',
      '127.0.0.0/8',
      '169.254.0.0/16',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '100.64.0.0/10',
    ];
    const inside = fc.tuple(fc.constantFrom(...insides), fc.nat(2 ** 24 - 1)).map(([cidr, host]) => {
      const [network, bits] = parseNetwork(cidr)!;
      const base = Buffer.from(network.toByteArray()).readUInt32BE();
      return (base | (host & (2 ** (32 - bits) - 1))) >>> 0;
    });
    const spellings: readonly ((address: number, parts: readonly number[]) => string)[] = [
      (_, parts) => parts.join('.'),
      (address) => String(address),
      (address) => `0x${address.toString(16)}`,
      (address) => `0${address.toString(8)}`,
      (_, parts) => parts.map((part) => `0${part.toString(8)}`).join('.'),
      (_, parts) => parts.map((part) => `0x${part.toString(16)}`).join('.'),
      (address, [first]) => `${first}.${address & 0xffffff}`,
      (_, parts) => `[::ffff:${parts.join('.')}]`,
      (_, parts) => `[::${parts.join('.')}]`,
      (_, parts) => `[64:ff9b::${parts.join('.')}]`,
      (_, parts) => `[::ffff:0:${parts.join('.')}]`,
      (address) => `[2002:${(address >>> 16).toString(16)}:${(address & 0xffff).toString(16)}::1]`,
    ];
    const seed = process.env.SEED === undefined ? {} : { seed: Number(process.env.SEED) };
    fc.assert(
      fc.property(inside, fc.constantFrom(...spellings), (address, spell) => {
        const parts = [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);
        const { hostname } = new URL(`http://${spell(address, parts)}/`);
        expect(mayConnect(hostname.replace(/^\[|\]$/g, ''), [])).toBe(false);
      }),
      { numRuns: 2000, ...seed },
    );
  });

  it('may be allowed by its network, in any disguise, and its neighbours are not', () => {
    const allow = networks('10.0.0.0/8', '::1');
    expect(mayConnect('10.1.2.3', allow)).toBe(true);
    expect(mayConnect('::ffff:10.1.2.3', allow)).toBe(true);
    expect(mayConnect('::1', allow)).toBe(true);
    expect(mayConnect('11.1.2.3', [])).toBe(true);
    expect(mayConnect('192.168.0.1', allow)).toBe(false);
    expect(mayConnect('127.0.0.1', allow)).toBe(false);
    expect(mayConnect('10.1.2.3', networks('::ffff:10.0.0.0/104'))).toBe(true);
  });
});

describe('egress.allow', () => {
  it.each([
    [['10.0.0.0/8', '::1/128', 'fd00::/8', '127.0.0.1'], true],
    ['10.0.0.0/8, 127.0.0.1', true],
    ['', true],
    [['10.0.0.0/33'], false],
    [['10'], false],
    [['10.0.0.0/'], false],
    [['300.0.0.1'], false],
    [['localhost'], false],
    [['fe80::1%eth0'], false],
    [[7], false],
    [7, false],
  ])('%j: taken is %s', (raw, taken) => {
    expect(egressSettings.allow.parse(raw) !== undefined).toBe(taken);
  });
});
