// In charge of: operator tokens and the record of changes.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestPlane, type TestPlane } from '../../../test/harness/operator-plane.ts';
import { maxTokensInUse } from './tokens.ts';

let at: TestPlane;
beforeAll(async () => {
  at = await openTestPlane();
});
afterAll(() => at[Symbol.asyncDispose]());

const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/);

describe('POST /admin/v1/operators', () => {
  it('makes a token, shows it once and keeps its SHA-256', async () => {
    const made = await at.local('POST /operators', { body: { name: 'prometheus', scopes: ['metrics'] } });
    expect(made).toMatchObject({
      status: 201,
      body: {
        id: expect.stringMatching(/^\d+$/),
        name: 'prometheus',
        scopes: ['metrics'],
        created_at: timestamp,
        created_by: 'local:ada',
        expires_at: timestamp,
        revoked_at: null,
        last_used_at: null,
        token: expect.stringMatching(/^mro_[0-9a-f]{48}$/),
      },
    });
    const days = (Date.parse(made.body.expires_at) - Date.parse(made.body.created_at)) / 86_400_000;
    expect(days).toBe(90);
    const { token, ...listed } = made.body;
    const kept = await at.test.run(
      `select encode(hash, 'hex') as hash from _millrace.operator_tokens where name = 'prometheus'`,
      'supabase_admin',
    );
    expect(kept).toEqual([{ hash: createHash('sha256').update(token).digest('hex') }]);
    expect((await at.local('GET /operators')).body.operators).toEqual([listed]);
    const { body } = await at.local('GET /changes');
    expect(body.changes[0]).toMatchObject({
      action: 'operators.create',
      details: { id: listed.id, name: 'prometheus', scopes: ['metrics'], expires_at: listed.expires_at },
    });
    expect(JSON.stringify(body)).not.toContain(token.slice(4));
  });

  it.each<[string, unknown, string]>([
    ['without a name', { scopes: ['read'] }, '"name" is missing'],
    ['with a name of blanks', { name: '  ', scopes: ['read'] }, '"name" is "  "'],
    ['with a name that is markup', { name: '<b>', scopes: ['read'] }, '"name" is "<b>"'],
    ['without scopes', { name: 'a' }, '"scopes" is missing'],
    ['with no scope', { name: 'a', scopes: [] }, '"scopes" is []'],
    ['with a scope that is none', { name: 'a', scopes: ['read', 'all'] }, '"scopes" is ["read","all"]'],
    [
      'with a time that is none',
      { name: 'a', scopes: ['read'], expires_in_days: 0 },
      '"expires_in_days" is 0',
    ],
    ['with a word too many', { name: 'a', scopes: ['read'], expires: 1 }, '"expires" is nothing'],
  ])('refuses one %s', async (_, body, message) => {
    const answer = await at.local('POST /operators', { body });
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_request' } });
    expect(answer.body.message).toContain(message);
  });

  it('refuses a name that is in use, until its token is revoked', async () => {
    const body = { name: 'twice', scopes: ['read'], expires_in_days: null };
    const { id, expires_at } = (await at.local('POST /operators', { body })).body;
    expect(expires_at).toBeNull();
    expect(await at.local('POST /operators', { body })).toMatchObject({
      status: 409,
      body: { code: 'name_taken' },
    });
    expect(await at.local(`DELETE /operators/${id}`)).toMatchObject({
      status: 200,
      body: { revoked_at: timestamp },
    });
    expect((await at.local('POST /operators', { body })).status).toBe(201);
  });

  it('lets a token give no scope that it does not have itself', async () => {
    const token = await at.token('deputy', ['operators', 'read']);
    const ask = (scopes: readonly string[]) =>
      at.remote('POST /operators', { token, body: { name: `by-${scopes.join('-')}`, scopes } });
    expect((await ask(['read'])).status).toBe(201);
    expect(await ask(['read', 'settings'])).toMatchObject({ status: 403, body: { code: 'scope_not_held' } });
  });

  it('is bounded', async () => {
    await at.test.run(
      `insert into _millrace.operator_tokens (name, hash, scopes, created_by)
       select 'many-' || n, sha256(n::text::bytea), '{read}', 'test' from generate_series(1, ${maxTokensInUse}) as n`,
      'supabase_admin',
    );
    expect(await at.local('POST /operators', { body: { name: 'one-more', scopes: ['read'] } })).toMatchObject(
      {
        status: 409,
        body: { code: 'too_many_tokens' },
      },
    );
    await at.test.run(`delete from _millrace.operator_tokens where name like 'many-%'`, 'supabase_admin');
  });
});

