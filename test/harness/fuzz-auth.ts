// In charge of: a fuzz's requests to the auth API: every route of its table, with what it takes and with what it does not.
import { routes } from '../../src/services/auth/routes/table.ts';
import { fuzzBody } from './fuzz-bodies.ts';
import type { Draft, Headers } from './fuzz-frames.ts';
import { strangeText } from './fuzz-queries.ts';
import type { RequestFacts } from './fuzz-requests.ts';
import type { Random } from './random.ts';

const person = '11111111-1111-4111-8111-111111111111';

export function authRequest(random: Random, facts: RequestFacts): Draft {
  const { keys, tokens, issued, ended } = facts.credentials;
  const { method, pattern } = random.pick(routes);
  const path = pattern
    .replace(/:\w+/g, () =>
      random.pick([person, 'x', '%00', '%ff', encodeURIComponent(strangeText(random)) || 'y']),
    )
    .replace('*', 'x');
  const headers: Headers = [['host', facts.host]];
  if (random.chance(0.95)) headers.push(['apikey', random.pick([...keys, ...issued, ...ended])]);
  if (random.chance(0.5)) headers.push(['authorization', `Bearer ${random.pick([...tokens, ...keys])}`]);
  if (random.chance(0.2))
    headers.push(['x-supabase-api-version', random.pick(['2024-01-01', '2020-01-01', 'x'])]);
  const isRead = method === 'GET' || method === 'DELETE';
  const body = isRead && random.chance(0.9) ? undefined : bodyOf(random, facts.maxBodyBytes);
  if (body !== undefined) headers.push(['content-type', random.pick(contentTypes)]);
  const asked = random.chance(0.95) ? method : random.pick(['HEAD', 'PATCH', 'OPTIONS', 'POST', 'DELETE']);
  return { kind: 'auth', method: asked, target: `/auth/v1${path}${queryOf(random)}`, headers, body };
}

const contentTypes = [
  'application/json',
  'application/json',
  'application/json',
  'application/x-www-form-urlencoded',
  'text/plain',
] as const;

function bodyOf(random: Random, maxBodyBytes: number): Buffer {
  const email = `person-${random.whole(1, 20)}@example.com`;
  const given: Readonly<Record<string, unknown>> = {
    email,
    password: random.pick([
      'correct horse battery',
      'short',
      '',
      'x'.repeat(100),
      '\u0000\u0000\u0000\u0000\u0000\u0000',
    ]),
    phone: '+4930123456',
    data: random.pick<unknown>([{ name: 'x' }, { name: '\u0000' }, [], null, 'x']),
    token: random.pick(['123456', 'x', '']),
    token_hash: strangeText(random),
    type: random.pick(['signup', 'magiclink', 'recovery', 'email_change', 'email', 'invite', 'x']),
    refresh_token: random.pick(['abcdefghijkl', '', '\u0000', strangeText(random)]),
    auth_code: person,
    code_verifier: 'x'.repeat(43),
    code_challenge: 'x'.repeat(43),
    code_challenge_method: random.pick(['s256', 'plain', 'x']),
    nonce: '123456',
    redirect_to: random.pick(['http://127.0.0.1/', 'x', 'javascript:alert(1)']),
    role: random.pick(['authenticated', 'x', '\u0000']),
    ban_duration: random.pick(['1h', 'none', 'x']),
    app_metadata: { provider: 'x' },
    email_confirm: true,
    should_soft_delete: true,
    ...ofFactors(random),
    ...ofOthers(random),
  };
  const fields = Object.entries(given).filter(([name]) =>
    random.chance(name === 'email' || name === 'password' ? 0.7 : 0.2),
  );
  const odd = fields.map(([name, value]) => [
    name,
    random.chance(0.1) ? random.pick<unknown>([1, null, {}, [], true, strangeText(random)]) : value,
  ]);
  return random.chance(0.85)
    ? Buffer.from(JSON.stringify(Object.fromEntries(odd)))
    : fuzzBody(random, 'application/json', Object.keys(given), maxBodyBytes);
}

