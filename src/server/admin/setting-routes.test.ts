// In charge of: live settings on the operator plane.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environment, openTestPlane, type TestPlane } from '../../../test/harness/operator-plane.ts';
import { serverSettings } from '../settings.ts';

let at: TestPlane;
let token: string;
beforeAll(async () => {
  at = await openTestPlane();
  token = await at.token('ada@laptop', ['read', 'settings']);
});
afterAll(() => at[Symbol.asyncDispose]());

const key = 'gateway.max_body_bytes';
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const newest = async (count: number) => (await at.local(`GET /changes?limit=${count}`)).body.changes;

describe('GET /admin/v1/settings', () => {
  it('shows each setting with its value, the place it comes from, and what it is', async () => {
    const { status, body } = await at.remote('GET /settings', { token });
    expect(status).toBe(200);
    const byKey = Object.fromEntries(body.settings.map((one: { key: string }) => [one.key, one]));
    expect(Object.keys(byKey)).toHaveLength(body.settings.length);
    expect(byKey[key]).toEqual({
      key,
      value: 2_000_000,
      default: 10 * 1024 * 1024,
      layer: 'environment',
      unit: 'bytes',
      expects: 'a whole number from 1024',
      live: true,
      secret: false,
      env: ['MILLRACE_MAX_BODY_BYTES'],
      sentence: serverSettings.maxBodyBytes.sentence,
      changed: null,
    });
    expect(byKey['gateway.request_timeout']).toMatchObject({
      value: 30,
      layer: 'config.toml',
      unit: 'seconds',
    });
    expect(byKey['api.port']).toMatchObject({ value: 54321, layer: 'default', live: false });
  });

  it('says of a secret where it comes from, and never what it is', async () => {
    const { body } = await at.remote('GET /settings', { token });
    expect(body.settings.find((one: { key: string }) => one.key === 'auth.jwt_secret')).toMatchObject({
      value: null,
      default: null,
      layer: 'environment',
      secret: true,
    });
    expect(JSON.stringify(body)).not.toContain(environment.MILLRACE_JWT_SECRET);
    const secrets = body.settings.filter((one: { secret: boolean }) => one.secret);
    expect(secrets.map((one: { key: string }) => one.key).sort()).toEqual([
      'auth.anon_key',
      'auth.jwt_secret',
      'auth.publishable_key',
      'auth.secret_key',
      'auth.service_role_key',
      'db.password',
      'storage.s3_protocol.access_key_secret',
    ]);
  });

  it('answers 404 for one that is none', async () => {
    expect(await at.remote('GET /settings/gateway.max_bodies', { token })).toMatchObject({
      status: 404,
      body: { code: 'unknown_setting', message: '"gateway.max_bodies" is not a setting.' },
    });
  });
});

