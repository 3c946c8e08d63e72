// In charge of: which addresses a network of a key's scope takes in.
import { describe, expect, it } from 'vitest';
import { normalNetwork, openNetworks } from './addresses.ts';

describe('a network', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7/32'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8::1', '2001:db8::1/128'],
    ['2001:db8:1:2::5/32', '2001:db8::/32'],
    ['::ffff:192.0.2.0/120', '192.0.2.0/24'],
    ['::ffff:192.0.2.9', '192.0.2.9/32'],
  ])('%s is kept as %s', (text, kept) => {
    expect(normalNetwork(text)).toBe(kept);
    // What is kept means the same when it is read again.
    expect(normalNetwork(kept)).toBe(kept);
  });

  // The short and octal forms of C's inet_aton are other addresses than people mean (CVE-2021-29921 and its like).
  it.each([
    '',
    '10',
    '10.1',
    '010.0.0.1',
    '0x7f.1',
    '127.1',
    '1.2.3.4.5',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    'fe80::1%eth0',
    'localhost',
    '*',
    '10.0.0.0/255.0.0.0',
    '10.0.0.0/8.0',
  ])('"%s" is none', (text) => {
    expect(normalNetwork(text)).toBeUndefined();
  });

  it.each([
    [['10.0.0.0/8'], '10.255.0.1', true],
    [['10.0.0.0/8'], '11.0.0.1', false],
    [['10.0.0.0/8'], '::ffff:10.0.0.1', true],
    [['10.0.0.0/8'], '::ffff:0a00:0001', true],
    [['10.0.0.0/8'], '::ffff:11.0.0.1', false],
    [['::ffff:10.0.0.0/104'], '10.9.9.9', true],
    [['2001:db8::/32'], '2001:db8:ffff::1', true],
    [['2001:db8::/32'], '2001:db9::1', false],
    // Every IPv4 address is not every address, nor the other way round.
    [['0.0.0.0/0'], '2001:db8::1', false],
    [['::/0'], '192.0.2.1', false],
    [['192.0.2.1', '2001:db8::1'], '2001:db8::1', true],
    [['192.0.2.1'], '192.0.2.10', false],
    [['0.0.0.0/0', '::/0'], 'unix:', false],
    [['0.0.0.0/0', '::/0'], '', false],
    [['127.0.0.1'], '127.1', false],
    [[], '192.0.2.1', false],
  ])('%j takes in %s: %s', (networks, address, expected) => {
    expect(openNetworks(networks)(address)).toBe(expected);
  });
});
