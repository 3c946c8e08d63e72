// In charge of: which addresses get mails, by what a project lists and by what is known of them.
import { describe, expect, it } from 'vitest';
import type { MailHosts } from '../../../engine/egress/mail-hosts.ts';
import { type AuthSettings, settings } from '../settings.ts';
import { refuseInvalid, refuseUnauthorized } from './addresses.ts';

// Sound: the default of each.
const defaults = Object.fromEntries(
  Object.entries(settings).map(([name, { default: value }]) => [name, value]),
) as unknown as AuthSettings;

const dns: Readonly<Record<string, MailHosts>> = {
  'fine.com': ['mx.fine.com'],
  'blocked.com': ['mx.other.com', 'mx.throwaway.com'],
  'blocked-dot.com': ['mx.throwaway.com.'],
  'itself.com': ['192.0.2.7'],
  'gone.com': 'none',
  'slow.com': 'unknown',
};
const findMailHosts = async (domain: string) => dns[domain] ?? 'none';
const nobody = { fetch: () => Promise.reject(new Error('nobody is asked')) };

describe('an address that is looked at', () => {
  const extended = {
    ...defaults,
    validationExtended: true,
    validationBlockedMx: ['mx.throwaway.com', '192.0.2.9'],
  };
  const judge = (address: string, config: AuthSettings = extended) =>
    refuseInvalid({ egress: nobody, findMailHosts }, config, address).then(
      () => 'fine',
      ({ status, code, message }) => `${status} ${code} ${message}`,
    );

  it.each([
    'ada@fine.com',
    'ada@itself.com',
    'ada@slow.com',
    // Known to so many that nobody asks.
    'somebody@gmail.com',
    'ada@outlook.com',
  ])('that is %s gets its mail', async (address) => {
    expect(await judge(address)).toBe('fine');
  });

  it.each([
    'test@gmail.com',
    'short@gmail.com',
    'ada@example.com',
    'ada@Example.ORG',
    'ada@host.test',
    'ada@localhost',
    'ada@single',
    'ada@gone.com',
    'ada@gamil.com',
    'a..b@fine.com',
    '.a@fine.com',
    'a.@fine.com',
    // Upstream answers 500 to these two.
    'ada@blocked.com',
    'ada@blocked-dot.com',
  ])('that is %s does not', async (address) => {
    expect(await judge(address)).toBe(
      `400 email_address_invalid Email address ${JSON.stringify(address)} is invalid`,
    );
  });

  it('is not where nobody wants that', async () => {
    expect(await judge('test@example.com', defaults)).toBe('fine');
  });
});

describe('a service that is asked', () => {
  it.each<[string, number, string, 'fine' | 'invalid']>([
    ['says no', 200, '{"valid":false}', 'invalid'],
    ['says yes', 200, '{"valid":true}', 'fine'],
    ['says nothing', 200, '{}', 'fine'],
    ['is broken', 500, '{"valid":false}', 'fine'],
    ['answers garbage', 200, 'x', 'fine'],
  ])('and %s', async (_, status, answer, verdict) => {
    const asked: unknown[] = [];
    const egress = {
      async fetch(url: string | URL, request?: object) {
        asked.push([url, request]);
        return { status, headers: {}, body: Buffer.from(answer), url: String(url) };
      },
    };
    const config = {
      ...defaults,
      validationServiceUrl: 'https://valid.example.com/',
      validationServiceHeaders: { 'X-Api-Key': ['one', 'two'] },
    };
    const found = await refuseInvalid({ egress, findMailHosts }, config, 'ada@nowhere.test').then(
      () => 'fine',
      () => 'invalid',
    );
    expect(found).toBe(verdict);
    expect(asked).toEqual([
      [
        'https://valid.example.com/',
        {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-api-key': 'two' },
          body: '{"email":"ada@nowhere.test"}',
          timeoutMs: 3000,
          maxResponseBytes: 1024,
        },
      ],
    ]);
  });
});

describe('addresses that a project lists', () => {
  const config = { ...defaults, authorizedAddresses: ['Ada@Team.example.com', 'bob@team.example.com'] };

  it.each([[['ada@team.example.com']], [['ada+1@team.example.com', 'BOB@team.example.com']], [['']], [[]]])(
    'let %j through',
    (addresses) => {
      expect(() => refuseUnauthorized(config, addresses)).not.toThrow();
    },
  );

  it.each([[['eve@team.example.com']], [['ada@team.example.com', 'eve@team.example.com']]])(
    'do not let %j',
    (addresses) => {
      expect(() => refuseUnauthorized(config, addresses)).toThrow(
        'Email address "eve@team.example.com" cannot be used as it is not authorized',
      );
    },
  );
});
