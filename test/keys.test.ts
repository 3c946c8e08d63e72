// In charge of: API keys of our own as a person and a program use them: made, narrowed, rotated and revoked on the command line, presented over HTTP.
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';

const migration = `
create table public.shop_items (id int primary key, name text);
create table public.secrets (id int primary key, word text);
insert into public.shop_items values (1, 'lamp');
insert into public.secrets values (1, 'xyzzy');
grant select on public.shop_items, public.secrets to anon, service_role;
create role auditor;
grant auditor to authenticator;
grant usage on schema public to auditor;
grant select on public.secrets to auditor;`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject({ 'supabase/migrations/20260101000000_shop.sql': migration });
  backend = await startBackend(project.folder);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

/** The key that a command of `millrace keys` prints. */
async function keys(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(['keys', ...words, '--project', project.folder]);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

async function get(path: string, headers: Readonly<Record<string, string>>) {
  const answer = await fetch(`${backend.report.REST_URL}${path}`, { headers });
  return { status: answer.status, body: (await answer.json()) as Readonly<Record<string, unknown>> };
}

describe('millrace keys create', () => {
  it('makes a key that is in force at once, in each place where a key can stand', async () => {
    const key = await keys('create', 'everything', '--role', 'service_role');
    for (const headers of [{ apikey: key }, { authorization: `Bearer ${key}` }])
      expect(await get('/secrets?select=word', headers)).toEqual({ status: 200, body: [{ word: 'xyzzy' }] });
    const client = createClient(backend.report.API_URL, key, { auth: { persistSession: false } });
    expect((await client.from('secrets').select('word')).data).toEqual([{ word: 'xyzzy' }]);
    expect(await get(`/secrets?select=word&apikey=${key}`, {})).toMatchObject({ status: 200 });
    // Paths are logged without their query, and a key never.
    expect(backend.log()).not.toContain(key);
  });

  it('takes a role of the project’s own', async () => {
    const key = await keys('create', 'audit', '--role', 'auditor');
    expect(await get('/secrets', { apikey: key })).toMatchObject({ status: 200 });
    expect(await get('/shop_items', { apikey: key })).toMatchObject({ status: 403, body: { code: '42501' } });
  });

  it('refuses a role that requests cannot have, in a sentence', async () => {
    const { code, stdout, stderr } = await runCli([
      'keys',
      'create',
      'too-much',
      '--role',
      'postgres',
      '--project',
      project.folder,
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('Requests cannot have the role "postgres".');
  });
});

describe('a key that is narrowed', () => {
  it('to names reaches no other table', async () => {
    const key = await keys('create', 'shop', '--role', 'service_role', '--table', 'shop_');
    expect(await get('/shop_items?select=name', { apikey: key })).toEqual({
      status: 200,
      body: [{ name: 'lamp' }],
    });
    expect(await get('/secrets', { apikey: key })).toMatchObject({
      status: 403,
      body: { code: 'key_not_for_table', message: 'The API key is not for the table "public.secrets"' },
    });
  });

  it('to another service is refused by this one', async () => {
    const key = await keys('create', 'files', '--role', 'service_role', '--service', 'storage');
    expect(await get('/shop_items', { apikey: key })).toMatchObject({
      status: 403,
      body: { code: 'key_not_for_service' },
    });
  });

  it('to addresses is refused elsewhere', async () => {
    const here = await keys('create', 'here', '--role', 'anon', '--address', '127.0.0.0/8');
    const elsewhere = await keys('create', 'elsewhere', '--role', 'anon', '--address', '203.0.113.0/24');
    expect(await get('/shop_items', { apikey: here })).toMatchObject({ status: 200 });
    expect(await get('/shop_items', { apikey: elsewhere })).toMatchObject({
      status: 403,
      body: { code: 'key_not_for_address' },
    });
  });
});

describe('millrace keys rotate and revoke', () => {
  it('end a key: after its overlap, and at once', async () => {
    const first = await keys('create', 'bot', '--role', 'anon');
    const second = await keys('rotate', 'bot');
    for (const apikey of [first, second])
      expect(await get('/shop_items', { apikey })).toMatchObject({ status: 200 });
    const third = await keys('rotate', 'bot', '--overlap', '0s');
    expect(await get('/shop_items', { apikey: second })).toMatchObject({
      status: 401,
      body: { code: 'PGRST301', message: 'API key expired', details: 'bot' },
    });
    await keys('revoke', 'bot');
    for (const apikey of [first, third]) {
      expect(await get('/shop_items', { apikey })).toMatchObject({
        status: 401,
        body: { code: 'PGRST301', message: 'API key revoked', details: 'bot' },
      });
    }
  });

  it('are in the record of changes, with who', async () => {
    const { stdout } = await runCli(['changes', '--json', '--project', project.folder]);
    const recorded = JSON.stringify(JSON.parse(stdout));
    for (const action of ['keys.create', 'keys.rotate', 'keys.revoke']) expect(recorded).toContain(action);
    expect(recorded).not.toContain('millrace_');
  });
});

describe('a restart', () => {
  it('keeps the keys, the ended ones and the last use', async () => {
    const kept = await keys('create', 'kept', '--role', 'anon');
    const gone = await keys('create', 'gone', '--role', 'anon');
    await keys('revoke', 'gone');
    expect(await get('/shop_items', { apikey: kept })).toMatchObject({ status: 200 });
    await backend.stop();
    backend = await startBackend(project.folder);
    expect(await get('/shop_items', { apikey: kept })).toMatchObject({ status: 200 });
    expect(await get('/shop_items', { apikey: gone })).toMatchObject({ status: 401 });
    const listed = JSON.parse(await keys('list', '--json')) as readonly {
      name: string;
      last_used_at: string | null;
    }[];
    expect(listed.find(({ name }) => name === 'kept')?.last_used_at).not.toBeNull();
    expect(listed.find(({ name }) => name === 'gone')?.last_used_at).toBeNull();
  });
});
