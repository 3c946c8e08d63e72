// In charge of: what every request passes before a service sees it. Request id, CORS, body and time limits, who is asking, the log line.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { Fault } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import type { ValuesOf } from '../base/settings.ts';
import type { Identity } from '../engine/identity/identity.ts';
import type { Env, Running, Service } from '../engine/service/contract.ts';
import type { Live } from '../engine/settings/live.ts';
import type { Cors } from './cors.ts';
import type { DevelopmentDoor } from './development-door.ts';
import type { serverSettings } from './settings.ts';

/** The Node objects behind a request; absent when the backend is used as a plain `fetch`. */
interface NodeBindings {
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
}

export type GatewayEnv = Env & { Bindings: NodeBindings };

export interface GatewayOptions {
  readonly services: readonly { readonly service: Service; readonly running: Running }[];
  /** Pages and probes that belong to no service: `/`, `/health`, `/ready`, `/example/`. */
  readonly pages?: Hono<GatewayEnv>;
  readonly identity: Identity;
  readonly settings: Live<Pick<ValuesOf<typeof serverSettings>, 'maxBodyBytes' | 'requestTimeoutSeconds'>>;
  /** Whether answers say how long each phase took. */
  readonly serverTiming: () => boolean;
  readonly cors: Cors;
  readonly door: DevelopmentDoor;
  readonly observe: Observe;
}

/** The whole backend as one Hono app. */
export function buildGateway(options: GatewayOptions): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  for (const { service, running } of options.services) {
    const gate = openGate(options, service);
    app.use(service.mount === '/' ? '/*' : `${service.mount}/*`, gate);
    app.route(service.mount, running.routes as unknown as Hono<GatewayEnv>);
  }
  app.use('*', observed(options));
  if (options.pages) app.route('/', options.pages);
  app.notFound((c) => {
    const { path } = c.req;
    const owner = options.services.find(
      ({ service }) => path === service.mount || path.startsWith(`${service.mount}/`),
    );
    const mounts = options.services.map(({ service }) => service.mount).join(', ');
    const fault = new Fault({
      status: 404,
      code: 'not_found',
      message: `There is nothing at "${path}" for ${c.req.method}.`,
      hint: `Services here: ${mounts}.`,
    });
    return owner ? owner.service.renderError(fault) : renderPlain(fault);
  });
  app.onError((error, c) => {
    options.observe({ kind: 'http.error', level: 'error', path: c.req.path, error });
    return renderPlain(
      new Fault(
        {
          status: 500,
          code: 'internal',
          message: 'Something went wrong here. The log of the server says what.',
        },
        error,
      ),
    );
  });
  return app;
}

/** What stands before a service's routes. */
function openGate(options: GatewayOptions, service: Service): MiddlewareHandler<GatewayEnv> {
  const { identity, settings, serverTiming, cors, door, observe } = options;
  return async (c, next) => {
    const startedMs = performance.now();
    const header = headersOf(c);
    const requestId = requestIdOf(header('x-request-id'));
    setHeader(c, 'x-request-id', requestId);
    for (const [name, value] of cors.headers(header('origin'))) setHeader(c, name, value);
    const deadline = openDeadline(c, settings.now().requestTimeoutSeconds * 1000);
    let role = '';
    try {
      const preflight = cors.preflight(c.req);
      if (preflight) {
        c.res = preflight;
        return;
      }
      door.check(header);
      const timings = serverTiming() ? new Map<string, number>() : undefined;
      const askedMs = performance.now();
      const caller = await identity.callerOf(
        header('authorization'),
        header('apikey') ?? keyInQuery(c.req.url),
      );
      role = caller.role;
      c.set('caller', caller);
      c.set('requestId', requestId);
      c.set('signal', deadline.signal);
      c.set('timings', timings);
      timings?.set('jwt', performance.now() - askedMs);
      const routed = limitBody(c, header, settings.now().maxBodyBytes, next);
      const refused = await deadline.orOver(routed);
      if (refused) answerWith(c, service.renderError(refused));
      if (timings) setHeader(c, 'server-timing', renderTimings(timings, performance.now() - startedMs));
    } catch (error) {
      const rendered = service.renderError(error);
      if (rendered.status >= 500)
        observe({ kind: 'http.error', level: 'error', path: c.req.path, requestId, error });
      answerWith(c, rendered);
    } finally {
      deadline.close();
      // What finished all the same at the last moment is told as it is: a 504 would deny what was committed.
      if (deadline.timedOut() && c.res.status >= 500) {
        answerWith(c, service.renderError(timeoutFault(c, settings.now().requestTimeoutSeconds)));
      }
      observe({
        kind: 'http.request',
        service: service.name,
        method: c.req.method,
        path: c.req.path,
        status: c.res.status,
        durationMs: Math.round((performance.now() - startedMs) * 100) / 100,
        role,
        requestId,
      });
    }
  };
}

/** The log line of what belongs to no service. */
function observed({ observe }: GatewayOptions): MiddlewareHandler<GatewayEnv> {
  return async (c, next) => {
    const startedMs = performance.now();
    const requestId = requestIdOf(c.req.header('x-request-id'));
    setHeader(c, 'x-request-id', requestId);
    await next();
    const { method, path } = c.req;
    const level = path === '/health' || path === '/ready' ? 'debug' : 'info';
    const durationMs = Math.round((performance.now() - startedMs) * 100) / 100;
    observe({ kind: 'http.request', level, method, path, status: c.res.status, durationMs, requestId });
  };
}

