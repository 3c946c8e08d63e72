// In charge of: requests of a fuzz: every route with what a client may send there, and with what it may not. Pure but for the random numbers.
import { authRequest } from './fuzz-auth.ts';
import { fuzzBody } from './fuzz-bodies.ts';
import { type Draft, type FuzzRequest, type Headers, strangeHeaders, written } from './fuzz-frames.ts';
import { plainRequest } from './fuzz-plain.ts';
import { columnsOf, functions, tables } from './fuzz-project.ts';
import { accept, bodyType, escaped, prefer, queryText, strangeText } from './fuzz-queries.ts';
import type { Random } from './random.ts';

/** What a request may present. The lists change while the fuzz runs. */
export interface Credentials {
  /** The project's keys and legacy keys. */
  readonly keys: readonly string[];
  /** Tokens that hold, and tokens that do not. */
  readonly tokens: readonly string[];
  /** Keys made while it runs: in force, and those that were. */
  readonly issued: string[];
  readonly ended: string[];
  readonly operators: string[];
}

export interface RequestFacts {
  /** As it stands in `Host`. */
  readonly host: string;
  readonly credentials: Credentials;
  /** The bound on a body, so that some are longer. */
  readonly maxBodyBytes: number;
}

export function fuzzRequest(random: Random, facts: RequestFacts): FuzzRequest {
  if (random.chance(0.5)) return written(random, plainRequest(random, facts));
  const draft = random.weighted<Draft>([
    [50, () => tableRequest(random, facts)],
    [20, () => callRequest(random, facts)],
    [4, () => batchRequest(random, facts)],
    [2, () => restDraft(random, facts, random.pick(['GET', 'HEAD', 'OPTIONS', 'POST']), '/', undefined)],
    [10, () => adminRequest(random, facts)],
    [10, () => authRequest(random, facts)],
    [6, () => outsideRequest(random, facts)],
  ]);
  if (random.chance(0.25)) strangeHeaders(random, draft);
  return written(random, draft);
}

function tableRequest(random: Random, facts: RequestFacts): Draft {
  const table = random.chance(0.95) ? random.pick(Object.keys(tables)) : strangeText(random);
  const columns = columnsOf(tables, table, ['id']);
  const method = random.weighted<string>([
    [10, () => 'GET'],
    [2, () => 'HEAD'],
    [4, () => 'POST'],
    [3, () => 'PATCH'],
    [2, () => 'PUT'],
    [3, () => 'DELETE'],
    [1, () => random.pick(['OPTIONS', 'LINK', 'TRACE', 'PROPFIND', 'QUERY', 'PURGE'])],
  ]);
  const query = queryText(random, columns, method);
  const hasBody = !['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method) || random.chance(0.05);
  const type = bodyType(random);
  const body = hasBody ? fuzzBody(random, type, columns, facts.maxBodyBytes) : undefined;
  const draft = restDraft(random, facts, method, `/${table}${query}`, body);
  if (body && random.chance(0.9)) draft.headers.push(['content-type', type]);
  return draft;
}

function callRequest(random: Random, facts: RequestFacts): Draft {
  const name = random.chance(0.95) ? random.pick(Object.keys(functions)) : strangeText(random);
  const parameters = columnsOf(functions, name, ['a']);
  const values = Object.fromEntries(parameters.map((parameter) => [parameter, argument(random, parameter)]));
  if (random.chance(0.5)) {
    const query = Object.entries(values).map(([key, value]) => `${key}=${escaped(random, String(value))}`);
    if (random.chance(0.3)) query.push(queryText(random, ['id', 'title'], 'GET').slice(1));
    const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'DELETE', 'PUT']);
    return restDraft(random, facts, method, `/rpc/${name}?${query.join('&')}`, undefined);
  }
  const type = bodyType(random);
  const body = random.chance(0.7)
    ? Buffer.from(JSON.stringify(parameters[0] === '' ? { x: argument(random, '') } : values))
    : fuzzBody(random, type, parameters, facts.maxBodyBytes);
  const query = random.chance(0.3) ? queryText(random, ['id', 'title', 'n'], 'GET') : '';
  const draft = restDraft(random, facts, 'POST', `/rpc/${name}${query}`, body);
  draft.headers.push(['content-type', random.chance(0.7) ? 'application/json' : type]);
  return draft;
}

