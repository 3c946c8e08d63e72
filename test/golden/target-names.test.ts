// In charge of: what filters, orders and limits may call an embed that has an alias.
// Source: PostgREST 16, docs "url-use-legacy-target-names"; test/spec/Feature/Query/QuerySpec.hs (specLegacyTargetNames).
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataApi, openDataApi } from './harness.ts';

const apis: DataApi[] = [];
beforeAll(async () => {
  for (const legacyTargetNames of [true, false])
    apis.push(await openDataApi(() => {}, { legacyTargetNames }));
});
afterAll(async () => {
  for (const api of apis) await api[Symbol.asyncDispose]();
});

async function get(allowed: boolean, path: string) {
  const response = await apis[allowed ? 0 : 1]!.request(path, {});
  return { status: response.status, body: await response.json(), warning: response.headers.get('warning') };
}

describe('an embed with an alias', () => {
  const select = '/books?select=id,writer:authors(name)&id=eq.1';

  it('is called by it, without a word', async () => {
    for (const allowed of [true, false]) {
      const { status, warning } = await get(
        allowed,
        `${select}&writer.name=eq.Ursula&writer.order=name&writer.limit=1`,
      );
      expect({ status, warning }).toEqual({ status: 200, warning: null });
    }
  });

  it.each(['authors.name=eq.Ursula', 'authors.order=name', 'authors.limit=1', 'authors.or=(name.eq.Ursula)'])(
    'is called by its relation in %s with a warning, or not at all',
    async (parameter) => {
      const allowed = await get(true, `${select}&${parameter}`);
      expect(allowed.status).toBe(200);
      expect(allowed.warning).toMatch(
        /^299 \S+ ".* Update `authors` to `writer` in query string filters, orders or limits\."$/,
      );
      expect(await get(false, `${select}&${parameter}`)).toEqual({
        status: 400,
        body: {
          code: 'PGRST108',
          details: 'Target names are not allowed in filters if they have an alias',
          hint: "Change 'authors' to 'writer' in filters, orders or limits.",
          message: "'authors' is not an embedded resource in this request",
        },
        warning: null,
      });
    },
  );

  it('is another than one of the same relation: each is filtered for itself', async () => {
    const both = '/loans?select=a:readers(name),b:readers(name)&book_id=eq.1&reader_id=eq.2&b.name=eq.Nobody';
    expect(await get(false, both)).toMatchObject({ status: 200, body: [{ a: { name: 'Mara' }, b: null }] });
  });

  it('may be named as no header could carry it', async () => {
    const alias = encodeURIComponent('"wr\r\ni\\"ter ä"');
    const { status, warning } = await get(true, `/books?select=id,${alias}:authors(name)&authors.limit=1`);
    expect({ status, warning }).toEqual({ status: expect.any(Number), warning: expect.anything() });
  });
});