/** Runs the routes with a bounded body. A body without a length is counted as it comes. */
async function limitBody(
  c: Context<GatewayEnv>,
  header: HeaderReader,
  maxBytes: number,
  next: () => Promise<void>,
): Promise<Fault | undefined> {
  const length = header('content-length');
  if (length !== undefined) {
    // Node closes a connection that sends more than it said, so the header is the length.
    if (Number(length) > maxBytes) return tooLarge(maxBytes);
    await next();
    return undefined;
  }
  if (header('transfer-encoding') !== undefined && c.req.raw.body) {
    const body = await readAtMost(c.req.raw.body, maxBytes);
    if (!body) return tooLarge(maxBytes);
    c.req.raw = new Request(c.req.raw, { body });
  }
  await next();
  return undefined;
}

function tooLarge(maxBytes: number): Fault {
  return new Fault({
    status: 413,
    code: 'payload_too_large',
    message: `The body is longer than ${maxBytes} bytes.`,
    hint: 'Send it in parts, or raise gateway.max_body_bytes.',
  });
}

/** The bytes of a stream; undefined when there are more than `maxBytes`. What is left of it is not cancelled: that would close the connection before the refusal is read. */
async function readAtMost(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Buffer<ArrayBuffer> | undefined> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks);
    sizeBytes += value.length;
    if (sizeBytes > maxBytes) return undefined;
    chunks.push(value);
  }
}

/** How long a cancelled query has to say so, before the answer goes out without it. */
const cancelGraceMs = 1_000;

/** The request's end of time: the client goes away, or it has taken too long. */
function openDeadline(c: Context<GatewayEnv>, timeoutMs: number) {
  const controller = new AbortController();
  let timedOut = false;
  let over: Fault | undefined;
  let giveUp: ((refusal: Fault) => void) | undefined;
  let timer = setTimeout(() => {
    timedOut = true;
    controller.abort(new Error('the request took too long'));
    // A body that does not arrive, or a connection that does not come free, hears of no signal.
    timer = setTimeout(() => {
      over = timeoutFault(c, timeoutMs / 1000);
      giveUp?.(over);
    }, cancelGraceMs);
  }, timeoutMs);
  const { outgoing } = c.env;
  const onClose = () => {
    if (!outgoing?.writableFinished) controller.abort(new Error('the client went away'));
  };
  // `once` would wrap it, and `off` search through the wrapper.
  outgoing?.on('close', onClose);
  return {
    signal: controller.signal,
    /** What the routes say, or the refusal that has to go out whatever they do. */
    orOver: (routed: Promise<Fault | undefined>) =>
      new Promise<Fault | undefined>((resolve, reject) => {
        if (over) return resolve(over);
        giveUp = resolve;
        routed.then(resolve, reject);
      }),
    timedOut: () => timedOut,
    close: () => {
      clearTimeout(timer);
      // Left in place it would keep what belongs to the request beyond its end: ten times as much survives a collection.
      outgoing?.off('close', onClose);
    },
  };
}

function timeoutFault(c: Context<GatewayEnv>, seconds: number): Fault {
  if (c.env.incoming?.complete === false) {
    return new Fault({
      status: 408,
      code: 'request_timeout',
      message: `The body did not arrive within ${seconds} s.`,
      hint: 'Send less at once, or raise gateway.request_timeout.',
    });
  }
  return new Fault({
    status: 504,
    code: 'request_timeout',
    message: `The request took longer than ${seconds} s.`,
    hint: 'Ask for less at once, or raise gateway.request_timeout.',
  });
}

/** Puts another answer in place of the one that is there: without this, Hono would carry its headers over. */
function answerWith(c: Context<GatewayEnv>, response: Response): void {
  c.res = undefined;
  c.res = response;
}

/**
 * Puts a header on the answer. On Node it goes to the response underneath: touching the headers of a finished Response
 * would make Hono's adapter build them anew, which costs more than the whole gateway does.
 */
function setHeader(c: Context<GatewayEnv>, name: string, value: string): void {
  const outgoing = c.env?.outgoing;
  if (outgoing) outgoing.setHeader(name, value);
  else c.header(name, value);
}

type HeaderReader = (name: string) => string | undefined;

// Of these Node keeps the first when a request has several; a `Request` shows all, and then none of them is taken for the caller's word.
// Source: Node's documentation, http "message.headers".
const keptOnce = new Set(['authorization', 'host']);

/** Reads the request's headers. On Node from the object that its parser made: a lookup through the adapter's `Request` costs ten times as much. */
function headersOf(c: Context<GatewayEnv>): HeaderReader {
  const headers = c.env?.incoming?.headers;
  if (!headers) return (name) => c.req.header(name);
  return (name) => {
    if (keptOnce.has(name)) return c.req.header(name);
    const value = headers[name];
    return typeof value === 'object' ? value.join(', ') : value;
  };
}

const requestIdShape = /^[\w.:/+=-]{1,128}$/;

/** The caller's id when it is harmless, else a new one. */
function requestIdOf(given: string | undefined): string {
  return given !== undefined && requestIdShape.test(given) ? given : randomUUID();
}

/** WebSockets and links cannot set headers, so upstream's gateway reads `?apikey=` as well. */
function keyInQuery(url: string): string | undefined {
  const at = url.indexOf('apikey=');
  if (at < 0) return undefined;
  return new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('apikey') ?? undefined;
}

function renderTimings(timings: ReadonlyMap<string, number>, totalMs: number): string {
  return [...timings, ['total', totalMs] as const]
    .map(([name, ms]) => `${name};dur=${ms.toFixed(1)}`)
    .join(', ');
}

/** Outside of every service there is no protocol; this is the gateway's own shape. */
function renderPlain({ status, code, message, hint, headers }: Fault): Response {
  return Response.json({ code, message, hint }, { status, headers });
}