function argument(random: Random, parameter: string): unknown {
  if (random.chance(0.1)) return random.pick([null, [], {}, -1, 1e308, '', '\u0000', strangeText(random)]);
  switch (parameter) {
    case 'seconds':
      return random.pick([0, 0.05, 0.3, 6]);
    case 'count':
      return random.pick([0, 10, 5000, 300_000]);
    case 'code':
      return random.pick(sqlStates);
    case 'status':
      return random.pick([200, 204, 299, 404, 418, 500, 503, 599, 99, 1000, 'x']);
    case 'headers':
      return random.pick([
        '[]',
        '[{"x-own": "yes"}]',
        '[{"x-own": "a\\r\\nb"}]',
        '[{"content-length": "1"}]',
        '[{"é\u2603": "\u2603"}]',
        '{"x": 1}',
        'x',
      ]);
    case 'writer':
      return `author ${random.whole(0, 21)}`;
    case 'words':
      return random.pick(['{a,b}', ['a', 'b'], 'a']);
    default:
      return random.pick<unknown>([1, '2', 'word', [1, 2]]);
  }
}

/** Some of each class that the protocol answers in its own way, and some that mean that the database is gone. */
const sqlStates = [
  'P0001',
  '23505',
  '23503',
  '42501',
  '40001',
  '53400',
  '53300',
  '54001',
  '57014',
  '57P01',
  '08006',
  '21000',
  '22023',
  '25006',
  '42883',
  '42P01',
  '42P17',
  '0A000',
  '26000',
  '28000',
  'XX000',
  'HV000',
  'PT402',
  'PT503',
  'PT999',
  'PTxyz',
  'PGRST',
  '00000',
  'zzzzz',
  'P0000',
]; // prettier-ignore

function batchRequest(random: Random, facts: RequestFacts): Draft {
  const items = random.several(0, random.chance(0.05) ? 120 : 6, () => {
    const columns = tables.books!;
    const method = random.pick(['GET', 'GET', 'POST', 'PATCH', 'DELETE', 'PUT', 'HEAD', 'OPTIONS']);
    const path = random.chance(0.7)
      ? `/books${queryText(random, columns, method)}`
      : `/rpc/${random.pick(Object.keys(functions))}?a=1`;
    return {
      method,
      path: random.chance(0.95) ? path : strangeText(random),
      ...(random.chance(0.3) ? { headers: { prefer: prefer(random), accept: accept(random) } } : {}),
      ...(method === 'GET' ? {} : { body: { title: `batch ${random.whole(0, 1e6)}`, year: 1 } }),
    };
  });
  const body = random.chance(0.9)
    ? Buffer.from(JSON.stringify(items))
    : fuzzBody(random, 'application/json', ['method', 'path'], facts.maxBodyBytes);
  const draft = restDraft(random, facts, 'POST', '/', body);
  draft.headers.push(['content-type', 'application/json']);
  return draft;
}

function restDraft(
  random: Random,
  facts: RequestFacts,
  method: string,
  path: string,
  body: Buffer | undefined,
): Draft {
  const headers: Headers = [['host', facts.host]];
  credentials(random, facts, headers);
  if (random.chance(0.4)) headers.push(['prefer', prefer(random)]);
  if (random.chance(0.3)) headers.push(['accept', accept(random)]);
  if (random.chance(0.15))
    headers.push([
      'range',
      random.pick(['0-9', '5-2', '0-', '-5', '10-10', 'items=0-1', 'x', '99999999999999999999-']),
    ]);
  if (random.chance(0.05)) {
    const schema = random.pick(['public', 'graphql_public', 'hidden', 'pg_catalog', '', strangeText(random)]);
    headers.push([random.pick(['accept-profile', 'content-profile']), schema]);
  }
  return { kind: 'rest', method, target: `/rest/v1${path}`, headers, body };
}

function credentials(random: Random, { credentials: known }: RequestFacts, headers: Headers): void {
  const key = () =>
    random.weighted<string>([
      [10, () => random.pick(known.keys)],
      [4, () => known.issued[random.whole(0, known.issued.length - 1)] ?? random.pick(known.keys)],
      [1, () => known.ended[random.whole(0, known.ended.length - 1)] ?? 'millrace_none'],
      [1, () => strangeText(random)],
    ]);
  if (random.chance(0.9)) headers.push(['apikey', key()]);
  if (random.chance(0.4)) {
    const token = random.chance(0.8) ? random.pick(known.tokens) : key();
    headers.push(['authorization', `${random.chance(0.95) ? 'Bearer' : strangeText(random)} ${token}`]);
  }
}

