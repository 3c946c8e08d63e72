// In charge of: an operator plane over a test database, without a port and without a socket.

import type { Observation } from '../../src/base/observe.ts';
import type { Clock } from '../../src/base/time.ts';
import type { Database } from '../../src/engine/db/database.ts';
import { type LiveSettings, openSettings } from '../../src/engine/settings/live.ts';
import { openStoredSettings } from '../../src/engine/settings/stored.ts';
import type { Scope } from '../../src/server/admin/env.ts';
import { watchLeases } from '../../src/server/admin/lease-watch.ts';
import { type Metrics, openMetrics } from '../../src/server/admin/metrics.ts';
import { type AdminPlane, buildAdmin } from '../../src/server/admin/plane.ts';
import { adminSettings } from '../../src/server/admin/settings.ts';
import { serverSettings } from '../../src/server/settings.ts';
import { openTestDatabase, type TestDatabase } from './database.ts';

export interface TestPlane extends AsyncDisposable {
  readonly test: TestDatabase;
  readonly database: Database;
  readonly settings: LiveSettings;
  readonly plane: AdminPlane;
  readonly metrics: Metrics;
  readonly observed: Observation[];
  /** Asks the door on the port. */
  remote(route: string, options?: AskOptions): Promise<Asked>;
  /** Asks the local socket's door. */
  local(route: string, options?: AskOptions): Promise<Asked>;
  /** A token with these scopes, made on the local socket. */
  token(name: string, scopes: readonly Scope[], days?: number | null): Promise<string>;
}

export interface AskOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly address?: string;
}

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers have many shapes, and those are what the tests are about
  readonly body: any;
}

export const environment = {
  MILLRACE_JWT_SECRET: 'a-secret-that-nobody-may-read-0123456789',
  MILLRACE_MAX_BODY_BYTES: '2000000',
};

export async function openTestPlane(now: Clock = Date.now): Promise<TestPlane> {
  const test = await openTestDatabase();
  const database = await test.open();
  const observed: Observation[] = [];
  const observe = (observation: Observation) => void observed.push(observation);
  const { db, fanout } = database;
  const settings = openSettings([serverSettings, adminSettings], {
    file: { gateway: { request_timeout: '30s' } },
    environment,
  });
  const stored = await openStoredSettings(settings, db, fanout, observe);
  const leases = watchLeases(database.leases, now);
  const metrics = openMetrics({
    db,
    pool: database.requests,
    poolSize: 10,
    inFlight: () => 3,
    leases,
    build: { version: '1.2.3', engine: 'embedded', postgres: '18.1' },
    observe,
  });
  const plane = buildAdmin({
    db,
    settings,
    stored,
    metrics,
    status: () => ({ version: '1.2.3' }),
    isRemoteOpen: () => settings.of(adminSettings).now().remoteOperators,
    owner: 'ada',
    now,
    observe,
  });
  const asker =
    (app: AdminPlane['remote']) =>
    async (
      route: string,
      { token, headers, body, address = '192.0.2.7' }: AskOptions = {},
    ): Promise<Asked> => {
      const [method = 'GET', path = ''] = route.split(' ');
      const answer = await app.request(
        `/admin/v1${path}`,
        {
          method,
          headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
          ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        },
        { address, requestId: 'request-1' },
      );
      const text = await answer.text();
      const isJson = answer.headers.get('content-type')?.startsWith('application/json') ?? false;
      return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
    };
  const local = asker(plane.local);
  return {
    test,
    database,
    settings,
    plane,
    metrics,
    observed,
    local,
    remote: asker(plane.remote),
    async token(name, scopes, days) {
      const made = await local('POST /operators', {
        body: { name, scopes, ...(days === undefined ? {} : { expires_in_days: days }) },
      });
      if (made.status !== 201) throw new Error(JSON.stringify(made.body));
      return made.body.token as string;
    },
    async [Symbol.asyncDispose]() {
      metrics.close();
      stored.close();
      await database.close();
      await test[Symbol.asyncDispose]();
    },
  };
}
