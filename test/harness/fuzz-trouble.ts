// In charge of: what happens to a backend while it is fuzzed: settings, keys and operators change, the schema changes, sessions end, tables are locked.
import type pg from 'pg';
import { openOperatorClient } from '../../src/server/cli/operator-client.ts';
import type { RunningBackend } from './backend.ts';
import type { Credentials } from './fuzz-requests.ts';
import type { Random } from './random.ts';
import { openSession } from './sessions.ts';

export interface Trouble {
  /** One of them, chosen by chance; ends when it is over. */
  next(): Promise<void>;
  /** Every setting as the files have it, and the schema as the fuzz knows it. */
  calm(): Promise<void>;
  /** How often each was made. */
  readonly made: ReadonlyMap<string, number>;
}

export interface TroubleFacts {
  readonly folder: string;
  readonly backend: RunningBackend;
  /** As `supabase_admin`: the sessions that it ends belong to many roles. */
  readonly superuser: pg.Client;
  readonly credentials: Credentials;
  readonly random: Random;
  readonly complain: (sentence: string) => void;
}

interface Key {
  readonly id: string;
  readonly text: string;
}

const kept = 20;
/** More than so many settings at once would leave little that is answered. */
const maxChanged = 3;

export async function openTrouble(facts: TroubleFacts): Promise<Trouble> {
  const { folder, backend, superuser, credentials, random, complain } = facts;
  const client = await openOperatorClient(folder);
  const made = new Map<string, number>();
  const keys: Key[] = [];
  const changed: string[] = [];
  const operators: { id: string; token: string }[] = [];

  /** The body of what was done; undefined when it was refused as it may be while sessions end. */
  async function operate(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Record<string, unknown> | undefined> {
    const { status, body: said } = await client.request(method, path, body);
    // Sound: every answer of the operator plane that is asked for here is an object.
    const answer = said as Record<string, unknown>;
    if (status < 300) return answer;
    const isKnown =
      status < 500 || (status === 503 && /^database_(?:unavailable|busy)$/.test(String(answer.code)));
    if (!isKnown) complain(`operator: ${method} ${path} → ${status} ${JSON.stringify(said)}`);
    return undefined;
  }

  async function sql(text: string): Promise<void> {
    const session = await openSession(backend, `set lock_timeout = '2s'; ${text}`).catch((error: unknown) => {
      // A lock that was not had, or what an earlier change has left: the next one has another chance.
      if (!/lock timeout|already exists|does not exist|deadlock|terminat/.test(String(error)))
        complain(`DDL: ${text}: ${error}`);
    });
    await session?.end();
  }

  async function set(): Promise<void> {
    const [key, values] = random.pick(settings);
    await operate('PUT', `/settings/${key}`, { value: random.pick(values) });
    changed.push(key);
    if (changed.length > maxChanged) await takeBack();
  }

  async function takeBack(): Promise<void> {
    const key = changed.shift();
    if (key !== undefined) await operate('DELETE', `/settings/${key}`);
  }

  async function issue(): Promise<void> {
    const role = random.pick(['anon', 'authenticated', 'service_role']);
    const key = await operate('POST', '/keys', {
      name: `fuzz-${random.whole(0, 1e9)}`,
      role,
      expires_in_seconds: random.pick([2, 30, 3600]),
      ...(random.chance(0.3) ? { tables: ['books', 'authors'] } : {}),
      ...(random.chance(0.2) ? { addresses: ['127.0.1.0/24'] } : {}),
    });
    if (key) remember({ id: String(key.id), text: String(key.key) });
  }

  function remember(key: Key): void {
    keys.push(key);
    credentials.issued.push(key.text);
    if (keys.length > kept) forget(0);
  }

  function forget(index: number): void {
    keys.splice(index, 1);
    credentials.ended.push(...credentials.issued.splice(index, 1));
    if (credentials.ended.length > kept) credentials.ended.shift();
  }

  async function rotate(): Promise<void> {
    const index = random.whole(0, keys.length - 1);
    const old = keys[index];
    if (!old) return issue();
    const key = await operate('POST', `/keys/${old.id}/rotate`, { overlap_seconds: random.pick([0, 1, 60]) });
    forget(index);
    if (key) remember({ id: String(key.id), text: String(key.key) });
  }

  async function revoke(): Promise<void> {
    const index = random.whole(0, keys.length - 1);
    const old = keys[index];
    if (!old) return issue();
    await operate('DELETE', `/keys/${old.id}`);
    forget(index);
  }

  async function appoint(): Promise<void> {
    const scopes = random.pick([
      ['read'],
      ['metrics'],
      ['settings'],
      ['keys', 'read'],
      ['read', 'metrics', 'settings', 'keys', 'operators'],
    ]);
    const token = await operate('POST', '/operators', {
      name: `fuzz-${random.whole(0, 1e9)}`,
      scopes,
      expires_in_days: 1,
    });
    if (token) operators.push({ id: String(token.id), token: String(token.token) });
    if (operators.length > 5) await operate('DELETE', `/operators/${operators.shift()!.id}`);
    // The last one that was revoked stays in use.
    credentials.operators.splice(0, Math.max(0, credentials.operators.length - 6));
    if (token) credentials.operators.push(String(token.token));
  }

  const end = (condition: string, call = 'pg_terminate_backend') =>
    superuser
      .query(
        `select ${call}(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and ${condition}`,
      )
      .then(() => {});

  const troubles: readonly (readonly [weight: number, name: string, make: () => Promise<void>])[] = [
    [6, 'setting', set],
    [4, 'setting taken back', takeBack],
    [2, 'key made', issue],
    [1, 'key rotated', rotate],
    [1, 'key revoked', revoke],
    [1, 'operator', appoint],
    [5, 'DDL', () => sql(random.pick(changes))],
    [2, 'one session ended', () => end(`usename = 'authenticator' and pid % 4 = ${random.whole(0, 3)}`)],
    [1, 'all sessions ended', () => end(`usename in ('authenticator', 'millrace_admin')`)],
    [1, 'listener ended', () => end(`application_name = 'millrace listen'`)],
    [
      2,
      'queries cancelled',
      () => end(`usename = 'authenticator' and state = 'active'`, 'pg_cancel_backend'),
    ],
    [
      1,
      'table locked',
      () =>
        sql(
          `begin; lock table public.books in access exclusive mode; select pg_sleep(${random.pick([0.1, 0.5, 1.5])}); commit`,
        ),
    ],
  ];

  return {
    made,
    async next() {
      const [name, make] = random.weighted(
        troubles.map(([weight, ...trouble]) => [weight, () => trouble] as const),
      );
      made.set(name, (made.get(name) ?? 0) + 1);
      try {
        await make();
      } catch (error) {
        complain(`${name}: ${error}`);
      }
    },
    async calm() {
      // Also those that the fuzz itself has set, as an operator.
      const answer = await operate('GET', '/settings');
      if (answer === undefined) complain('the settings cannot be read when all is quiet');
      const all = (answer?.settings ?? []) as { key: string; layer: string }[];
      for (const { key, layer } of all) if (layer === 'run time') await operate('DELETE', `/settings/${key}`);
    },
  };
}

/** Each with values that make a difference, and some that are refused. */
const settings: readonly (readonly [key: string, values: readonly unknown[]])[] = [
  ['api.max_rows', [0, 1, 50, -1, 'x']],
  ['api.aggregates_enabled', [true, false]],
  ['api.plan_enabled', [true, false]],
  ['api.tx_end', ['commit', 'commit-allow-override', 'rollback', 'x']],
  ['api.openapi_mode', ['follow-privileges', 'ignore-privileges', 'disabled']],
  ['api.client_error_verbosity', ['verbose', 'minimal']],
  ['api.pre_request', ['before', 'public.before', 'none', '']],
  ['api.root_spec', ['echo', '']],
  ['api.schemas', [['public'], ['public', 'graphql_public'], ['none'], []]],
  ['api.extra_search_path', [['public', 'extensions'], []]],
  ['api.server_trace_header', ['x-trace', 'X-Request-Id', '']],
  ['api.url_use_legacy_target_names', [true, false]],
  ['api.app_settings', [{ 'app.settings.a': 'b' }, {}]],
  ['gateway.server_timing', [true, false]],
  ['gateway.max_body_bytes', [1024, 100_000, 1]],
  ['gateway.max_url_bytes', ['2KiB', '24KiB']],
  ['gateway.request_timeout', ['2s', '5s', '0s']],
  ['gateway.without_key', ['anonymous', 'refused']],
  ['gateway.cors.origins', [['https://example.com'], ['*'], ['x y']]],
  ['gateway.cors.credentials', [true, false]],
  ['gateway.secure_headers', [true, false]],
  ['gateway.slow_grace', ['1s', '10s']],
  ['gateway.shed_target', ['20ms', '500ms']],
  ['gateway.remote_operators', [true, true, false]],
  ['gateway.trusted_proxies', [['127.0.0.0/8'], [], ['x']]],
  ['gateway.forwarded_header', ['forwarded', 'x-forwarded-for']],
  ['gateway.limits.enabled', [true, false]],
  ['gateway.limits.per_key', ['50/10s', '1000000/10s', 'off']],
  ['gateway.limits.per_caller', ['20/10s', '5000/10s']],
  [
    'gateway.limits.rules',
    [{ tight: { path: '/rest/v1/rpc/*', by: 'route', rate: '20/1s', on_store_failure: 'refuse' } }, {}],
  ],
  ['gateway.quotas', [{ few: { by: 'key', per: 'day', amount: 100_000, on_store_failure: 'refuse' } }, {}]],
  ['gateway.rules', [{ none: { action: 'deny', path: '/rest/v1/loans' } }, {}, { x: {} }]],
  ['gateway.routes', [{ small: { path: '/rest/v1/books', max_body_bytes: 2_000, timeout: '1s' } }, {}]],
];

const changes = [
  'alter table public.books add column if not exists extra int default 1',
  'alter table public.books drop column if exists extra',
  'create table if not exists public.passing (id int primary key, word text); grant all on public.passing to anon, service_role',
  'drop table if exists public.passing',
  ...['bigint', 'int'].map(
    (type) => `drop view if exists public.old_books;
      alter table public.books alter column year type ${type} using year % 1000000;
      create view public.old_books as select id, title, author_id from public.books where year < 1950;
      grant all on public.old_books to anon, authenticated, service_role`,
  ),
  'create or replace function public.passing_by(wanted int) returns setof public.books stable language sql as $$ select * from public.books where id = wanted $$',
  'drop function if exists public.passing_by(int)',
  'alter table public.loans rename column since to lent_since',
  'alter table public.loans rename column lent_since to since',
  'revoke insert on public.books from anon',
  'grant insert on public.books to anon',
  // What the fuzz wrote would slow it down.
  'delete from public.books where id > 1000',
  `notify pgrst, 'reload schema'`,
  'analyze public.books',
];
