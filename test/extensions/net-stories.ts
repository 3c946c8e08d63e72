// In charge of: what pg_net and webhooks do, told on any server.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type NetOptions, openOther, openStage, type Place, type Stage } from './stage.ts';

const created = 'create extension if not exists "pg_net" with schema "extensions";';

const answered = (count: number) => `(select count(*) from net._http_response) >= ${count}`;

export function netStories(place: Place): void {
  describe('requests that SQL asks for', () => tellNet(place));
}

function tellNet(place: Place): void {
  const { many = 100 } = place;
  let stage: Stage;
  let net: Awaited<ReturnType<Stage['net']>>;
  let gateway: NonNullable<NetOptions['gateway']>;
  beforeAll(async () => {
    stage = await openStage(place, created);
    net = await stage.net({ gateway: (request) => gateway(request) });
  });
  afterAll(() => stage[Symbol.asyncDispose]());
  beforeEach(async () => {
    gateway = async () => new Response('nobody asks here', { status: 502 });
    await stage.ask(
      'truncate net.http_request_queue, net._http_response; alter sequence net.http_request_queue_id_seq restart',
      'millrace_admin',
    );
  });

  describe('pg_net', () => {
    it('sends what was asked for, and keeps the answer', async () => {
      await using other = await openOther(({ url }, response) => {
        response.writeHead(url.startsWith('/lost') ? 404 : 201, {
          'Content-Type': 'text/plain',
          'X-Kind': 'test',
        });
        response.end(`answer to ${url}`);
      });
      const [row] = await stage.ask(`
        select net.http_get('${other.url}/a?x=1', '{"q": "a b/ü", "n": 2}', '{"X-Own": "yes"}') as get,
          net.http_post('${other.url}/p', '{"k": "v"}', headers := '{"apikey": "k"}') as post,
          net.http_delete('${other.url}/lost', body := '{"why": 1}') as delete`);
      expect(row).toEqual({ get: '1', post: '2', delete: '3' });
      await stage.until(answered(3));
      expect(
        await stage.ask(`select id, status_code, content_type, headers ->> 'X-Kind' as kind, content, timed_out, error_msg
          from net._http_response order by id`),
      ).toEqual(
        [
          ['1', 201, '/a?x=1&n=2&q=a%20b%2F%C3%BC'],
          ['2', 201, '/p'],
          ['3', 404, '/lost'],
        ].map(([id, status, url]) => ({
          id,
          status_code: status,
          content_type: 'text/plain',
          kind: 'test',
          content: `answer to ${url}`,
          timed_out: false,
          error_msg: null,
        })),
      );
      const seen = [...other.seen].sort((one, two) => one.method.localeCompare(two.method));
      expect(seen.map(({ method, body }) => [method, body])).toEqual([
        ['DELETE', '{"why": 1}'],
        ['GET', ''],
        ['POST', '{"k": "v"}'],
      ]);
      expect(seen[1]!.headers).toMatchObject({
        'x-own': 'yes',
        'user-agent': 'pg_net/0.20.4',
        accept: '*/*',
      });
      expect(seen[2]!.headers).toMatchObject({ apikey: 'k', 'content-type': 'application/json' });
      expect(await stage.ask('select count(*)::int as queued from net.http_request_queue')).toEqual([
        { queued: 0 },
      ]);
      expect(
        await stage.ask('select status, message, (response).status_code from net._http_collect_response(3)'),
      ).toEqual([{ status: 'SUCCESS', message: 'ok', status_code: 404 }]);
    });

    it('sends nothing of a transaction that is taken back, and nothing before the commit', async () => {
      await using other = await openOther((_, response) => response.end('ok'));
      await stage.ask(`begin; select net.http_get('${other.url}/never'); rollback`);
      // Where there is one session, nobody else gets in while its transaction is open.
      const late = place.hasOneSession ? undefined : await openSession(stage.login('supabase_admin'));
      await late?.query(`begin; select net.http_get('${other.url}/late')`);
      await stage.ask(`select net.http_get('${other.url}/soon')`);
      await stage.until(answered(1));
      expect(other.seen.map(({ url }) => url)).toEqual(['/soon']);
      if (late === undefined) return;
      await late.query('commit');
      await late.end();
      await stage.until(answered(2));
      expect(other.seen.map(({ url }) => url)).toEqual(['/soon', '/late']);
    });

    it('refuses what is no URL, and a body that is no JSON', async () => {
      const expected = [
        [`net.http_get('localhost:6666')`, 'XX000', 'invalid URL "localhost:6666": Unsupported URL scheme'],
        [`net.http_get('/malformed_url')`, 'XX000', 'invalid URL "/malformed_url": Bad scheme'],
        [`net.http_get('http://')`, 'XX000', 'invalid URL "http://": No host part in the URL'],
        [
          `net.http_get(null)`,
          '23502',
          'null value in column "url" of relation "http_request_queue" violates not-null constraint',
        ],
        [
          `net.http_post('http://a.test', headers := '{"content-type": "text/plain"}')`,
          'P0001',
          'Content-Type header must be "application/json"',
        ],
      ] as const;
      for (const [call, code, message] of expected)
        expect(await stage.refused(`select ${call}`)).toEqual([code, message]);
    });

    it('says why there is no answer, and goes on', async () => {
      await using other = await openOther(({ url }, response, incoming) => {
        if (url === '/cut') incoming.socket.destroy();
        else if (url !== '/slow') response.end('ok');
      });
      await stage.ask(`
        select net.http_get('http://127.0.0.1:1/closed'), net.http_get('${other.url}/cut'),
          net.http_get('${other.url}/slow', timeout_milliseconds := 150), net.http_get('http://10.255.255.1/private'),
          net.http_get('http://no-such-host.invalid/'), net.http_get('${other.url}/fine')`);
      await stage.until(answered(6));
      const rows = await stage.ask(
        'select id, status_code, timed_out, error_msg from net._http_response order by id',
      );
      expect(rows).toEqual([
        { id: '1', status_code: null, timed_out: false, error_msg: "Couldn't connect to server" },
        {
          id: '2',
          status_code: null,
          timed_out: false,
          error_msg: 'Server returned nothing (no headers, no data)',
        },
        {
          id: '3',
          status_code: null,
          timed_out: true,
          error_msg: expect.stringMatching(/^Timeout of 150 ms reached\. Total time: \d+\.\d{6} ms$/),
        },
        {
          id: '4',
          status_code: null,
          timed_out: false,
          error_msg: expect.stringContaining('egress.allow does not hold it'),
        },
        { id: '5', status_code: null, timed_out: false, error_msg: "Couldn't resolve host name" },
        { id: '6', status_code: 200, timed_out: false, error_msg: null },
      ]);
      expect(await stage.ask('select status, message from net._http_collect_response(1)')).toEqual([
        { status: 'ERROR', message: "Couldn't connect to server" },
      ]);
    });

    it(`sends ${many} that wait, a bounded number at once, each once`, async () => {
      await using other = await openOther((_, response) => void setImmediate(() => response.end('ok')));
      const second = await stage.net();
      await stage.ask(`select net.http_get('${other.url}/' || n) from generate_series(1, ${many}) as n`);
      await stage.until(answered(many));
      await second.close();
      expect(new Set(other.seen.map(({ url }) => url)).size).toBe(many);
      expect(other.seen.length).toBe(many);
      // Of two processes.
      expect(other.most()).toBeLessThanOrEqual(2 * 32);
    }, 30_000);

    it('reaches the project’s own gateway by its names, with the caller’s headers and nobody’s address', async () => {
      const asked: unknown[] = [];
      gateway = async (request) => {
        const { apikey, host, 'x-forwarded-for': forwarded } = Object.fromEntries(request.headers);
        const { pathname } = new URL(request.url);
        asked.push([request.method, pathname, apikey, host, forwarded, await request.text()]);
        return new Response('in here', { headers: { 'content-type': 'text/plain' } });
      };
      for (const url of [
        'http://kong:8000',
        'http://api.supabase.internal:8000',
        'http://host.docker.internal:54321',
        'http://supabase_kong_stage:8000',
        'http://localhost:54321',
      ])
        await stage.ask(
          `select net.http_post('${url}/functions/v1/x', '{"a": 1}', headers := '{"apikey": "k", "X-Forwarded-For": "1.2.3.4", "Host": "evil"}')`,
        );
      await stage.ask(`select net.http_get('http://kong:9000/'), net.http_get('http://localhost:9/')`);
      await stage.until(answered(7));
      expect(asked).toEqual(
        Array(5).fill(['POST', '/functions/v1/x', 'k', undefined, undefined, '{"a": 1}']),
      );
      expect(
        await stage.ask(
          `select count(*) filter (where content = 'in here')::int as inside, count(error_msg)::int as failed from net._http_response`,
        ),
      ).toEqual([{ inside: 5, failed: 2 }]);
    });

    it('lets answers go after pg_net.ttl', async () => {
      await stage.ask(
        `insert into net._http_response (id, created) values (1, now() - interval '5 hours'), (2, now() - interval '7 hours')`,
      );
      await net.expire();
      expect(await stage.ask('select id from net._http_response')).toEqual([{ id: '1' }]);
    });

    it('goes on when the extension is dropped and created again', async () => {
      // Elsewhere a CREATE EXTENSION goes through the migration runner.
      if (place.server.engine !== 'embedded' && place.server.engine !== 'pglite') return;
      await using other = await openOther((_, response) => response.end('ok'));
      for (const path of ['/a', '/b']) {
        await stage.ask(`drop extension pg_net; ${created}`, 'supabase_admin');
        await stage.ask(`select net.http_get('${other.url}${path}')`);
        await stage.until(answered(1));
      }
      expect(other.seen.map(({ url }) => url)).toEqual(['/a', '/b']);
    });
  });

  describe('a database webhook', () => {
    it('posts the change of a row, once it is committed', async () => {
      await stage.ask(`create table public.orders (id int primary key, note text);
        create trigger told after insert or update or delete on public.orders for each row
          execute function supabase_functions.http_request(
            'http://host.docker.internal:54321/functions/v1/told', 'POST', '{"Content-Type":"application/json","X-From":"hook"}', '{"v":"1"}', '1000');`);
      const told: unknown[] = [];
      gateway = async (request) => {
        told.push([new URL(request.url).search, request.headers.get('x-from'), await request.json()]);
        return new Response('ok');
      };
      await stage.ask(`insert into public.orders values (1, 'new')`);
      await stage.until(answered(1));
      await stage.ask(`update public.orders set note = 'old'`);
      await stage.until(answered(2));
      await stage.ask('delete from public.orders');
      await stage.until(answered(3));
      const about = { table: 'orders', schema: 'public' };
      expect(told).toEqual([
        ['?v=1', 'hook', { ...about, type: 'INSERT', record: { id: 1, note: 'new' }, old_record: null }],
        [
          '?v=1',
          'hook',
          { ...about, type: 'UPDATE', record: { id: 1, note: 'old' }, old_record: { id: 1, note: 'new' } },
        ],
        ['?v=1', 'hook', { ...about, type: 'DELETE', record: null, old_record: { id: 1, note: 'old' } }],
      ]);
      expect(
        await stage.ask('select hook_name, request_id from supabase_functions.hooks order by id'),
      ).toEqual(['1', '2', '3'].map((id) => ({ hook_name: 'told', request_id: id })));
    });
  });
}

async function openSession(login: object) {
  const { default: pg } = await import('pg');
  const client = new pg.Client(login);
  await client.connect();
  return client;
}
