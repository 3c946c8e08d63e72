// In charge of: the workers behind extensions that this program provides: requests that SQL sends, and jobs by the clock.
import type { Observe } from '../base/observe.ts';
import type { Clock } from '../base/time.ts';
import { type Cron, openCron } from '../engine/cron/cron.ts';
import { withClient } from '../engine/db/client.ts';
import type { Database } from '../engine/db/database.ts';
import type { LoginRole } from '../engine/db/db.ts';
import { provideExtension } from '../engine/db/extensions/provide.ts';
import type { Leases } from '../engine/db/leases.ts';
import { jobLogin } from '../engine/db/postgres/job-login.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { openEgress } from '../engine/egress/egress.ts';
import { egressSettings } from '../engine/egress/settings.ts';
import { type Net, openNet, parallelRequests } from '../engine/net/net.ts';
import { openOutgoing } from '../engine/net/outgoing.ts';
import { openTaskRunner } from '../engine/service/tasks.ts';
import type { Closers } from './closers.ts';
import type { Gateway } from './gateway.ts';
import type { Prepared } from './prepare.ts';

export interface WorkerParts {
  readonly server: PostgresServer;
  readonly database: Database;
  readonly leases: Leases;
  readonly gateway: Pick<Gateway, 'fetch'>;
  /** Known once the port is open. */
  readonly apiUrl: () => string;
  /** Of this machine. */
  readonly port: () => number;
  readonly observe: Observe;
  readonly now: Clock;
}

/** How long a stop waits for requests that are under way. */
const drainMs = 3_000;

/** Starts them; they do nothing where their extension is not there. */
export async function openWorkers(prepared: Prepared, parts: WorkerParts, closers: Closers): Promise<void> {
  const { server, database, leases, gateway, apiUrl, port, observe, now } = parts;
  const { db, listener } = database;
  await provideForWebhooks(server, database);
  const config = prepared.settings.of(egressSettings);
  // One of its own: what SQL sends, however much that is, takes no place of a mail or of a sign-in.
  const maxConnectionsPerOrigin = parallelRequests;
  const egress = openEgress({ allow: () => config.now().allow, observe, now, maxConnectionsPerOrigin });
  closers.add(() => egress.close());
  const configured = Number(prepared.project.value('api.port') ?? defaultApiPort);
  const send = openOutgoing({
    egress,
    gateway: (request) => gateway.fetch(request),
    own: () => ({ externalUrl: apiUrl(), ports: [port(), configured], projectId: prepared.project.id }),
    now: () => performance.now(),
  });
  const net: Net = openNet({ db, owner: await projectOwner(database), listener, send, observe });
  const runner = openTaskRunner(net.tasks, leases, observe);
  closers.add(() => runner.close());
  closers.add(() => net.close(drainMs));
  const cron: Cron = openCron({
    db,
    leases,
    listener,
    loginOf: (role, name) => jobLogin(server, role, name),
    now,
    observe,
  });
  closers.add(() => cron.close());
}

/**
 * A dump of a hosted project has its webhooks as triggers and may leave out the extension that they send by. Without it nothing would be sent.
 */
async function provideForWebhooks(server: PostgresServer, { db }: Database): Promise<void> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<{ missing: boolean }>(
      // Asked of the catalog: by name it would need the right to use the schemas.
      `select exists (
         select from pg_trigger as hook join pg_proc as called on called.oid = hook.tgfoid
         where called.proname = 'http_request' and called.pronamespace = (select oid from pg_namespace where nspname = 'supabase_functions')
       ) and not exists (
         select from pg_class where relname = 'http_request_queue' and relnamespace = (select oid from pg_namespace where nspname = 'net')
       ) as missing`,
    ),
  );
  if (!rows[0]!.missing) return;
  const login = server.directLogin('supabase_admin') ?? server.login('supabase_admin');
  await withClient(login, (client) =>
    provideExtension(client, 'pg_net', { schema: 'extensions', external: server.engine === 'external' }),
  );
}

/**
 * Whose rights a project's triggers on `net._http_response` get: those of the role that its migrations run as. On somebody else's server that is
 * the URL's own user, unless we made `postgres` there.
 */
async function projectOwner({ db }: Database): Promise<LoginRole> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<{ ours: boolean }>(
      "select exists (select from _millrace.roles where name = 'postgres') as ours",
    ),
  );
  return rows[0]!.ours ? 'postgres' : 'supabase_admin';
}

/** Source: supabase/cli apps/cli-go/pkg/config/templates/config.toml. */
const defaultApiPort = 54321;
