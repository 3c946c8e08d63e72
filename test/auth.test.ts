// In charge of: signing in, as an application does it: the unmodified @supabase/supabase-js over a real socket.
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let admin: SupabaseClient;

beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': 'project_id = "sign-in"\n[auth]\nenable_anonymous_sign_ins = true\n',
    'supabase/migrations/20260101000000_profiles.sql': profiles,
  });
  backend = await startBackend(project.folder);
  admin = connect(backend.report.SECRET_KEY);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const profiles = `
create table public.profiles (id uuid primary key references auth.users on delete cascade, name text);
alter table public.profiles enable row level security;
create policy "own profile" on public.profiles for select to authenticated using ((select auth.uid()) = id);
grant select on public.profiles to authenticated;
create function public.make_profile() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if new.raw_user_meta_data ->> 'name' = 'Nobody' then
    raise exception 'Nobody may not sign up';
  end if;
  insert into public.profiles (id, name) values (new.id, new.raw_user_meta_data ->> 'name');
  return new;
end $$;
create trigger on_user after insert on auth.users for each row execute function public.make_profile();
`;

function connect(key = backend.report.PUBLISHABLE_KEY): SupabaseClient {
  return createClient(backend.report.API_URL, key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

const uuid = /^[0-9a-f-]{36}$/;
let count = 0;
const address = () => `person-${count++}@example.com`;
const password = 'correct horse';

/** Somebody who has just signed up, with their own client. */
async function signedUp(email = address(), data: Record<string, unknown> = {}) {
  const client = connect();
  const { data: found, error } = await client.auth.signUp({ email, password, options: { data } });
  if (error || !found.session || !found.user) throw error ?? new Error('no session');
  return { client, email, session: found.session, user: found.user };
}

describe('signUp', () => {
  it('makes a user who is signed in at once', async () => {
    const { session, user, email } = await signedUp(undefined, { name: 'Mara' });
    expect(user).toEqual({
      id: expect.stringMatching(uuid),
      aud: 'authenticated',
      role: 'authenticated',
      email,
      email_confirmed_at: expect.any(String),
      phone: '',
      confirmed_at: expect.any(String),
      last_sign_in_at: expect.any(String),
      app_metadata: { provider: 'email', providers: ['email'] },
      user_metadata: { email, email_verified: true, name: 'Mara', phone_verified: false, sub: user.id },
      identities: [
        {
          identity_id: expect.stringMatching(uuid),
          id: user.id,
          user_id: user.id,
          identity_data: { email, email_verified: false, name: 'Mara', phone_verified: false, sub: user.id },
          provider: 'email',
          last_sign_in_at: expect.any(String),
          created_at: expect.any(String),
          updated_at: expect.any(String),
          email,
        },
      ],
      created_at: expect.any(String),
      updated_at: expect.any(String),
      is_anonymous: false,
    });
    expect(session).toMatchObject({
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: expect.stringMatching(/^[a-z0-9]{12}$/),
    });
  });

  it("runs the triggers of the project, and their rows are the user's", async () => {
    const { client, user } = await signedUp(undefined, { name: 'Jonas' });
    expect((await client.from('profiles').select('id, name')).data).toEqual([{ id: user.id, name: 'Jonas' }]);
  });

  it('answers 500 when a trigger raises, and no user is left', async () => {
    const email = address();
    const { error } = await connect().auth.signUp({ email, password, options: { data: { name: 'Nobody' } } });
    // supabase-js takes every 500 for a passing failure, and keeps no code of it.
    expect(error).toMatchObject({ status: 500, message: 'Database error saving new user' });
    expect(await connect().auth.signInWithPassword({ email, password })).toMatchObject({
      error: { status: 400, code: 'invalid_credentials' },
    });
  });

  it('refuses an address that is taken, a weak password and an address that is none', async () => {
    const { email } = await signedUp();
    const refused = async (how: { email: string; password: string }) =>
      (await connect().auth.signUp(how)).error;
    expect(await refused({ email, password })).toMatchObject({
      status: 422,
      code: 'user_already_exists',
      message: 'User already registered',
    });
    expect(await refused({ email: address(), password: 'short' })).toMatchObject({
      status: 422,
      code: 'weak_password',
      reasons: ['length'],
    });
    expect(await refused({ email: 'nobody', password })).toMatchObject({
      status: 400,
      code: 'validation_failed',
      message: 'Unable to validate email address: invalid format',
    });
  });
});

describe('signInWithPassword', () => {
  it('gives a session for the right password, in any spelling of the address', async () => {
    const { email, user } = await signedUp();
    const { data, error } = await connect().auth.signInWithPassword({ email: email.toUpperCase(), password });
    expect(error).toBeNull();
    expect(data.user?.id).toBe(user.id);
  });

  it('says the same of a wrong password and of nobody', async () => {
    const { email } = await signedUp();
    const wrong = await connect().auth.signInWithPassword({ email, password: 'wrong password' });
    const nobody = await connect().auth.signInWithPassword({ email: address(), password });
    expect(wrong.error).toEqual(nobody.error);
    expect(wrong.error).toMatchObject({
      status: 400,
      code: 'invalid_credentials',
      message: 'Invalid login credentials',
    });
  });
});

describe('getUser', () => {
  it('tells who a token is of', async () => {
    const { client, user } = await signedUp();
    const { data } = await client.auth.getUser();
    expect(data.user).toMatchObject({ id: user.id, email: user.email });
  });
});

describe('refreshSession', () => {
  it('gives a new pair', async () => {
    const { client, session } = await signedUp();
    const { data, error } = await client.auth.refreshSession();
    expect(error).toBeNull();
    expect(data.session?.refresh_token).not.toBe(session.refresh_token);
    expect(data.user?.id).toBe(session.user.id);
  });
});

describe('signOut', () => {
  it('ends the session: its tokens are good for nothing any more', async () => {
    const { client, session } = await signedUp();
    expect((await client.auth.signOut()).error).toBeNull();
    expect((await connect().auth.getUser(session.access_token)).error).toMatchObject({
      // What supabase-js makes of session_not_found.
      name: 'AuthSessionMissingError',
    });
    expect(
      (await connect().auth.refreshSession({ refresh_token: session.refresh_token })).error,
    ).toMatchObject({
      status: 400,
      code: 'refresh_token_not_found',
    });
  });
});

describe('admin', () => {
  it('makes, lists, reads, changes and deletes users', async () => {
    const email = address();
    const made = await admin.auth.admin.createUser({
      email,
      password,
      email_confirm: true,
      user_metadata: { a: 1 },
    });
    expect(made.error).toBeNull();
    const id = made.data.user?.id ?? '';
    const list = await admin.auth.admin.listUsers();
    expect(list.data.users.map((user) => user.id)).toContain(id);
    const { data: changed } = await admin.auth.admin.updateUserById(id, { app_metadata: { plan: 'pro' } });
    expect(changed.user?.app_metadata).toEqual({ plan: 'pro', provider: 'email', providers: ['email'] });
    expect((await admin.auth.admin.deleteUser(id)).error).toBeNull();
    expect((await admin.auth.admin.getUserById(id)).error).toMatchObject({
      status: 404,
      code: 'user_not_found',
    });
  });

  it('is closed to everybody else', async () => {
    const { client } = await signedUp();
    expect((await client.auth.admin.listUsers()).error).toMatchObject({ status: 403, code: 'not_admin' });
    expect((await connect().auth.admin.listUsers()).error).toMatchObject({ status: 403, code: 'not_admin' });
  });
});
