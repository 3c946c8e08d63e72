// In charge of: the two servers that a person would write by hand, for comparison with ours. They use nothing of ours.
// Run as a process of its own: `hand-written.ts limit|application <login as JSON>`; prints its port.
import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import pg from 'pg';

/** One row by key as JSON made by Postgres: the statement that both run. */
const rowByKey = `select coalesce(json_agg(t), '[]')::text as body from (select id, owner, title, body from public.bench_items where id = $1) t`;
const role = 'authenticated';
const claims = '{"role":"authenticated","sub":"00000000-0000-0000-0000-000000000001"}';
const connections = 10;

/** `set_config` and the query behind one Sync, both prepared. Nothing above `pg` can be faster. */
class OneRoundTrip implements pg.Submittable {
  static readonly #prepared = new WeakSet<pg.Connection>();
  #body = '';
  readonly #id: string;
  readonly #done: (error: unknown, body: string) => void;

  constructor(id: string, done: (error: unknown, body: string) => void) {
    this.#id = id;
    this.#done = done;
  }

  submit(connection: pg.Connection): void {
    // biome-ignore lint/suspicious/noExplicitAny: @types/pg does not know the messages of a Connection.
    const wire = connection as any;
    wire.stream.cork();
    if (!OneRoundTrip.#prepared.has(connection)) {
      OneRoundTrip.#prepared.add(connection);
      wire.parse({
        name: 'context',
        text: `select from (select set_config('role', $1, true) || set_config('request.jwt.claims', $2, true) as set) c where set is null`,
      });
      wire.parse({ name: 'row', text: rowByKey });
    }
    wire.bind({ portal: '', statement: 'context', values: [role, claims] });
    wire.execute({ portal: '', rows: 0 });
    wire.bind({ portal: '', statement: 'row', values: [this.#id] });
    wire.execute({ portal: '', rows: 0 });
    wire.sync();
    wire.stream.uncork();
  }
  handleDataRow({ fields }: { fields: string[] }): void {
    this.#body = fields[0]!;
  }
  handleReadyForQuery(): void {
    this.#done(undefined, this.#body);
  }
  handleError(error: unknown): void {
    this.#done(error, '');
  }
  handleRowDescription(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}
  handleCopyData(): void {}
}

function limitServer(login: pg.ClientConfig): Server {
  const pool = new pg.Pool({ ...login, max: connections });
  return createServer((request, response) => {
    const id = request.url!.slice(request.url!.lastIndexOf('.') + 1);
    pool.connect((error, client, release) => {
      if (error || !client) return void response.writeHead(500).end(String(error));
      client.query(
        new OneRoundTrip(id, (failure, body) => {
          release();
          if (failure) return void response.writeHead(500).end(String(failure));
          response.writeHead(200, {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          });
          response.end(body);
        }),
      );
    });
  });
}

/** Hono and `pg` with BEGIN, set_config, query, COMMIT: what an application would do. */
function applicationServer(login: pg.ClientConfig): Server {
  const pool = new pg.Pool({ ...login, max: connections });
  const app = new Hono();
  app.get('/rest/v1/bench_items', async (c) => {
    const id = c.req.query('id')!.slice('eq.'.length);
    const client = await pool.connect();
    try {
      await client.query('begin');
      const context = `select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`;
      await client.query({ name: 'context', text: context, values: [role, claims] });
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
const server = (kind === 'limit' ? limitServer : applicationServer)(JSON.parse(login!));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  console.log(typeof address === 'object' ? address?.port : '');
});
