// In charge of: what http does, told on a server of our own.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../../src/engine/db/client.ts';
import { openOther, openStage, type Place, type Stage } from './stage.ts';

const created = 'create extension if not exists http with schema extensions;';

export function httpStories(place: Place): void {
  describe('http', () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await openStage(place, created);
      await stage.net();
    });
    afterAll(() => stage[Symbol.asyncDispose]());

    it('answers within the statement, also in the transaction that goes on', async () => {
      await using other = await openOther(({ method, url, body }, response) => {
        response.writeHead(202, { 'Content-Type': 'application/json; charset=utf-8', 'X-Two': ['a', 'b'] });
        response.end(JSON.stringify({ method, url, body }));
      });
      const u = other.url;
      const [row] = await stage.ask(`begin; create table public.kept as
        select (g).status, (g).content_type, (g).content::jsonb, (select count(*)::int from unnest((g).headers) as h where h.field = 'X-Two') as two
        from http_get('${u}/a', '{"q": "x y"}') as g;
        insert into public.kept select (p).status, null, (p).content::jsonb from http_post('${u}/b', 'body', 'text/plain') as p;
        insert into public.kept select (p).status, null, (p).content::jsonb from http_put('${u}/c', 'body', 'text/plain') as p;
        insert into public.kept select (p).status, null, (p).content::jsonb from http_patch('${u}/d', 'body', 'text/plain') as p;
        insert into public.kept select (p).status, null, (p).content::jsonb from http_delete('${u}/e') as p;
        insert into public.kept select (p).status, null, null from http_head('${u}/f') as p;
        insert into public.kept select (p).status, null, (p).content::jsonb from
          http(('GET', '${u}/g', http_headers('X-Own', 'yes', 'Authorization', 'Bearer t'), null, null)::http_request) as p;
        commit; select jsonb_agg(to_jsonb(kept)) as rows from public.kept`);
      const answer = (method: string, url: string, body = '') => ({ method, url, body });
      expect(row!.rows).toEqual([
        {
          status: 202,
          content_type: 'application/json; charset=utf-8',
          content: answer('GET', '/a?q=x+y'),
          two: 2,
        },
        ...[
          answer('POST', '/b', 'body'),
          answer('PUT', '/c', 'body'),
          answer('PATCH', '/d', 'body'),
          answer('DELETE', '/e'),
          null,
          answer('GET', '/g'),
        ].map((content) => ({ status: 202, content_type: null, content, two: null })),
      ]);
      expect(other.seen.at(-1)!.headers).toMatchObject({ 'x-own': 'yes', authorization: 'Bearer t' });
    });

    it('gives the bytes of an answer that is no text, and reads one in another encoding', async () => {
      await using other = await openOther(({ url }, response) => {
        if (url === '/bytes') response.end(Buffer.from('89504e470d0a1aff', 'hex'));
        else
          response
            .writeHead(200, { 'content-type': 'text/plain; charset=iso-8859-1' })
            .end(Buffer.from('fc', 'hex'));
      });
      expect(
        await stage.ask(
          `select encode(text_to_bytea((http_get('${other.url}/bytes')).content), 'hex') as bytes, (http_get('${other.url}/u')).content as text`,
        ),
      ).toEqual([{ bytes: '89504e470d0a1aff', text: 'ü' }]);
    });

    it('raises upstream’s errors', async () => {
      const expected = [
        [`http_get(null)`, 'XX000', /^http_request\.uri is NULL$/],
        [`http_post('http://a.test', null, 'text/plain')`, 'XX000', /^http_request\.content is NULL$/],
        [
          `http_get('http://127.0.0.1:1/')`,
          'XX000',
          /^Failed to connect to 127\.0\.0\.1 port 1 after \d+ ms: Couldn't connect to server$/,
        ],
        [
          `http_get('http://no-such-host.invalid/')`,
          'XX000',
          /^Could not resolve host: no-such-host\.invalid$/,
        ],
        [`http_get('http://10.255.255.1/')`, 'XX000', /egress\.allow does not hold it/],
        [`http_get('file:///etc/passwd')`, 'XX000', /^Unsupported protocol$/],
        [
          `set_config('http.curlopt_proxy', 'x', true); select http_get('http://a.test/')`,
          '0A000',
          /^curl option 'CURLOPT_PROXY' is not acted on by Millrace$/,
        ],
        [`http_set_curlopt('CURLOPT_SSL_VERIFYPEER', '0')`, '0A000', /is not acted on by Millrace$/],
        [
          `http_set_curlopt('CURLOPT_NO', '0')`,
          'XX000',
          /^curl option 'CURLOPT_NO' is not available for run-time configuration$/,
        ],
        [`urlencode('[]'::jsonb)`, '22023', /^cannot call urlencode_jsonb on a non-object$/],
      ] as const;
      for (const [call, code, message] of expected)
        expect(await stage.refused(`select ${call}`)).toEqual([code, expect.stringMatching(message)]);
    });

    it('stops waiting when its time is over, or the statement’s, and keeps no connection', async () => {
      let gone!: () => void;
      const left = new Promise<void>((resolve) => {
        gone = resolve;
      });
      await using other = await openOther((_, __, incoming) => incoming.socket.once('close', () => gone()));
      expect(
        await stage.refused(
          `select http_set_curlopt('CURLOPT_TIMEOUT_MS', '120'); select http_get('${other.url}')`,
        ),
      ).toEqual(['XX000', expect.stringMatching(/^Operation timed out after \d+ milliseconds$/)]);
      await left;
      expect(await stage.refused(`set statement_timeout = 300; select http_get('${other.url}/b')`)).toEqual([
        '57014',
        'canceling statement due to statement timeout',
      ]);
      await stage.until(
        `not exists (select from pg_stat_activity where application_name = 'millrace http' and datname = current_database())`,
        'supabase_admin',
      );
      expect(
        await stage.ask('select count(*)::int as calls from _millrace.http_calls', 'millrace_admin'),
      ).toEqual([{ calls: 0 }]);
    });

    it('is there for the API’s roles, and gives them nothing but the answer', async () => {
      await using other = await openOther((_, response) => response.end('ok'));
      await withClient(stage.login('authenticator'), async (client) => {
        await client.query('set role anon');
        const { rows } = await client.query(`select (extensions.http_get('${other.url}')).content`);
        expect(rows).toEqual([{ content: 'ok' }]);
      });
      for (const sql of [
        `select _millrace.dblink_connect('x', 'host=127.0.0.1')`,
        `select * from _millrace.http_call('GET', 'http://a.test', '[]', null, '{}', 1)`,
        `select _millrace.http_give_up(gen_random_uuid())`,
      ])
        expect(await stage.refused(sql)).toEqual([
          '42501',
          expect.stringMatching(/^permission denied for function/),
        ]);
    });

    it('runs no function of the project’s that stands beside its own', async () => {
      await using other = await openOther((_, response) => response.end('ok'));
      const beside = [
        ['text_to_bytea', 'varchar', 'bytea'],
        ['bytea_to_text', 'anyelement', 'text'],
        ['_refuse_curlopt', 'varchar', 'void'],
        ['_curlopt_ms', 'varchar, integer', 'integer'],
      ] as const;
      for (const [name, parameters, result] of beside)
        await stage.ask(`create function extensions.${name}(${parameters}) returns ${result} language plpgsql as
          $$ begin raise exception 'run as %', current_user; end $$`);
      try {
        const rows = await stage.ask(`select (http_post('${other.url}', 'body', 'text/plain')).content`);
        expect(rows).toEqual([{ content: 'ok' }]);
      } finally {
        for (const [name, parameters] of beside)
          await stage.ask(`drop function extensions.${name}(${parameters})`);
      }
    });

    it('takes as many calls at once as it has connections, and refuses one more', async () => {
      let release!: () => void;
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      let [held, full] = [0, () => {}];
      const all = new Promise<void>((resolve) => {
        full = resolve;
      });
      await using other = await openOther((_, response) => {
        held += 1;
        if (held === 8) full();
        void released.then(() => response.end('ok'));
      });
      await stage.ask(`alter role ${await roleOf(stage)} connection limit 8`, 'supabase_admin');
      const calls = Array.from({ length: 8 }, (_, n) =>
        stage.ask(`select (http_get('${other.url}/${n}')).content`),
      );
      await all;
      expect(await stage.refused(`select http_get('${other.url}/more')`)).toEqual([
        '53300',
        'http() found no connection to hand its request over',
      ]);
      release();
      expect(await Promise.all(calls)).toEqual(Array(8).fill([{ content: 'ok' }]));
    });
  });
}

async function roleOf(stage: {
  ask(sql: string, role: 'millrace_admin'): Promise<readonly Record<string, unknown>[]>;
}) {
  const [row] = await stage.ask('select role from _millrace.http_login', 'millrace_admin');
  return String(row!.role);
}
