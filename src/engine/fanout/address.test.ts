// In charge of: what may stand in `[fanout].url`.
import { expect, it } from 'vitest';
import { parseBrokerUrl } from './address.ts';

const defaults = { isEncrypted: false, user: '', password: '' };

it.each([
  ['nats://broker', { ...defaults, kind: 'nats', host: 'broker', port: 4222, shown: 'nats://broker:4222' }],
  [
    'tls://me:p%40ss@broker:4443',
    {
      kind: 'nats',
      host: 'broker',
      port: 4443,
      isEncrypted: true,
      user: 'me',
      password: 'p@ss',
      shown: 'tls://broker:4443',
    },
  ],
  [
    'nats://token@[::1]:4222',
    { ...defaults, kind: 'nats', host: '::1', port: 4222, password: 'token', shown: 'nats://[::1]:4222' },
  ],
  [
    'redis://:word@10.0.0.1',
    {
      ...defaults,
      kind: 'redis',
      host: '10.0.0.1',
      port: 6379,
      password: 'word',
      shown: 'redis://10.0.0.1:6379',
    },
  ],
  [
    'valkeys://me:word@broker:1/',
    {
      kind: 'redis',
      host: 'broker',
      port: 1,
      isEncrypted: true,
      user: 'me',
      password: 'word',
      shown: 'valkeys://broker:1',
    },
  ],
] as const)('reads %s', (url, address) => {
  expect(parseBrokerUrl(url)).toEqual(address);
});

it.each([
  'broker:4222',
  'http://broker:4222',
  'nats://',
  'nats://broker:0',
  'nats://%zz@broker',
  // They would be overlooked.
  'redis://broker/5',
  'redis://broker?ssl=true',
  5,
])('refuses %s', (url) => {
  expect(parseBrokerUrl(url)).toBeUndefined();
});
