// In charge of: the names of live queries: what was said about one that another has replaced is told to nobody.
import { expect, it } from 'vitest';
import type { Caller } from '../../../engine/identity/caller.ts';
import { openChannelQueries } from './channel-queries.ts';
import { NotFollowable } from './diff.ts';
import type { LiveQueries } from './live-queries.ts';

const caller: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'key' };

it('a query that is refused with a new token ends no other of its name', async () => {
  const asked: PromiseWithResolvers<() => void>[] = [];
  const queries = {
    follow() {
      const one = Promise.withResolvers<() => void>();
      asked.push(one);
      return one.promise;
    },
  } as unknown as LiveQueries;
  const told: unknown[] = [];
  const channel = openChannelQueries(queries, (payload) => told.push(JSON.parse(payload)));
  const subscribe = (url: string) => channel.hear({ event: 'subscribe', id: 'open', url }, caller);

  const first = subscribe('/rest/v1/todos');
  asked[0]!.resolve(() => {});
  expect(await first).toBe(undefined);
  channel.setCaller({ ...caller, role: 'authenticated' });
  const second = subscribe('/rest/v1/notes');
  asked[1]!.reject(new NotFollowable('It has no primary key.'));
  asked[2]!.resolve(() => {});
  expect(await second).toBe(undefined);
  expect(told).toEqual([]);

  channel.setCaller(caller);
  asked[3]!.reject(new NotFollowable('It has no primary key.'));
  await expect.poll(() => told).toEqual([{ type: 'end', id: 'open', reason: 'It has no primary key.' }]);
});