describe('DELETE /admin/v1/operators/{id}', () => {
  it('revokes once; again changes nothing and is not written down', async () => {
    const { id } = (await at.local('POST /operators', { body: { name: 'going', scopes: ['read'] } })).body;
    const first = await at.local(`DELETE /operators/${id}`);
    const second = await at.local(`DELETE /operators/${id}`);
    expect(second).toMatchObject({ status: 200, body: first.body });
    const { changes } = (await at.local('GET /changes?limit=2')).body;
    expect(changes.map(({ action }: { action: string }) => action)).toEqual([
      'operators.revoke',
      'operators.create',
    ]);
  });

  it.each(['999999', '0', 'x', '-1', '99999999999999999999999'])('answers 404 for %s', async (id) => {
    expect(await at.local(`DELETE /operators/${id}`)).toMatchObject({
      status: 404,
      body: { code: 'unknown_operator' },
    });
  });
});

describe('GET /admin/v1/changes', () => {
  it('goes back page by page', async () => {
    const { changes: all } = (await at.local('GET /changes?limit=200')).body;
    const pages = [];
    for (let next: string | null = ''; next !== null; ) {
      const { body } = await at.local(`GET /changes?limit=3${next === '' ? '' : `&before=${next}`}`);
      pages.push(...body.changes);
      next = body.next;
    }
    expect(pages).toEqual(all);
  });

  it.each(['?limit=0', '?limit=201', '?limit=x', '?before=x', '?before=-1'])('refuses %s', async (query) => {
    expect(await at.local(`GET /changes${query}`)).toMatchObject({
      status: 422,
      body: { code: 'invalid_request' },
    });
  });
});

describe('the record', () => {
  it.each<[string, 'millrace_admin' | 'supabase_admin' | 'postgres', string]>([
    [
      'changed by the role that writes it',
      'millrace_admin',
      `update _millrace.operator_changes set operator = 'nobody'`,
    ],
    ['shortened by the role that writes it', 'millrace_admin', 'delete from _millrace.operator_changes'],
    ['emptied by the role that writes it', 'millrace_admin', 'truncate _millrace.operator_changes'],
    [
      'freed of its trigger by the role that writes it',
      'millrace_admin',
      'alter table _millrace.operator_changes disable trigger all',
    ],
    ['changed by its owner', 'supabase_admin', `update _millrace.operator_changes set operator = 'nobody'`],
    ['shortened by its owner', 'supabase_admin', 'delete from _millrace.operator_changes'],
    ['emptied by its owner', 'supabase_admin', 'truncate _millrace.operator_changes'],
    [
      'shortened as a replica would',
      'supabase_admin',
      `set session_replication_role = 'replica'; delete from _millrace.operator_changes`,
    ],
    [
      'added to by the project',
      'postgres',
      `insert into _millrace.operator_changes (operator, via, address, action, details, request_id) values ('a', 'b', 'c', 'd', '{}', 'e')`,
    ],
    ['shortened by the project', 'postgres', 'delete from _millrace.operator_changes'],
  ])('is not %s', async (_, role, sql) => {
    await expect(at.test.run(sql, role)).rejects.toMatchObject({ code: '42501' });
    expect((await at.local('GET /changes')).body.changes.length).toBeGreaterThan(0);
  });
});
