// In charge of: what the tests of the shape share: a server of their own, for roles belong to a whole cluster, and questions to it.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import type { Observation } from '../../../base/observe.ts';
import { withClient } from '../client.ts';
import type { LoginRole } from '../db.ts';
import { openPostgres } from '../postgres/supervisor.ts';
import { bootstrapDatabase, type Shape, type ShapeOptions } from './shape.ts';

export interface Cluster extends AsyncDisposable {
  login(role: LoginRole, database?: string): ClientConfig;
  /** A login by password over TCP, as people and external servers do it. */
  byPassword(user: string, password: string, database?: string): ClientConfig;
}

/** A PostgreSQL of this version without any role of ours but `supabase_admin`. */
export async function openCluster(major: number): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-shape-'));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(folder, 0o711);
  const server = await openPostgres({
    project: folder,
    data: join(folder, 'state'),
    systemFolder: join(folder, 'system'),
    majorVersion: major,
    port: 0,
    password: 'postgres',
    parameters: { synchronous_commit: false },
    observe: () => {},
  });
  const { hostname, port } = new URL(server.url);
  return {
    login: (role, database) => server.login(role, database),
    byPassword: (user, password, database = 'postgres') => ({
      host: hostname,
      port: Number(port),
      user,
      password,
      database,
    }),
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const shapeOptions: ShapeOptions = {
  external: false,
  passwordOf: (role) => (role === 'postgres' ? 'pässword ﬁ' : undefined),
  autoExposeNewTables: true,
  observe: () => {},
};

/** Shapes as the program does; also says how many queries that took and what was observed. */
export async function shape(
  config: ClientConfig,
  options: Partial<ShapeOptions> = {},
): Promise<Shape & { readonly queries: number; readonly observed: readonly Observation[] }> {
  const observed: Observation[] = [];
  return withClient(config, async (client) => {
    let queries = 0;
    const original = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      queries += 1;
      return original(...args);
    }) as typeof client.query;
    const result = await bootstrapDatabase(client, {
      ...shapeOptions,
      observe: (observation) => observed.push(observation),
      ...options,
    });
    return { ...result, queries, observed };
  });
}

/** The rows of the last statement. */
export function rows(config: ClientConfig, sql: string, params?: readonly unknown[]): Promise<unknown[][]> {
  return withClient(config, async (client) => {
    const answer = params
      ? await client.query({ text: sql, values: [...params], rowMode: 'array' })
      : await client.query({ text: sql, rowMode: 'array' });
    return answer.rows as unknown[][];
  });
}

/** What comes of statements in one session that is rolled back: `ok`, or the SQLSTATE of the first that fails. */
export function attempt(config: ClientConfig, ...statements: readonly string[]): Promise<string> {
  return withClient(config, async (client) => {
    await client.query('begin');
    try {
      for (const statement of statements) await client.query(statement);
      return 'ok';
    } catch (error) {
      // Sound: what `query` throws is a DatabaseError here; the connection is on a socket of this machine.
      return (error as { code: string }).code;
    } finally {
      await client.query('rollback');
    }
  });
}
