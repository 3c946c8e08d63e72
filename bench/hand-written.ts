// In charge of: the two servers that a person would write by hand, for comparison. Run as a process of its own:
// `hand-written.ts limit|application <login JSON>`; prints its port.
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import pg from 'pg';
import { openPool } from '../src/engine/db/pool.ts';
import { openDb } from '../src/engine/db/session.ts';
import type { Caller } from '../src/engine/identity/caller.ts';

/** The statement that both servers run: one row by key, as JSON made by Postgres, under the caller's policies. */
export const rowByKey =
  `select coalesce(json_agg(t), '[]')::text as body from (select id, owner, title, body from public.bench_items where id = $1) t`;

const claims = '{"role":"authenticated","sub":"00000000-0000-0000-0000-000000000001"}';
const caller: Caller = { role: 'authenticated', claims, subject: undefined, by: 'token' };

/** `node:http` and the same prepared query with role and claims in one round trip: what nothing above `pg` can beat. */
function limitServer(login: pg.ClientConfig) {
  const limits = { maxConnections: 10, acquireTimeoutMs: 10_000, maxWaiting: 10_000 };
  const pool = openPool(login, limits, () => {});
  const db = openDb({ requests: pool, limits, ownerPool: () => pool, prepared: 'on', observe: () => {} });
  return createServer((request, response) => {
    const id = request.url!.slice(request.url!.lastIndexOf('.') + 1);
    db.as(caller, { statement: { text: rowByKey, params: [id] }, readOnly: true }).then(
      ({ rows }) => {
        const body = rows[0]![0]!;
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
        response.end(body);
      },
      (error) => {
        response.writeHead(500);
        response.end(String(error));
      },
    );
  });
}

/** Hono and `pg` with BEGIN, set_config, query, COMMIT: what an application would do. */
function applicationServer(login: pg.ClientConfig) {
  const pool = new pg.Pool({ ...login, max: 10 });
  const app = new Hono();
  app.get('/rest/v1/bench_items', async (c) => {
    const id = c.req.query('id')!.slice('eq.'.length);
    const client = await pool.connect();
    try {
      await client.query('begin');
      await client.query({
        name: 'context',
        text: `select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`,
        values: ['authenticated', claims],
      });
      const { rows } = await client.query({ name: 'row', text: rowByKey, values: [id] });
      await client.query('commit');
      return c.body(rows[0].body, 200, { 'content-type': 'application/json' });
    } finally {
      client.release();
    }
  });
  return createServer(getRequestListener(app.fetch));
}

const [kind, login] = process.argv.slice(2);
if (kind !== undefined && login !== undefined) {
  const server = (kind === 'limit' ? limitServer : applicationServer)(JSON.parse(login));
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    console.log(typeof address === 'object' ? address?.port : '');
  });
}
