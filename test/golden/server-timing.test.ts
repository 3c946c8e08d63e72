// In charge of: how long each phase of a request took, said with the answer. Source: PostgREST 14.12, test/spec/Feature/Query/ServerTimingSpec.hs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataApi, openDataApi } from './harness.ts';

let api: DataApi;
beforeAll(async () => {
  api = await openDataApi(() => {}, { serverTiming: true });
});
afterAll(() => api?.[Symbol.asyncDispose]());

async function phasesOf(
  method: string,
  path: string,
  body?: object,
): Promise<readonly (string | undefined)[]> {
  const response = await api.request(path, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  await response.text();
  const header = response.headers.get('server-timing') ?? '';
  for (const part of header.split(', ')) expect(part).toMatch(/^[a-z]+;dur=\d+\.\d$/);
  return header.split(', ').map((part) => part.split(';')[0]);
}

describe('Server-Timing', () => {
  const whole = ['jwt', 'parse', 'plan', 'transaction', 'response', 'total'];
  it.each<[string, string, readonly string[], object?]>([
    ['GET', '/books?id=eq.1', whole],
    ['POST', '/authors', whole, { id: 9, name: 'Ann' }],
    ['POST', '/rpc/add', whole, { a: 1 }],
    ['HEAD', '/', whole],
    ['GET', '/', whole],
    ['OPTIONS', '/books', ['jwt', 'parse', 'plan', 'response', 'total']],
  ])('of %s %s names the phases, also when its statement is known', async (method, path, phases, body) => {
    expect(await phasesOf(method, path, body)).toEqual(phases);
    expect(await phasesOf(method, path, body)).toEqual(phases);
  });

  it('of an error names those that were reached', async () => {
    expect(await phasesOf('GET', '/books?id=roughly.1')).toEqual(['jwt', 'parse', 'total']);
  });
});
