// In charge of: the two servers that a person would write by hand, for comparison with ours. They use nothing of ours.
// Run as a process of its own: `hand-written.ts limit|application <login as JSON>`; prints its port.
import { createServer, type Server, type ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import pg from 'pg';
import { type Scenario, scenarios } from './scenarios.ts';

const role = 'authenticated';
const claims = '{"role":"authenticated","sub":"00000000-0000-0000-0000-000000000001"}';
const connections = 10;

/** `set_config` and the query behind one Sync, both prepared. Nothing above `pg` can be faster. */
class OneRoundTrip implements pg.Submittable {
  static readonly #prepared = new WeakMap<pg.Connection, Set<string>>();
  #body = '';
  readonly #sql: string;
  readonly #params: readonly string[];
  readonly #done: (error: unknown, body: string) => void;

  constructor(sql: string, params: readonly string[], done: (error: unknown, body: string) => void) {
    this.#sql = sql;
    this.#params = params;
    this.#done = done;
  }

  submit(connection: pg.Connection): void {
    // biome-ignore lint/suspicious/noExplicitAny: @types/pg does not know the messages of a Connection.
    const wire = connection as any;
    let prepared = OneRoundTrip.#prepared.get(connection);
    wire.stream.cork();
    if (prepared === undefined) {
      prepared = new Set();
      OneRoundTrip.#prepared.set(connection, prepared);
      wire.parse({
        name: 'context',
        text: `select where set_config('role', $1, true) is null or set_config('request.jwt.claims', $2, true) is null`,
      });
    }
    const name = String(names.get(this.#sql));
    if (!prepared.has(name)) {
      prepared.add(name);
      wire.parse({ name, text: this.#sql });
    }
    wire.bind({ portal: '', statement: 'context', values: [role, claims] });
    wire.execute({ portal: '', rows: 0 });
    wire.bind({ portal: '', statement: name, values: this.#params });
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

const names = new Map(scenarios.map(({ sql }, index) => [sql, index]));

function limitServer(login: pg.ClientConfig): Server {
  const pool = new pg.Pool({ ...login, max: connections });
  const answer = (scenario: Scenario, path: string, sent: string, response: ServerResponse) => {
    pool.connect((error, client, release) => {
      if (error || !client) return void response.writeHead(500).end(String(error));
      const query = new OneRoundTrip(scenario.sql, scenario.params(path, sent), (failure, body) => {
        release();
        if (failure) return void response.writeHead(500).end(String(failure));
        response.writeHead(scenario.method === 'GET' ? 200 : 201, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        });
        response.end(body);
      });
      client.query(query);
    });
  };
  return createServer((request, response) => {
    const path = request.url!;
    const scenario = scenarios.find(({ prefix }) => path.startsWith(prefix))!;
    if (scenario.method === 'GET') return answer(scenario, path, '', response);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(scenario, path, Buffer.concat(chunks).toString(), response));
  });
}

/** Hono and `pg` with BEGIN, set_config, query, COMMIT: what an application would do. */
function applicationServer(login: pg.ClientConfig): Server {
  const pool = new pg.Pool({ ...login, max: connections });
  const app = new Hono();
  app.all('/rest/v1/*', async (c) => {
    const path = c.req.url.slice(c.req.url.indexOf('/rest/v1/'));
    const scenario = scenarios.find(({ prefix }) => path.startsWith(prefix))!;
    const values = [...scenario.params(path, scenario.method === 'POST' ? await c.req.text() : '')];
    const client = await pool.connect();
    try {
      await client.query('begin');
      const context = `select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`;
      await client.query({ name: 'context', text: context, values: [role, claims] });
      const { rows } = await client.query({
        name: String(names.get(scenario.sql)),
        text: scenario.sql,
        values,
      });
      await client.query('commit');
      return c.body(rows[0].body ?? '', scenario.method === 'GET' ? 200 : 201, {
        'content-type': 'application/json',
      });
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