/** Second factors, passkeys, text messages. */
function ofFactors(random: Random): Readonly<Record<string, unknown>> {
  return {
    factor_type: random.pick(['totp', 'phone', 'webauthn', 'x', '']),
    friendly_name: random.pick(['mine', '', strangeText(random)]),
    issuer: random.pick(['https://accounts.google.com', 'x', '']),
    challenge_id: random.pick([person, 'x', '']),
    code: random.pick(['123456', '000000', 'x', '']),
    channel: random.pick(['sms', 'whatsapp', 'x']),
    webauthn: random.pick<unknown>([
      { rpId: 'localhost', rpOrigins: ['http://localhost'], type: 'create' },
      { rpId: 'localhost', type: 'x', credential_response: {} },
      {},
    ]),
    credential: random.pick<unknown>([
      {
        id: 'AA',
        rawId: 'AA',
        type: 'public-key',
        response: { clientDataJSON: 'e30', attestationObject: 'oA' },
      },
      { id: 'AA', response: {} },
      {},
    ]),
    credential_response: { id: 'AA', rawId: 'AA', type: 'public-key', response: { clientDataJSON: 'e30' } },
  };
}

/** Providers, single sign-on, wallets, the OAuth server. */
function ofOthers(random: Random): Readonly<Record<string, unknown>> {
  return {
    provider: random.pick(['google', 'apple', 'custom:x', 'x', '__proto__']),
    id_token: random.pick(['a.b.c', 'x', 'eyJhbGciOiJub25lIn0.e30.']),
    access_token: 'x',
    message: random.pick([
      'localhost wants you to sign in with your Ethereum account:\n0x0',
      strangeText(random),
    ]),
    signature: random.pick(['0x00', `0x${'ab'.repeat(65)}`, 'x']),
    chain: random.pick(['ethereum', 'solana', 'x']),
    domain: random.pick(['example.com', strangeText(random)]),
    provider_id: random.pick([person, 'x']),
    metadata_xml: random.pick([
      '<x/>',
      '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
      'x',
    ]),
    domains: random.pick<unknown>([['example.com'], [1], 'x']),
    attribute_mapping: random.pick<unknown>([{ keys: { email: { name: 'mail' } } }, { keys: 1 }, {}]),
    client_name: random.pick(['an application', '', 'x'.repeat(2000)]),
    redirect_uris: random.pick<unknown>([
      ['https://example.com/back'],
      ['javascript:alert(1)'],
      ['x'],
      [1],
      [],
    ]),
    grant_types: random.pick<unknown>([['authorization_code'], ['x']]),
    grant_type: random.pick(['authorization_code', 'refresh_token', 'x']),
    client_id: random.pick([person, 'x']),
    client_secret: 'x',
    action: random.pick(['approve', 'deny', 'x']),
    identifier: random.pick(['custom:one', 'x']),
    provider_type: random.pick(['oauth2', 'oidc', 'x']),
    gotrue_meta_security: random.pick<unknown>([{ captcha_token: 'x' }, {}, 'x']),
  };
}

function queryOf(random: Random): string {
  const pairs = random.several(0, 3, () =>
    random.pick([
      `grant_type=${random.pick(['password', 'refresh_token', 'pkce', 'id_token', 'web3', 'x', ''])}`,
      `type=${random.pick(['signup', 'recovery', 'email_change', 'x'])}`,
      `token=${encodeURIComponent(strangeText(random))}`,
      'token=%00',
      `redirect_to=${random.pick(['http%3A%2F%2F127.0.0.1%2F', 'x', '%ff', '//example.com'])}`,
      `scope=${random.pick(['global', 'local', 'others', 'x'])}`,
      `page=${random.pick(['1', '0', '-1', 'x', '99999999999999999999'])}`,
      `per_page=${random.pick(['1', '0', 'x', '1000000'])}`,
      `query=${encodeURIComponent(strangeText(random))}`,
      `provider=${random.pick(['google', 'keycloak', 'custom%3Ax', 'x', 'constructor'])}`,
      `scopes=${encodeURIComponent(strangeText(random))}`,
      `state=${random.pick(['x', person, 'a.b.c', '%00'])}`,
      `code=${random.pick(['x', person, '%00'])}`,
      `client_id=${random.pick([person, 'x', '%00'])}`,
      `redirect_uri=${random.pick(['https%3A%2F%2Fexample.com%2Fback', 'x', '%00'])}`,
      `response_type=${random.pick(['code', 'x'])}`,
      `code_challenge=${'x'.repeat(43)}&code_challenge_method=${random.pick(['s256', 'plain', 'x'])}`,
      strangeText(random),
    ]),
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}
