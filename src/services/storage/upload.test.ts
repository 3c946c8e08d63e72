// In charge of: when the bytes of an upload are let go of, and when a row may name them although an error came.
import { expect, it } from 'vitest';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import { keyAlreadyExists } from './errors.ts';
import { aborted } from './tus/refusal.ts';
import { isRefusal } from './upload.ts';

const postgres = (code: string) => Object.assign(new Error('as Postgres says it'), { code });

it.each<[string, unknown, boolean]>([
  ['a policy', postgres('42501'), true],
  ['a name that is taken', keyAlreadyExists(postgres('23505')), true],
  ['a check', postgres('23514'), true],
  ['a turn that is over', aborted(), true],
  ['a connection that was lost', new DatabaseUnavailable('unreachable', 'lost', 1), false],
  ['a session that was ended', postgres('57P01'), false],
  ['a broken connection', postgres('08006'), false],
  ['a socket', postgres('ECONNRESET'), false],
  ['a pipe, whose code is as long as an SQLSTATE', postgres('EPIPE'), false],
  ['a bug', new TypeError('of ours'), false],
])('%s: %#', (_name, error, isLetGo) => {
  expect(isRefusal(error)).toBe(isLetGo);
});
