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
  if (body !== undefined)
    headers.push(['content-type', random.pick(['application/json', 'application/json', 'text/plain'])]);
  const asked = random.chance(0.95) ? method : random.pick(['HEAD', 'PATCH', 'OPTIONS', 'POST', 'DELETE']);
  return { kind: 'auth', method: asked, target: `/auth/v1${path}${queryOf(random)}`, headers, body };
}

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
      strangeText(random),
    ]),
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}
