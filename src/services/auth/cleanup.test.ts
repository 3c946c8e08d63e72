// In charge of: which rows of auth's tables go, and which stay.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Database } from '../../engine/db/database.ts';
import { cleanUp } from './cleanup.ts';

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
});
afterAll(async () => {
  await database?.close();
  await test?.[Symbol.asyncDispose]();
});

const rules = {
  cleanupEnabled: true,
  cleanupAnonymousDays: 0,
  timeboxSeconds: 0,
  inactivitySeconds: 0,
};
const [user, factor, provider] = [randomUUID(), randomUUID(), randomUUID()];
async function run(sql: string): Promise<readonly Record<string, unknown>[]> {
  const { rows } = await database.db.asOwner('supabase_auth_admin', (client) => client.query(sql));
  return rows;
}
const ago = (span: string) => `now() - interval '${span}'`;
/** Every row is known by a word in a text of its own. */
const left = async (sql: string) => (await run(sql)).map(({ word }) => word);

beforeEach(async () => {
  await run(`truncate auth.users, auth.flow_state, auth.oauth_client_states, auth.sso_providers cascade;
    insert into auth.users (id, instance_id, created_at) values ('${user}', '00000000-0000-0000-0000-000000000000', ${ago('9 years')});
    insert into auth.sso_providers (id) values ('${provider}')`);
});

async function session(word: string, facts: Readonly<Record<string, string>> = {}): Promise<string> {
  const id = randomUUID();
  const all = { id: `'${id}'`, user_id: `'${user}'`, tag: `'${word}'`, ...facts };
  await run(`insert into auth.sessions (${Object.keys(all)}) values (${Object.values(all)})`);
  return id;
}
const token = (word: string, session: string | undefined, revoked: boolean, at: string) =>
  run(`insert into auth.refresh_tokens (token, session_id, revoked, updated_at)
    values ('${word}', ${session ? `'${session}'` : 'null'}, ${revoked}, ${at})`);

it('refresh tokens go thirty days after their use, and never before it', async () => {
  const id = await session('alive');
  await token('used long ago', id, true, ago('31 days'));
  await token('just used', id, true, ago('29 days'));
  await token('unused', id, false, ago('9 years'));
  await cleanUp(database.db, rules);
  expect(await left('select token as word from auth.refresh_tokens order by id')).toEqual([
    'just used',
    'unused',
  ]);
});

it('sessions with an end go three days after it, their tokens before', async () => {
  const ended = await session('ended yesterday', { not_after: ago('25 hours') });
  await session('ended long ago', { not_after: ago('73 hours') });
  await session('going on', { created_at: ago('9 years') });
  await token('of the one that ended', ended, false, ago('9 years'));
  await cleanUp(database.db, rules);
  expect(await left('select tag as word from auth.sessions order by tag')).toEqual([
    'ended yesterday',
    'going on',
  ]);
  expect(await run('select token, revoked from auth.refresh_tokens')).toEqual([
    { token: 'of the one that ended', revoked: true },
  ]);
});

it('sessions beyond the timebox, and those that nobody has refreshed for long, go a day later', async () => {
  const utc = (span: string) => `(now() at time zone 'utc') - interval '${span}'`;
  await session('too old', { created_at: ago('26 hours'), refreshed_at: utc('1 minute') });
  await session('old', { created_at: ago('24 hours'), refreshed_at: utc('1 minute') });
  await session('idle', { created_at: ago('24 hours'), refreshed_at: utc('25 hours') });
  const unrefreshed = await session('never refreshed', { created_at: ago('24 hours') });
  await token('waiting', unrefreshed, false, ago('25 hours'));
  const sessions = 'select tag as word from auth.sessions order by tag';
  await cleanUp(database.db, rules);
  expect(await left(sessions)).toEqual(['idle', 'never refreshed', 'old', 'too old']);
  await cleanUp(database.db, { ...rules, timeboxSeconds: 3600, inactivitySeconds: 600 });
  expect(await left(sessions)).toEqual(['old']);
});

it('what was begun goes a day later: sign-ins, challenges, factors that were not proven', async () => {
  for (const [word, at] of [
    ['old', ago('25 hours')],
    ['new', ago('23 hours')],
  ] as const)
    await run(`
      insert into auth.flow_state (id, provider_type, authentication_method, created_at) values (gen_random_uuid(), '${word}', 'oauth', ${at});
      insert into auth.oauth_client_states (id, provider_type, created_at) values (gen_random_uuid(), '${word}', ${at});
      insert into auth.saml_relay_states (id, sso_provider_id, request_id, created_at) values (gen_random_uuid(), '${provider}', '${word}', ${at});
      insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, created_at, updated_at)
        values (gen_random_uuid(), '${user}', '${word}', 'totp', 'unverified', ${at}, ${at})`);
  await run(`
    insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, created_at, updated_at)
      values ('${factor}', '${user}', 'proven', 'totp', 'verified', ${ago('9 years')}, now());
    insert into auth.mfa_challenges (id, factor_id, created_at, ip_address, otp_code) values
      (gen_random_uuid(), '${factor}', ${ago('25 hours')}, '::1', 'old'), (gen_random_uuid(), '${factor}', ${ago('23 hours')}, '::1', 'new');
    insert into auth.webauthn_challenges (challenge_type, session_data, expires_at) values
      ('signup', '"over"', ${ago('1 second')}), ('signup', '"open"', now() + interval '1 hour')`);
  await cleanUp(database.db, rules);
  expect({
    flows: await left('select provider_type as word from auth.flow_state'),
    states: await left('select provider_type as word from auth.oauth_client_states'),
    relays: await left('select request_id as word from auth.saml_relay_states'),
    factors: await left('select friendly_name as word from auth.mfa_factors order by 1'),
    challenges: await left('select otp_code as word from auth.mfa_challenges'),
    passkeys: await left('select session_data as word from auth.webauthn_challenges'),
  }).toEqual({
    flows: ['new'],
    states: ['new'],
    relays: ['new'],
    factors: ['new', 'proven'],
    challenges: ['new'],
    passkeys: ['open'],
  });
});

it('users go only when they are anonymous, old, and the project says so', async () => {
  await run(`insert into auth.users (id, instance_id, role, is_anonymous, created_at) values
    (gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'old', true, ${ago('31 days')}),
    (gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'new', true, ${ago('29 days')})`);
  const users = "select coalesce(role, 'named') as word from auth.users order by 1";
  await cleanUp(database.db, rules);
  expect(await left(users)).toEqual(['named', 'new', 'old']);
  await cleanUp(database.db, { ...rules, cleanupAnonymousDays: 30 });
  expect(await left(users)).toEqual(['named', 'new']);
});

it('takes more than a handful in one run, leaves what somebody is at, and nothing goes where it is off', async () => {
  await run(`insert into auth.refresh_tokens (token, revoked, updated_at)
    select 'old ' || n, true, ${ago('31 days')} from generate_series(1, 250) n`);
  const count = async () => (await run('select count(*)::int as word from auth.refresh_tokens'))[0]?.word;
  await cleanUp(database.db, { ...rules, cleanupEnabled: false });
  expect(await count()).toBe(250);
  await database.db.asOwner('supabase_auth_admin', async (client) => {
    await client.query('begin');
    await client.query("select from auth.refresh_tokens where token = 'old 7' for update");
    await cleanUp(database.db, rules);
    await client.query('rollback');
  });
  expect(await left('select token as word from auth.refresh_tokens')).toEqual(['old 7']);
});
