// In charge of: a stage for the stories of extensions that need a worker: a database in shape, a server that answers, and the workers between them.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ClientConfig } from 'pg';
import type { Observation } from '../../src/base/observe.ts';
import { openCron } from '../../src/engine/cron/cron.ts';
import { withClient } from '../../src/engine/db/client.ts';
import { type Database, openDatabase } from '../../src/engine/db/database.ts';
import type { LoginRole } from '../../src/engine/db/db.ts';
import { jobLogin } from '../../src/engine/db/postgres/job-login.ts';
import type { PostgresServer } from '../../src/engine/db/postgres/server.ts';
import { openEgress } from '../../src/engine/egress/egress.ts';
import { openNet, parallelRequests } from '../../src/engine/net/net.ts';
import { openOutgoing } from '../../src/engine/net/outgoing.ts';
import { apply } from '../harness/migrations.ts';
import type { Shaped } from './tell.ts';

/** How a story gets its database; each suite of stories runs on every server that has one. */
export interface Place {
  readonly open: () => Promise<Shaped>;
  readonly server: Pick<PostgresServer, 'engine' | 'major'>;
  /** Run first, as the superuser. */
  readonly prepare?: string;
  /** A statement that waits keeps everybody waiting. */
  readonly hasOneSession?: true;
  /** How many requests are queued at once where that is the point; 100 unless said. */
  readonly many?: number;
}

export type Handler = (request: Seen, response: ServerResponse, incoming: IncomingMessage) => void;

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A server of this machine, and what it was asked. */
export interface Other extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly Seen[];
  /** How many requests it held at once at most. */
  readonly most: () => number;
}

export async function openOther(handle: Handler): Promise<Other> {
  const seen: Seen[] = [];
  let [held, most] = [0, 0];
  const server = createServer((incoming, response) => {
    held += 1;
    most = Math.max(most, held);
    response.once('close', () => {
      held -= 1;
    });
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request: Seen = {
        method: incoming.method ?? '',
        url: incoming.url ?? '',
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString(),
      };
      seen.push(request);
      handle(request, response, incoming);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    most: () => most,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Stage extends AsyncDisposable {
  login(role: LoginRole): ClientConfig;
  /** Several statements as one text, on a session of its own; the rows of the last. */
  ask(sql: string, role?: LoginRole): Promise<readonly Record<string, unknown>[]>;
  /** Asks again and again until a condition is true: on pglite a statement that waits keeps everybody waiting. */
  until(condition: string, role?: LoginRole): Promise<void>;
  /** The error of a statement: its SQLSTATE and its message. */
  refused(sql: string, role?: LoginRole): Promise<readonly [string | undefined, string]>;
  /** Starts the workers of a process of its own; closed with the stage, or before. */
  net(
    options?: NetOptions,
  ): Promise<{ readonly close: () => Promise<void>; readonly expire: () => Promise<void> }>;
  cron(options?: { readonly now?: () => number }): Promise<{
    readonly close: () => Promise<void>;
    readonly observed: readonly Observation[];
  }>;
}

export interface NetOptions {
  readonly gateway?: (request: Request) => Promise<Response>;
  /** Networks that may be connected to; this machine unless said. */
  readonly allow?: readonly string[];
}

/** A stage whose database has what `migration` makes. */
export async function openStage(place: Place, migration: string): Promise<Stage> {
  const db = await place.open();
  const isExternal = place.server.engine === 'external';
  const person: LoginRole = isExternal ? 'supabase_admin' : 'postgres';
  if (place.prepare !== undefined) {
    const { prepare } = place;
    await withClient(db.login('supabase_admin'), (client) => client.query(prepare));
  }
  const logins = isExternal ? { logins: { postgres: db.login('supabase_admin') } } : {};
  await apply(db, { migrations: { '1_story.sql': migration } }, logins);
  const server = {
    ...place.server,
    login: db.login,
    directLogin: db.login,
    prepared: 'auto',
  } as Partial<PostgresServer> as PostgresServer;
  const closers: (() => Promise<unknown>)[] = [];
  const openOwn = (): Promise<Database> =>
    openDatabase(
      server,
      { limits: { maxConnections: 4, acquireTimeoutMs: 5_000, maxWaiting: 100 }, prepared: 'auto' },
      () => {},
    );
  const ask: Stage['ask'] = (sql, role = person) =>
    withClient(db.login(role), async (client) => {
      const answer: unknown = await client.query(sql);
      // Several statements give an array of results; the last one counts.
      return ((Array.isArray(answer) ? answer.at(-1) : answer) as { rows: Record<string, unknown>[] }).rows;
    });
  return {
    login: db.login,
    ask,
    until: (condition, role = person) =>
      withClient(db.login(role), async (client) => {
        for (;;) {
          const { rows } = await client.query<{ done: boolean }>(`select (${condition}) as done`);
          if (rows[0]!.done) return;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }),
    async refused(sql, role) {
      try {
        await ask(sql, role);
      } catch (error) {
        // Sound: what a query throws on a session that stands is an error of the server.
        const { code, message } = error as Error & { code?: string };
        return [code, message];
      }
      throw new Error(`"${sql}" was not refused`);
    },
    async net({ gateway, allow = ['127.0.0.1'] } = {}) {
      const own = await openOwn();
      const egress = openEgress({
        allow: () => allow,
        observe: () => {},
        now: Date.now,
        maxConnectionsPerOrigin: parallelRequests,
      });
      const send = openOutgoing({
        egress,
        gateway: gateway ?? (async () => new Response('no gateway here', { status: 502 })),
        own: () => ({ externalUrl: 'http://127.0.0.1:54321', ports: [54321], projectId: 'stage' }),
        now: () => performance.now(),
      });
      const net = openNet({ db: own.db, owner: person, listener: own.listener, send, observe: () => {} });
      await own.listener?.ready;
      return closing(
        async () => {
          await net.close(500);
          await egress.close();
          await own.close();
        },
        {
          expire: () => net.tasks[0]!.run(new AbortController().signal),
        },
      );
    },
    async cron({ now = Date.now } = {}) {
      const own = await openOwn();
      const observed: Observation[] = [];
      const cron = openCron({
        db: own.db,
        leases: own.leases,
        listener: own.listener,
        loginOf: (role) => {
          const config = jobLogin(server, role, "the story's own");
          return config && { ...db.login('postgres'), user: config.user };
        },
        now,
        observe: (event) => observed.push(event),
      });
      await own.listener?.ready;
      return closing(
        async () => {
          await cron.close();
          await own.close();
        },
        { observed },
      );
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers.splice(0).reverse()) await close();
      await db[Symbol.asyncDispose]();
    },
  };

  /** Closed once, by the story or with the stage. */
  function closing<T extends object>(
    work: () => Promise<void>,
    more: T,
  ): T & { readonly close: () => Promise<void> } {
    let closed: Promise<void> | undefined;
    const close = () => (closed ??= work());
    closers.push(close);
    return { ...more, close };
  }
}
