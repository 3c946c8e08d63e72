// In charge of: channels of whom the project lets in no longer: signed out, ended, banned, deleted, another password, a key that was revoked. They are
// told and closed within seconds, on whatever process they are, and everybody else's go on.
import { createClient, type RealtimeChannel, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import type { PostgresServer } from '../src/engine/db/postgres/server.ts';
import { openPostgres } from '../src/engine/db/postgres/supervisor.ts';
import { makeFolder, removeFolder } from '../src/engine/db/postgres/test-support.ts';
import { type OperatorClient, openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';
import { changeSettings } from './harness/live-settings.ts';
import { answerTo, openPhoenixSocket } from './harness/phoenix-socket.ts';
import { personToken } from './harness/tokens.ts';

let folder: string;
let server: PostgresServer;
let project: Awaited<ReturnType<typeof makeProject>>;
/** Two processes over one database: people sign in and out at the one, and have their channels at the other. */
let doors: RunningBackend;
let rooms: RunningBackend;
let operator: OperatorClient;
let admin: SupabaseClient;

const password = 'correct horse';
const options = { auth: { persistSession: false, autoRefreshToken: false } };

beforeAll(async () => {
  folder = await makeFolder();
  server = await openPostgres({ project: folder, port: 0, password: 'unused', observe: () => {} });
  for (const sql of [`create role owner login superuser password 'owner-pw'`, 'create database shared'])
    await withClient({ ...server.login('supabase_admin'), database: 'postgres' }, (client) =>
      client.query(sql),
    );
  project = await makeProject({
    'supabase/config.toml':
      'project_id = "sessions"\n[auth.rate_limit]\nsign_in_sign_ups = 1000\n[storage]\nenabled = false\n',
    'supabase/migrations/1_policies.sql': `create policy "all" on realtime.messages for select to authenticated using (true);`,
  });
  const env = {
    DATABASE_URL: `postgresql://owner:owner-pw@127.0.0.1:${server.login('postgres').port}/shared`,
    MILLRACE_MASTER_KEY: 'the-same-for-both-0123456789-0123456789',
  };
  doors = await startBackend(project.folder, [], { env });
  operator = await openOperatorClient(project.folder);
  rooms = await startBackend(project.folder, ['--data', `${project.folder}/rooms-state`], { env });
  admin = createClient(doors.report.API_URL, doors.report.SECRET_KEY, options);
});
afterAll(async () => {
  for (const { channel } of people) await channel.socket.disconnect();
  await doors?.[Symbol.asyncDispose]();
  await rooms?.[Symbol.asyncDispose]();
  await server?.stop();
  await removeFolder(folder);
  await project?.[Symbol.asyncDispose]();
});

interface Person {
  /** At the door: what signs in and out. */
  readonly client: SupabaseClient;
  readonly userId: string;
  readonly token: string;
  readonly channel: RealtimeChannel;
  readonly told: unknown[];
  readonly states: string[];
}

const people: Person[] = [];

/** Somebody who is signed in, with a channel at the other process. */
async function enter(email: string, isPrivate: boolean): Promise<Person> {
  const client = createClient(doors.report.API_URL, doors.report.PUBLISHABLE_KEY, options);
  const { data, error } = await client.auth.signInWithPassword({ email, password });
  if (error !== null) throw error;
  const reader = createClient(rooms.report.API_URL, rooms.report.PUBLISHABLE_KEY, options);
  await reader.realtime.setAuth(data.session.access_token);
  const channel = reader.channel('hall', { config: { private: isPrivate } });
  const told: unknown[] = [];
  const states: string[] = [];
  channel.on('system', {}, (payload) => told.push(payload));
  await new Promise<void>((resolve) =>
    channel.subscribe((status) => {
      states.push(status);
      resolve();
    }),
  );
  const person = {
    client,
    userId: data.user.id,
    token: data.session.access_token,
    channel,
    told,
    states,
  };
  people.push(person);
  return person;
}

async function register(name: string): Promise<string> {
  const email = `${name}@example.test`;
  const { error } = await admin.auth.admin.createUser({ email, password, email_confirm: true });
  if (error !== null) throw error;
  return email;
}

const ask = async (method: string, path: string, token: string): Promise<unknown> => {
  const headers = { apikey: doors.report.PUBLISHABLE_KEY, authorization: `Bearer ${token}` };
  const answer = await fetch(`${doors.report.API_URL}/auth/v1${path}`, { method, headers });
  return answer.status === 204 ? undefined : answer.json();
};

const lastWords = {
  extension: 'system',
  status: 'error',
  message: 'The session of this token has ended',
  channel: 'hall',
};

/** Told why, and closed. */
const isOut = ({ told, states }: Person) =>
  vi.waitFor(() => expect({ told, last: states.at(-1) }).toEqual({ told: [lastWords], last: 'CLOSED' }), {
    timeout: 40_000,
    interval: 100,
  });

const stays = ({ told, states }: Person) =>
  expect({ told, states }).toEqual({ told: [], states: ['SUBSCRIBED'] });

type Way = (leaver: Person, other: Person) => Promise<unknown>;
const succeeds = async (asked: Promise<{ error: unknown }>) => expect((await asked).error).toBeNull();

describe('a channel ends within seconds', () => {
  // `other` is a second session of the same user: whether it ends as well.
  it.concurrent.each<[string, Way, 'stays' | 'ends']>([
    [
      'when its user signs out there',
      ({ client }) => succeeds(client.auth.signOut({ scope: 'local' })),
      'stays',
    ],
    ['when its user signs out everywhere', ({ client }) => succeeds(client.auth.signOut()), 'ends'],
    [
      'when its user signs out everywhere else',
      (_, other) => succeeds(other.client.auth.signOut({ scope: 'others' })),
      'stays',
    ],
    [
      'when its session is ended from the list of sessions',
      async ({ token }, other) => {
        const { session_id: id } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as {
          session_id: string;
        };
        await ask('DELETE', `/user/sessions/${id}`, other.token);
      },
      'stays',
    ],
    [
      'when its user takes another password elsewhere',
      (_, other) => succeeds(other.client.auth.updateUser({ password: 'battery staple' })),
      'stays',
    ],
    [
      'when its user is banned',
      ({ userId }) => succeeds(admin.auth.admin.updateUserById(userId, { ban_duration: '1h' })),
      'ends',
    ],
    ['when its user is deleted', ({ userId }) => succeeds(admin.auth.admin.deleteUser(userId)), 'ends'],
    [
      'when its user is deleted and their row is kept',
      ({ userId }) => succeeds(admin.auth.admin.deleteUser(userId, true)),
      'ends',
    ],
  ])(
    '%s',
    async (name, way, second) => {
      const email = await register(name.replaceAll(' ', '-'));
      const [leaver, other] = [await enter(email, true), await enter(email, false)];
      stays(leaver);
      await way(leaver, other);
      await isOut(leaver);
      if (second === 'ends') await isOut(other);
      else stays(other);
      // The old token lets nobody in again, although its time is not up.
      await using socket = await openPhoenixSocket(rooms.report.API_URL, rooms.report.PUBLISHABLE_KEY);
      socket.say('1', '1', 'realtime:hall', 'phx_join', { config: {}, access_token: leaver.token });
      expect(await socket.hear(answerTo('1'))).toMatchObject({
        4: {
          status: 'error',
          response: { reason: 'InvalidJWTToken: The session of this token has ended' },
        },
      });
    },
    60_000,
  );

  it.concurrent('when the key that its connection came with is revoked', async () => {
    const body = { name: 'realtime', role: 'anon', services: ['realtime'] };
    const made = await operator.request('POST', '/keys', body);
    const { key, id } = made.body as { key: string; id: string };
    // The other process hears of it in a moment.
    await using socket = await vi.waitFor(() => openPhoenixSocket(rooms.report.API_URL, key), 20_000);
    socket.say('1', '1', 'realtime:hall', 'phx_join', { config: {} });
    await socket.hear(answerTo('1'));
    await operator.request('DELETE', `/keys/${id}`);
    const said = await socket.hear<unknown[]>((message) => message[3] === 'system');
    expect(said[4]).toEqual({ ...lastWords, message: 'The credentials do not hold: revoked_key' });
    await socket.hear((message) => message[3] === 'phx_close');
  }, 60_000);
});

describe('a channel goes on', () => {
  it('with a new token of another session, when the first session ends', async () => {
    const email = await register('moves');
    const [first, second] = [await enter(email, true), await enter(email, true)];
    await first.channel.socket.setAuth(second.token);
    await succeeds(first.client.auth.signOut({ scope: 'local' }));
    // Nobody is told by then whose session it is not any more; the look at all comes each five seconds.
    const witness = await enter(await register('witness'), false);
    await succeeds(witness.client.auth.signOut());
    await isOut(witness);
    stays(first);
    await succeeds(second.client.auth.signOut({ scope: 'local' }));
    await Promise.all([isOut(first), isOut(second)]);
  }, 60_000);

  it('with a token that names no session, or one that is no session of ours at all', async () => {
    await using socket = await openPhoenixSocket(rooms.report.API_URL, rooms.report.PUBLISHABLE_KEY);
    const token = await personToken('11111111-1111-4111-8111-111111111111');
    for (const [ref, access_token] of [
      ['1', token],
      ['2', rooms.report.SERVICE_ROLE_KEY],
    ])
      socket.say(ref, ref, `realtime:hall ${ref}`, 'phx_join', { config: { private: true }, access_token });
    for (const ref of ['1', '2'])
      expect(await socket.hear(answerTo(ref))).toMatchObject({ 4: { status: 'ok' } });
    const witness = await enter(await register('witness-of-tokens'), false);
    await succeeds(witness.client.auth.signOut());
    await isOut(witness);
    socket.say(null, '9', 'phoenix', 'heartbeat', {});
    await socket.hear(answerTo('9'));
    expect(socket.heard.filter((message) => (message as unknown[])[3] === 'system')).toEqual([]);
  }, 60_000);
});

// Last: these hold for everybody's sessions.
describe('a channel ends by the settings of sign-in', () => {
  const settings = changeSettings(() => operator);
  afterEach(() => settings.restore());

  it('when its user signs in anew and has one session alone', async () => {
    const email = await register('one-alone');
    const first = await enter(email, true);
    await settings.set('auth.sessions.single_per_user', true);
    const second = await enter(email, true);
    await isOut(first);
    stays(second);
    // As it cannot be refreshed.
    const { error } = await first.client.auth.refreshSession();
    expect(error).toMatchObject({ code: 'session_expired' });
  }, 60_000);

  it.each(['auth.sessions.timebox', 'auth.sessions.inactivity_timeout'])(
    'when its session is older than %s',
    async (key) => {
      const person = await enter(await register(key), true);
      await settings.set(key, '1s');
      await isOut(person);
    },
    60_000,
  );
});
