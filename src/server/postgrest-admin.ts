// In charge of: the admin port of a PostgREST process. Source: PostgREST 14.12, src/PostgREST/Admin.hs; docs/references/admin_server.rst.
import type { CatalogSource } from '../engine/catalog/source.ts';
import type { ServerHealth } from '../engine/db/postgres/server.ts';

export interface AdminFacts {
  readonly catalog: CatalogSource;
  /** The connections of requests at this moment. */
  readonly requests: () => { readonly total: number; readonly idle: number; readonly waiting: number };
  readonly poolSize: number;
  readonly health: () => Promise<ServerHealth>;
}

/** @param facts undefined as long as the database has not answered. */
export function buildPostgrestAdmin(
  facts: () => AdminFacts | undefined,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const known = facts();
    switch (new URL(request.url).pathname) {
      case '/live':
        return new Response(null);
      case '/ready': {
        const isReady = known !== undefined && (await known.health()).ok;
        return new Response(null, { status: isReady ? 200 : 503 });
      }
      case '/schema_cache':
        return new Response(known ? JSON.stringify(known.catalog.now(), plain) : null);
      case '/metrics':
        return new Response(known ? metrics(known) : '', {
          headers: { 'content-type': 'text/plain; charset=utf-8' },
        });
      default:
        return new Response(null, { status: 404 });
    }
  };
}

/** The names are PostgREST's; of its metrics these are the ones that a state has, and no history. */
function metrics({ requests, poolSize }: AdminFacts): string {
  const gauge = (name: string, sentence: string, value: number) =>
    `# HELP ${name} ${sentence}\n# TYPE ${name} gauge\n${name} ${value}\n`;
  const { total, idle, waiting } = requests();
  return (
    gauge('pgrst_db_pool_max', 'Max pool connections', poolSize) +
    gauge('pgrst_db_pool_available', 'Available connections in the pool', poolSize - total + idle) +
    gauge('pgrst_db_pool_waiting', 'Requests waiting to acquire a pool connection', waiting)
  );
}

/** Maps and sets as JSON has them. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  return value instanceof Set ? [...value] : value;
}
