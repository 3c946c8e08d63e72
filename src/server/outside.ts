// In charge of: what belongs to no service: our own pages and probes, and the answer to a path where there is nothing.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener, RequestError } from '@hono/node-server';
import { Hono } from 'hono';
import { errorMessage, Fault } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import type { Service } from '../engine/service/contract.ts';
import type { Headers } from '../engine/service/http.ts';
import type { AdminEnv } from './admin/env.ts';
import { adminMount } from './admin/plane.ts';
import { askForBody } from './node-http.ts';
import type { RequestHead } from './passage.ts';
import { requestIdOf } from './request-id.ts';

/** The Hono environment of a page: the Node objects behind a request; absent when the backend is used as a plain `fetch`. */
export interface PageEnv {
  Bindings: {
    readonly incoming?: IncomingMessage;
    readonly outgoing?: ServerResponse;
    /** The one client address. */
    readonly address?: string;
    /** Whether the client came over https. */
    readonly isSecure?: boolean;
  };
}

export interface OutsideOptions {
  /** `/`, `/health`, `/ready`, `/example/`. */
  readonly pages?: Hono<PageEnv> | undefined;
  /** Paths of its own; it names and logs its requests itself. */
  readonly admin?: Hono<AdminEnv> | undefined;
  readonly challengeResponse?: ((path: string) => string | undefined) | undefined;
  /** What goes out with every answer beside its own headers. */
  readonly secureHeaders: (isSecure: boolean, own: Headers) => Headers;
  /** Their mounts are named to whoever asks for nothing that is there. */
  readonly services: readonly Service[];
  readonly observe: Observe;
}

/** Everything outside of the services as one Hono app. */
export function buildOutside(options: OutsideOptions): Hono<PageEnv> {
  const { pages, admin, challengeResponse, secureHeaders, services, observe } = options;
  const app = new Hono<PageEnv>();
  app.use('*', async (c, next) => {
    await next();
    // Behind `next`: an answer that is made anew, as that for nothing found, has no header of before.
    for (const [name, value] of secureHeaders(c.env?.isSecure === true, [...c.res.headers]))
      c.header(name, value);
  });
  // Sound: what the plane reads of the bindings, and may be absent, has the same names here.
  if (admin) app.all(`${adminMount}/*`, (c) => admin.fetch(c.req.raw, c.env as never));
  app.use('*', async (c, next) => {
    const startedMs = performance.now();
    const requestId = requestIdOf(c.req.header('x-request-id'));
    await next();
    c.header('x-request-id', requestId);
    const { method, path } = c.req;
    const level = path === '/health' || path === '/ready' ? 'debug' : 'info';
    const durationMs = Math.round((performance.now() - startedMs) * 100) / 100;
    observe({ kind: 'http.request', level, method, path, status: c.res.status, durationMs, requestId });
  });
  if (challengeResponse) {
    app.get('/.well-known/acme-challenge/:token', (c) => {
      const found = challengeResponse(c.req.path);
      if (found === undefined) return c.notFound();
      return c.body(found, 200, { 'content-type': 'application/octet-stream' });
    });
  }
  if (pages) app.route('/', pages);
  app.notFound((c) =>
    renderPlain(
      new Fault({
        status: 404,
        code: 'not_found',
        message: `There is nothing at "${c.req.path}" for ${c.req.method}.`,
        hint: `Services here: ${services.map(({ mount }) => mount).join(', ')}.`,
      }),
    ),
  );
  app.onError((error, c) => {
    observe({ kind: 'http.error', level: 'error', path: c.req.path, error });
    return renderPlain(new Fault(internalFault, error));
  });
  return app;
}

export const internalFault = {
  status: 500,
  code: 'internal',
  message: 'Something went wrong here. The log of the server says what.',
};

/** A `fetch` function as a handler for Node's server, by Hono's adapter. */
export function fetchHandler(
  fetch: (request: Request, bindings: object) => Response | Promise<Response>,
  observe: Observe,
): (incoming: IncomingMessage, outgoing: ServerResponse, head?: RequestHead) => void {
  const heads = new WeakMap<IncomingMessage, RequestHead>();
  const withHead = (request: Request, bindings: { readonly incoming: IncomingMessage }) => {
    const head = heads.get(bindings.incoming);
    return fetch(request, { ...bindings, address: head?.address, isSecure: head?.isSecure });
  };
  // Sound: over HTTP/1 these are Node's own objects.
  const answer = getRequestListener(withHead as typeof fetch, {
    overrideGlobalObjects: true,
    // HTTP/1.0 has no Host, and some load balancers probe with it. No page looks at the name.
    hostname: 'localhost',
    errorHandler(error) {
      const malformed = error instanceof RequestError;
      observe({ kind: 'http.error', level: malformed ? 'info' : 'error', error });
      return renderPlain(malformed ? malformedRequest(errorMessage(error)) : new Fault(internalFault));
    },
  });
  // Never rejects: the adapter answers 500 itself.
  return (incoming, outgoing, head) => {
    if (head !== undefined) heads.set(incoming, head);
    askForBody(incoming, outgoing);
    void answer(incoming, outgoing);
  };
}

export function malformedRequest(problem: string): Fault {
  return new Fault({
    status: 400,
    code: 'malformed_request',
    message: `This is not an HTTP request: ${problem}.`,
  });
}

/** Outside of every service there is no protocol; this is the gateway's own shape. */
export function renderPlain({ status, code, message, hint, headers }: Fault): Response {
  return Response.json({ code, message, hint }, { status, headers });
}