function adminRequest(random: Random, facts: RequestFacts): Draft {
  const setting = random.pick([
    'api.max_rows',
    'gateway.server_timing',
    'gateway.cors.max_age',
    'api.port',
    'auth.jwt_secret',
    'none',
    strangeText(random),
  ]); // prettier-ignore
  const [method, path] = random.pick<readonly [string, string]>([
    ['GET', '/'],
    ['GET', ''],
    ['GET', '/settings'],
    ['GET', `/settings/${setting}`],
    ['PUT', `/settings/${setting}`],
    ['DELETE', `/settings/${setting}`],
    ['GET', '/operators'],
    ['POST', '/operators'],
    ['DELETE', `/operators/${random.pick(['1', '99999', 'x', '9'.repeat(30)])}`],
    [
      'GET',
      `/changes?limit=${random.pick(['1', '200', '0', 'x'])}&before=${random.pick(['1', '', 'x', '9'.repeat(20)])}`,
    ],
    ['GET', '/metrics'],
    ['GET', '/status'],
    ['GET', '/keys'],
    ['POST', '/keys'],
    ['POST', `/keys/${random.pick(['0123456789ab', 'x', '%00', '%ff'])}/rotate`],
    ['DELETE', `/keys/${random.pick(['0123456789ab', 'x', '%00'])}`],
    ['GET', `/${strangeText(random)}`],
  ]);
  const headers: Headers = [['host', facts.host]];
  if (random.chance(0.8)) {
    const { operators, keys, tokens } = facts.credentials;
    const token = random.chance(0.7) ? operators[random.whole(0, operators.length - 1)] : undefined;
    headers.push([
      'authorization',
      `Bearer ${token ?? random.pick([...keys, ...tokens, 'mro_x', strangeText(random)])}`,
    ]);
  }
  const given = random.pick<unknown>([
    { value: random.pick<unknown>([1, 100, true, '60', null, [], 'x'.repeat(70_000)]) },
    {
      name: `fuzz-${random.whole(0, 1e9)}`,
      scopes: random.pick([['read'], ['metrics', 'read'], ['x'], []]),
      expires_in_days: 1,
    },
    {
      name: `fuzz-${random.whole(0, 1e9)}`,
      role: random.pick(['anon', 'postgres', '', 'x\0']),
      expires_in_seconds: 5,
    },
    { overlap_seconds: random.pick<unknown>([0, -1, 'x', 1e300]) },
  ]);
  const body =
    method === 'GET' && random.chance(0.95)
      ? undefined
      : random.chance(0.8)
        ? Buffer.from(JSON.stringify(given))
        : fuzzBody(random, 'application/json', ['value', 'name'], facts.maxBodyBytes);
  const asked = random.chance(0.9) ? method : random.pick(['HEAD', 'PATCH', 'OPTIONS', 'POST', 'TRACE']);
  return { kind: 'admin', method: asked, target: `/admin/v1${path}`, headers, body };
}

function outsideRequest(random: Random, facts: RequestFacts): Draft {
  const target = random.pick([
    '/',
    '/',
    '/health',
    '/health',
    '/ready',
    '/ready',
    '/example/',
    '/favicon.ico',
    '/.well-known/acme-challenge/token',
    '/.well-known/acme-challenge/..%2f..%2fetc',
    '/.well-known/jwks.json',
    '/rest/v1x',
    '/rest',
    '/rest/v1/../../health',
    '//',
    '/%00',
    '/%',
    '/../..',
    '*',
    `/${strangeText(random)}`,
  ]); // prettier-ignore
  const headers: Headers = [['host', facts.host]];
  if (random.chance(0.5))
    headers.push(['accept', random.pick(['text/html', '*/*', 'application/json', ','])]);
  if (random.chance(0.2)) credentials(random, facts, headers);
  const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE', 'PUT', 'CONNECT']);
  const kind = target === '/health' ? 'health' : target === '/ready' ? 'ready' : 'outside';
  const body =
    method === 'POST' || method === 'PUT'
      ? fuzzBody(random, 'text/plain', ['x'], facts.maxBodyBytes)
      : undefined;
  return { kind: target.includes('..') ? 'broken' : kind, method, target, headers, body };
}
