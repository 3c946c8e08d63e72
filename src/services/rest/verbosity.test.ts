// In charge of: testing what is left of an error for clients.
import { expect, it } from 'vitest';
import { Fault } from '../../base/errors.ts';
import { respondFault } from './respond.ts';
import { withoutDetails } from './verbosity.ts';

it('is its code and message, with the same status and headers', () => {
  const answer = respondFault(
    new Fault({ status: 404, code: 'PGRST205', message: 'no', details: 'all', hint: 'more' }),
  );
  expect(withoutDetails(answer)).toEqual({ ...answer, body: '{"code":"PGRST205","message":"no"}' });
});

it('keeps the index of a batch', () => {
  const answer = {
    ...respondFault(new Fault({ status: 404, code: 'PGRST205', message: 'no' })),
    body: '{"code":"PGRST205","details":null,"hint":"more","message":"no","index":3}',
  };
  expect(JSON.parse(String(withoutDetails(answer).body))).toEqual({
    code: 'PGRST205',
    message: 'no',
    index: 3,
  });
});

it('leaves alone what is no error, whatever its status', () => {
  const rows = {
    status: 500,
    headers: [['Content-Type', 'application/json']],
    body: '[{"details":1}]',
  } as const;
  expect(withoutDetails(rows)).toBe(rows);
  const ok = { ...rows, status: 200 };
  expect(withoutDetails(ok)).toBe(ok);
});
