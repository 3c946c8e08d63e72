// In charge of: the operator plane as an app, once for the port and once for the local socket. The routes are the same; who comes in is not.
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { Fault } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../../engine/db/db.ts';
import type { LiveSettings } from '../../engine/settings/live.ts';
import type { StoredSettings } from '../../engine/settings/stored.ts';
import { requestIdOf } from '../request-id.ts';
import { faultOf, maxBodyBytes, renderFault } from './answers.ts';
import { localDoor, refuseBrowsers, remoteDoor } from './doors.ts';
import type { AdminEnv, Scope } from './env.ts';
import type { Metrics } from './metrics.ts';
import { operatorRoutes } from './operator-routes.ts';
import type { AdminRoute } from './route.ts';
import { settingRoutes } from './setting-routes.ts';

export const adminMount = '/admin/v1';

/** Routes that another part brings: `keys`. Their own errors are Faults. */
export interface AdminPart {
  readonly path: `/${string}`;
  readonly scope: Scope;
  readonly sentence: string;
  /** Relative to `path`. */
  readonly routes: Hono<AdminEnv>;
}

export interface AdminOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly settings: LiveSettings;
  readonly stored: StoredSettings;
  readonly metrics: Pick<Metrics, 'render' | 'contentType'>;
  /** What `status --json` knows, without secrets. */
  readonly status: () => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>;
  /** Whether tokens are taken on the port: the setting gateway.remote_operators. */
  readonly isRemoteOpen: () => boolean;
  readonly parts?: readonly AdminPart[];
  /** The operating system's user whose socket it is. */
  readonly owner: string;
  readonly now: Clock;
  readonly observe: Observe;
}

export interface AdminPlane {
  /** For the port: whatever lies at or below `/admin/v1`. Bindings: `{ incoming, address, requestId }`, each may be absent. */
  readonly remote: Hono<AdminEnv>;
  /** For the local socket. */
  readonly local: Hono<AdminEnv>;
}

export function buildAdmin(options: AdminOptions): AdminPlane {
  const { db, isRemoteOpen: isOpen, now, observe, owner } = options;
  return {
    remote: build(options, remoteDoor({ db, isOpen, now, observe })),
    local: build(options, localDoor(owner)),
  };
}

function build(options: AdminOptions, door: MiddlewareHandler<AdminEnv>): Hono<AdminEnv> {
  const { observe, parts = [] } = options;
  const app = new Hono<AdminEnv>({ strict: false }).basePath(adminMount);
  app.use('*', framed(observe), refuseBrowsers(), door, bounded());
  const routes = [
    ...settingRoutes(options),
    ...operatorRoutes(options.db),
    metricsRoute(options),
    statusRoute(options),
  ];
  for (const { method, path, scope, answer } of routes) app.on(method, path, needs(scope), answer);
  for (const { path, scope, routes: more } of parts) {
    app.use(`${path}/*`, needs(scope));
    app.route(path, more);
  }
  app.get('/', (c) =>
    c.json({
      operator: {
        name: c.get('operator').name,
        via: c.get('operator').via,
        scopes: [...c.get('operator').scopes],
      },
      routes: [
        ...routes.map(({ method, path, scope, sentence }) => ({
          route: `${method} ${adminMount}${path}`,
          scope,
          sentence,
        })),
        ...parts.map(({ path, scope, sentence }) => ({ route: `${adminMount}${path}`, scope, sentence })),
      ],
    }),
  );
  app.notFound((c) => renderFault(nothingThere(app, c.req.method, c.req.path)));
  app.onError((error, c) => {
    const fault = faultOf(error);
    if (fault) return renderFault(fault);
    observe({
      kind: 'operator.error',
      level: 'error',
      path: c.req.path,
      requestId: c.get('requestId'),
      error,
    });
    return renderFault(internal(error));
  });
  return app;
}

function metricsRoute({ metrics }: AdminOptions): AdminRoute {
  return {
    method: 'GET',
    path: '/metrics',
    scope: ['metrics', 'read'],
    sentence: 'Metrics in the form that Prometheus reads.',
    answer: async (c) => c.body(await metrics.render(), 200, { 'content-type': metrics.contentType }),
  };
}

