// In charge of: the status of what Postgres refuses. Source: PostgREST 14.12, docs/references/errors.rst.
import { describe, expect, it } from 'vitest';
import { faultOfPostgres } from './postgres-errors.ts';

function raised(code: string, message = 'no', detail?: string) {
  return Object.assign(new Error(message), { code, detail });
}

describe('SQLSTATE → status', () => {
  it.each([
    ['08006', 503],
    ['09000', 500],
    ['0L000', 403],
    ['0P000', 403],
    ['21000', 500],
    ['22P02', 400],
    ['23503', 409],
    ['23505', 409],
    ['23502', 400],
    ['25006', 405],
    ['25001', 500],
    ['28000', 403],
    ['2D000', 500],
    ['40001', 500],
    ['53100', 503],
    ['53400', 500],
    ['54001', 500],
    ['55000', 500],
    ['57014', 500],
    ['57P01', 503],
    ['58000', 500],
    ['P0001', 400],
    ['P0002', 500],
    ['XX000', 500],
    ['42883', 404],
    ['42P01', 404],
    ['42P17', 500],
    ['42703', 400],
    ['PT402', 402],
    ['PTabc', 500],
  ])('%s is %i', (code, status) => {
    expect(faultOfPostgres(raised(code), true).status).toBe(status);
  });

  it('is 401 with a challenge for a missing right of the anonymous role, 403 for others', () => {
    expect(faultOfPostgres(raised('42501'), false)).toMatchObject({
      status: 401,
      headers: { 'WWW-Authenticate': 'Bearer' },
    });
    expect(faultOfPostgres(raised('42501'), true)).toMatchObject({ status: 403, headers: {} });
  });

  it('is 401 for a role that is not there, 400 for another wrong parameter', () => {
    expect(faultOfPostgres(raised('22023', 'role "x" does not exist'), true).status).toBe(401);
    expect(faultOfPostgres(raised('22023', 'invalid value'), true).status).toBe(400);
  });
});

describe("raise sqlstate 'PGRST'", () => {
  const message = '{"code":"123","message":"Payment Required","details":"Quota exceeded","hint":"Upgrade"}';

  it('answers with its own status, headers and words', () => {
    expect(
      faultOfPostgres(raised('PGRST', message, '{"status":402,"headers":{"X-Powered-By":"Nerds"}}'), true),
    ).toMatchObject({
      status: 402,
      code: '123',
      message: 'Payment Required',
      details: 'Quota exceeded',
      hint: 'Upgrade',
      headers: { 'X-Powered-By': 'Nerds' },
    });
  });

  it.each([
    ['INVALID', '{"status":402,"headers":{}}', "Invalid JSON value for MESSAGE: 'INVALID'"],
    [message, undefined, 'DETAIL is missing in the RAISE statement'],
    [message, 'INVALID', "Invalid JSON value for DETAIL: 'INVALID'"],
  ])('says what is wrong with %s and %s', (text, detail, details) => {
    expect(faultOfPostgres(raised('PGRST', text, detail), true)).toMatchObject({
      status: 500,
      code: 'PGRST121',
      details,
    });
  });
});
