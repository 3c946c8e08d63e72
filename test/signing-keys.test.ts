// In charge of: signing keys as a person uses them: a project with secrets of its own, its keys on the command line, its tokens over HTTP.
import { decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';

const env = { MILLRACE_JWT_SECRET: 'a-secret-that-nobody-may-read-0123456789' };
let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject({
    'supabase/migrations/20260101000000_items.sql':
      'create table public.items (id int primary key); grant select on public.items to authenticated;',
  });
  backend = await startBackend(project.folder, [], { env });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

async function signingKeys(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(['signing-keys', ...words, '--project', project.folder]);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}
const auth = (path: string, init: RequestInit = {}) =>
  fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    ...init,
    headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
  });
const read = async (token: string) =>
  (
    await fetch(`${backend.report.REST_URL}/items`, {
      headers: { apikey: backend.report.PUBLISHABLE_KEY, authorization: `Bearer ${token}` },
    })
  ).status;
const published = async () =>
  ((await (await auth('/.well-known/jwks.json')).json()) as { keys: { kid: string }[] }).keys.map(
    ({ kid }) => kid,
  );
let people = 0;
async function signUp(): Promise<string> {
  const answer = await auth('/signup', {
    method: 'POST',
    body: JSON.stringify({ email: `person-${++people}@example.com`, password: 'correct horse battery' }),
  });
  return ((await answer.json()) as { access_token: string }).access_token;
}

describe('a project with a JWT secret of its own', () => {
  it('rotates its key while people stay signed in, and ends the old one when it is told to', async () => {
    const old = await signUp();
    const { kid: first, alg } = decodeProtectedHeader(old);
    expect([alg, await published()]).toEqual(['ES256', [first]]);
    expect(await read(old)).toBe(200);
    await signingKeys('standby');
    expect(await published()).toHaveLength(2);
    await signingKeys('rotate', '--now');
    const young = await signUp();
    expect(decodeProtectedHeader(young).kid).not.toBe(first);
    expect([await read(old), await read(young)]).toEqual([200, 200]);
    await signingKeys('revoke', first!);
    expect([await read(old), await read(young)]).toEqual([401, 200]);
    expect(await published()).toEqual([decodeProtectedHeader(young).kid]);
  });

  it('keeps its keys over a restart and a change of the master key', async () => {
    const token = await signUp();
    expect((await runCli(['master-key', 'rotate', '--project', project.folder])).code).toBe(0);
    expect(await read(token)).toBe(200);
    await backend.stop();
    backend = await startBackend(project.folder, [], { env });
    expect(await read(token)).toBe(200);
    expect(decodeProtectedHeader(await signUp()).kid).toBe(decodeProtectedHeader(token).kid);
  });

  it('makes new ones after a reset under it', async () => {
    const token = await signUp();
    const { code, stderr } = await runCli(['reset', '--yes', '--project', project.folder], { env });
    expect(code, stderr).toBe(0);
    await signingKeys('list');
    expect(await read(token)).toBe(401);
    expect(await read(await signUp())).toBe(200);
  });
});
