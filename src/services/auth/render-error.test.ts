// In charge of: the tests of errors in GoTrue's two shapes.
import { describe, expect, it } from 'vitest';
import { Fault } from '../../base/errors.ts';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import { CredentialsRefused } from '../../engine/identity/refused.ts';
import { authFault, failed, OAuthRefused } from './errors.ts';
import { WeakPassword } from './passwords/strength.ts';
import { isBug, isVersion20240101, renderError } from './render-error.ts';

const withVersion = (version: string) => ({ headers: { 'x-supabase-api-version': version } });
const answerOf = (error: unknown, version = '') => {
  const { status, headers, body } = renderError(error, withVersion(version));
  return { status, headers: Object.fromEntries(headers), body: JSON.parse(String(body)) as unknown };
};
const contentType = { 'content-type': 'application/json' };

/** What `pg` throws for an error of a trigger. */
function raised(code: string, more: object = {}): Error {
  return Object.assign(new Error('Nobody may not sign up'), { code, ...more });
}

describe('an error', () => {
  const fault = authFault(422, 'user_already_exists', 'User already registered');

  it('has code, error_code and msg in the initial version', () => {
    expect(answerOf(fault)).toEqual({
      status: 422,
      headers: { ...contentType, 'x-sb-error-code': 'user_already_exists' },
      body: { code: 422, error_code: 'user_already_exists', msg: 'User already registered' },
    });
  });

  it('has code and message in that of 2024-01-01', () => {
    expect(answerOf(fault, '2024-01-01')).toEqual({
      status: 422,
      headers: {
        ...contentType,
        'x-sb-error-code': 'user_already_exists',
        'x-supabase-api-version': '2024-01-01',
      },
      body: { code: 'user_already_exists', message: 'User already registered' },
    });
  });

  it.each([
    ['', false],
    ['2023-12-31', false],
    ['2024-01-01', true],
    ['2026-06-15', true],
    ['2024-02-31', false],
    ['2024-1-1', false],
    ['soon', false],
  ])('is of version 2024-01-01 for %j: %j', (version, expected) => {
    expect(isVersion20240101(withVersion(version))).toBe(expected);
  });
});

describe('a request with a character that PostgreSQL cannot keep', () => {
  const nul = Object.assign(new Error('invalid byte sequence for encoding "UTF8": 0x00'), { code: '22021' });
  const inJson = Object.assign(new Error('unsupported Unicode escape sequence'), { code: '22P05' });

  it.each([nul, inJson, failed('Database error finding user', nul)])(
    'is the client’s mistake: %s',
    (error) => {
      expect(answerOf(error)).toMatchObject({
        status: 400,
        body: {
          error_code: 'validation_failed',
          msg: 'The request holds a character that no text may hold: NUL',
        },
      });
      expect(isBug(error)).toBe(false);
    },
  );
});

describe('what a trigger of the project says', () => {
  const around = (cause: unknown) => failed('Database error saving new user', cause);

  it.each([['P0001'], ['23505'], ['23514']])('is shown to clients of the initial version: %s', (code) => {
    const found = answerOf(around(raised(code, { hint: 'Take a name.', detail: '' })));
    expect([found.status, found.body]).toEqual([
      500,
      { code, message: 'Nobody may not sign up', hint: 'Take a name.' },
    ]);
  });

  it('chooses its status by PTnnn', () => {
    expect(answerOf(around(raised('PT418'))).status).toBe(418);
  });

  it.each([['42P01'], ['XX000'], ['PTxyz'], ['PT099']])('is kept when it is an accident: %s', (code) => {
    expect(answerOf(around(raised(code))).body).toEqual({
      code: 500,
      error_code: 'unexpected_failure',
      msg: 'Database error saving new user',
    });
  });

  it('is kept from clients of 2024-01-01, as upstream keeps it', () => {
    expect(answerOf(around(raised('P0001')), '2024-01-01').body).toEqual({
      code: 'unexpected_failure',
      message: 'Database error saving new user',
    });
  });
});

describe('refusals of others', () => {
  it.each([
    [new CredentialsRefused('expired'), 403, 'bad_jwt'],
    [new CredentialsRefused('missing'), 401, 'no_authorization'],
    [new CredentialsRefused('unknown_key'), 401, 'no_authorization'],
    [new CredentialsRefused('key_not_for_service', 'shop'), 403, 'no_authorization'],
    [new CredentialsRefused('issuer_unavailable', 'clerk'), 503, 'unexpected_failure'],
    [new DatabaseUnavailable('unreachable', 'gone', 1), 503, 'unexpected_failure'],
    [new Fault({ status: 413, code: 'payload_too_large', message: 'long' }), 413, 'request_entity_too_large'],
    [new Fault({ status: 429, code: 'rate_limited', message: 'slow' }), 429, 'over_request_rate_limit'],
    [new Fault({ status: 504, code: 'request_timeout', message: 'late' }), 504, 'request_timeout'],
    [new TypeError('a bug of ours'), 500, 'unexpected_failure'],
  ])('%s is %i %s', (error, status, code) => {
    const found = answerOf(error, '2024-01-01');
    expect([found.status, found.body]).toMatchObject([status, { code }]);
    expect(JSON.stringify(found.body)).not.toContain('a bug of ours');
  });

  it('says when to come back', () => {
    expect(answerOf(new DatabaseUnavailable('unreachable', 'gone', 7)).headers['retry-after']).toBe('7');
  });

  it('names what a weak password lacks', () => {
    const weak = new WeakPassword({ message: 'Too short.', reasons: ['length'] });
    expect(answerOf(weak).body).toEqual({
      code: 422,
      error_code: 'weak_password',
      msg: 'Too short.',
      weak_password: { reasons: ['length'] },
    });
  });

  it('has the shape of OAuth for OAuth', () => {
    expect(answerOf(new OAuthRefused('invalid_client', 'Who?'))).toMatchObject({
      status: 400,
      body: { error: 'invalid_client', error_description: 'Who?' },
    });
  });
});