describe('PUT and DELETE /admin/v1/settings/{key}', () => {
  it('put a value in force, say who did, and take it back', async () => {
    const put = await at.remote(`PUT /settings/${key}`, {
      token,
      body: { value: '4096' },
      address: '203.0.113.5',
    });
    expect(put).toMatchObject({
      status: 200,
      body: { key, value: 4096, layer: 'run time', changed: { by: 'ada@laptop', at: timestamp } },
    });
    expect(at.settings.of(serverSettings).now().maxBodyBytes).toBe(4096);
    await at.remote(`PUT /settings/${key}`, { token, body: { value: 8192 } });
    const reset = await at.local(`DELETE /settings/${key}`);
    expect(reset).toMatchObject({
      status: 200,
      body: { key, value: 2_000_000, layer: 'environment', changed: { by: 'local:ada' } },
    });
    expect(at.settings.of(serverSettings).now().maxBodyBytes).toBe(2_000_000);
    const via = expect.stringMatching(/^token:\d+$/);
    expect(await newest(3)).toEqual([
      {
        id: expect.any(String),
        at: timestamp,
        operator: 'local:ada',
        via: 'socket',
        address: '192.0.2.7',
        action: 'settings.reset',
        details: { key, before: { value: 8192, layer: 'run time' }, after: null },
        request_id: 'request-1',
      },
      expect.objectContaining({
        operator: 'ada@laptop',
        via,
        action: 'settings.set',
        details: {
          key,
          before: { value: '4096', layer: 'run time' },
          after: { value: 8192, layer: 'run time' },
        },
      }),
      expect.objectContaining({
        address: '203.0.113.5',
        details: {
          key,
          before: { value: 2_000_000, layer: 'environment' },
          after: { value: '4096', layer: 'run time' },
        },
      }),
    ]);
  });

  it.each<[string, string, unknown, number, string]>([
    ['a key that is no setting', 'PUT /settings/gateway.nope', { value: 1 }, 404, 'unknown_setting'],
    [
      'the reset of a key that is no setting',
      'DELETE /settings/gateway.nope',
      undefined,
      404,
      'unknown_setting',
    ],
    ['a setting that is read at start', 'PUT /settings/api.port', { value: 1 }, 409, 'read_at_start'],
    ['a value that it does not take', `PUT /settings/${key}`, { value: 1 }, 422, 'invalid_setting'],
    ['a value of another type', `PUT /settings/${key}`, { value: { a: 1 } }, 422, 'invalid_setting'],
    ['no value', `PUT /settings/${key}`, {}, 422, 'invalid_setting'],
    ['null', `PUT /settings/${key}`, { value: null }, 422, 'invalid_setting'],
    ['a list for a body', `PUT /settings/${key}`, [1], 422, 'invalid_request'],
    ['no JSON', `PUT /settings/${key}`, '{"value":', 422, 'invalid_body'],
    [
      'a body without an end',
      `PUT /settings/${key}`,
      { value: 'x'.repeat(70_000) },
      413,
      'payload_too_large',
    ],
    ['a method that the path does not have', `POST /settings/${key}`, {}, 405, 'method_not_allowed'],
    ['a path that is not there', 'GET /setting', undefined, 404, 'not_found'],
  ])('refuse %s', async (_, route, body, status, code) => {
    const before = await newest(1);
    const answer = await at.remote(route, { token, ...(body === undefined ? {} : { body }) });
    expect(answer).toMatchObject({ status, body: { code, message: expect.any(String) } });
    expect(Object.keys(answer.body)).toEqual(['code', 'message', 'hint']);
    if (status === 405) expect(answer.headers.get('allow')).toBe('GET, PUT, DELETE');
    expect(await newest(1)).toEqual(before);
  });

  it('write nothing down when nothing was changed', async () => {
    const before = await newest(1);
    expect((await at.remote('DELETE /settings/gateway.server_timing', { token })).status).toBe(200);
    expect(await newest(1)).toEqual(before);
  });

  it('change nothing when the record cannot be written', async () => {
    await at.test.run('revoke insert on _millrace.operator_changes from millrace_admin', 'supabase_admin');
    try {
      expect(await at.remote(`PUT /settings/${key}`, { token, body: { value: 7777 } })).toMatchObject({
        status: 500,
        body: { code: 'internal' },
      });
    } finally {
      await at.test.run('grant insert on _millrace.operator_changes to millrace_admin', 'supabase_admin');
    }
    expect(at.settings.of(serverSettings).now().maxBodyBytes).toBe(2_000_000);
    expect(await at.test.run('select * from _millrace.settings', 'supabase_admin')).toEqual([]);
  });

  it('answer 503 when somebody locks what is to be changed', async () => {
    const other = await at.database.db.asOwner('millrace_admin', async (client) => {
      await client.query('begin; lock table _millrace.settings in access exclusive mode');
      const answer = await at.local(`PUT /settings/${key}`, { body: { value: 7777 } });
      await client.query('rollback');
      return answer;
    });
    expect(other).toMatchObject({ status: 503, body: { code: 'database_busy' } });
    expect(await at.test.run('select * from _millrace.settings', 'supabase_admin')).toEqual([]);
  });

  it('take away what an older version kept under a name that is gone', async () => {
    await at.test.run(
      `insert into _millrace.settings (key, value, changed_by) values ('gateway.gone', '1', 'old')`,
      'supabase_admin',
    );
    expect(await at.remote('DELETE /settings/gateway.gone', { token })).toMatchObject({
      status: 200,
      body: { key: 'gateway.gone', layer: null },
    });
    expect(await at.test.run('select * from _millrace.settings', 'supabase_admin')).toEqual([]);
  });

  it('keep `before` true when many change one key at once', async () => {
    const values = [5000, 5001, 5002, 5003, 5004, 5005];
    await Promise.all(values.map((value) => at.remote(`PUT /settings/${key}`, { token, body: { value } })));
    const changes: { details: { before: { value: number }; after: { value: number } } }[] = await newest(6);
    const [last] = changes;
    for (const [index, { details }] of changes.slice(0, -1).entries())
      expect(details.before.value).toBe(changes[index + 1]!.details.after.value);
    expect(at.settings.of(serverSettings).now().maxBodyBytes).toBe(last!.details.after.value);
    await at.local(`DELETE /settings/${key}`);
  });
});