function statusRoute({ status }: AdminOptions): AdminRoute {
  return {
    method: 'GET',
    path: '/status',
    scope: 'read',
    sentence: 'What runs here, since when, and how it is. No secrets.',
    answer: async (c) => c.json(await status()),
  };
}

/** What each request has, and the line that says what became of it. */
function framed(observe: Observe): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const startedMs = performance.now();
    // A test and a mounted backend call without bindings.
    const { address, incoming, requestId = requestIdOf(c.req.header('x-request-id')) } = c.env ?? {};
    c.set('address', address ?? incoming?.socket?.remoteAddress ?? '');
    c.set('requestId', requestId);
    await next();
    c.header('cache-control', 'no-store');
    c.header('x-content-type-options', 'nosniff');
    c.header('x-request-id', requestId);
    const { method, path } = c.req;
    const operator = c.get('operator');
    observe({
      kind: 'operator.request',
      // A scraper comes every few seconds, and its line says nothing.
      level: path === `${adminMount}/metrics` && c.res.status === 200 ? 'debug' : 'info',
      operator: operator?.name,
      via: operator?.via,
      method,
      path,
      status: c.res.status,
      durationMs: Math.round((performance.now() - startedMs) * 100) / 100,
      requestId,
    });
  };
}

/**
 * On Node the head says how long the body is, and no head says that there is none: counting would rebuild the request, which the
 * adapter's cannot be. A `fetch` Request has no such head, so its body is counted.
 */
function bounded(): MiddlewareHandler<AdminEnv> {
  const counted = bodyLimit({
    maxSize: maxBodyBytes,
    onError() {
      throw tooLong;
    },
  });
  return async (c, next) => {
    const headers = c.env?.incoming?.headers;
    if (headers === undefined) return counted(c, next);
    if (headers['transfer-encoding'] !== undefined) throw lengthRequired;
    if (Number(headers['content-length'] ?? 0) > maxBodyBytes) throw tooLong;
    return next();
  };
}

const tooLong = new Fault({
  status: 413,
  code: 'payload_too_large',
  message: `The body is longer than ${maxBodyBytes} bytes.`,
  hint: 'Nothing on the operator plane needs a longer one.',
});

const lengthRequired = new Fault({
  status: 411,
  code: 'length_required',
  message: 'The body comes without its length.',
  hint: 'Send it with Content-Length.',
});

function needs(scope: Scope | readonly Scope[]): MiddlewareHandler<AdminEnv> {
  const wanted = typeof scope === 'string' ? [scope] : scope;
  return async (c, next) => {
    const operator = c.get('operator');
    if (!wanted.some((one) => operator.scopes.has(one))) {
      throw new Fault({
        status: 403,
        code: 'scope_missing',
        message: `The operator token "${operator.name}" has no scope "${wanted.join('" or "')}"; it has "${[...operator.scopes].join('", "')}".`,
        hint: `Make one that has: millrace operators create NAME --scopes ${wanted[0]}`,
      });
    }
    await next();
  };
}

/** 404, or 405 with the methods that the path has. */
function nothingThere(app: Hono<AdminEnv>, method: string, path: string): Fault {
  const bare = path.length > 1 ? path.replace(/\/+$/, '') : path;
  const methods = new Set(
    app.routes
      .filter((route) => route.method !== 'ALL' && matches(route.path.replace(/\/+$/, ''), bare))
      .map((route) => route.method),
  );
  if (methods.size === 0) {
    return new Fault({
      status: 404,
      code: 'not_found',
      message: `There is nothing at "${path}".`,
      hint: `GET ${adminMount}/ lists what is here.`,
    });
  }
  const allow = [...methods].join(', ');
  return new Fault({
    status: 405,
    code: 'method_not_allowed',
    message: `"${path}" takes no ${method}.`,
    hint: `It takes ${allow}.`,
    headers: { allow },
  });
}

/** Whether a path is of a route's pattern: the same number of parts, those without a colon the same. */
function matches(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => part.startsWith(':') || part === given[index])
  );
}

function internal(cause: unknown): Fault {
  const message = 'Something went wrong here. The log of the server says what.';
  return new Fault({ status: 500, code: 'internal', message }, cause);
}
