// In charge of: the Data API on HTTP: every path below the mount is one route, as the paths are the database's.
import { Hono } from 'hono';
import type { Observe } from '../../base/observe.ts';
import type { Env } from '../../engine/service/contract.ts';
import { answer, type Rest } from './answer.ts';
import { answerBatch, isBatch } from './batch.ts';
import { render } from './render.ts';
import { isBug, renderError } from './render-error.ts';
import type { WireRequest } from './wire.ts';

/** The Node request behind a fetch request, where there is one: its headers are there already, without building `Headers`. */
interface NodeBindings {
  readonly incoming?: { readonly headers: Readonly<Record<string, string | string[] | undefined>> };
}

export type RestEnv = Env & { Bindings: NodeBindings };

export function restRoutes(rest: Rest, mount: `/${string}`, observe: Observe): Hono<RestEnv> {
  const prefix = mount === '/' ? '' : mount;
  const routes = new Hono<RestEnv>();
  routes.all('*', async (c) => {
    const wire = await readRequest(c.req.raw, c.env?.incoming?.headers, prefix);
    const caller = c.get('caller');
    const { anonRole } = rest.config.now();
    try {
      const answered = await (isBatch(wire) ? answerBatch : answer)(rest, wire, {
        caller,
        signal: c.get('signal'),
        timings: c.get('timings'),
      });
      return render(traced(rest, wire, answered));
    } catch (error) {
      // Whoever went away is why: the request ended where it was.
      const isGone = c.get('signal')?.aborted === true;
      if (isBug(error) && !isGone)
        observe({ kind: 'rest.error', level: 'error', requestId: c.get('requestId'), error });
      return renderError(error, caller.role !== anonRole);
    }
  });
  return routes;
}

const noBody = Buffer.alloc(0);

async function readRequest(
  request: Request,
  nodeHeaders: NonNullable<NodeBindings['incoming']>['headers'] | undefined,
  prefix: string,
): Promise<WireRequest> {
  const { method, url } = request;
  // The URL is absolute: behind `scheme://` the first slash begins the path. Parsing it as a URL would cost more than all of this.
  const pathStart = url.indexOf('/', url.indexOf('://') + 3);
  const queryStart = url.indexOf('?', pathStart);
  const path = queryStart < 0 ? url.slice(pathStart) : url.slice(pathStart, queryStart);
  const hasBody = method !== 'GET' && method !== 'HEAD' && request.body !== null;
  return {
    method,
    path: path === prefix ? '/' : path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path,
    query: queryStart < 0 ? '' : url.slice(queryStart + 1),
    headers: nodeHeaders ? flatten(nodeHeaders) : Object.fromEntries(request.headers),
    body: hasBody ? Buffer.from(await request.arrayBuffer()) : noBody,
  };
}

function flatten(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Readonly<Record<string, string>> {
  for (const name in headers) {
    if (typeof headers[name] !== 'string') return flattenLists(headers);
  }
  // Sound: every value was a string.
  return headers as Readonly<Record<string, string>>;
}

function flattenLists(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Readonly<Record<string, string>> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return flat;
}

/** Gives the trace header back. */
function traced(rest: Rest, wire: WireRequest, answered: Awaited<ReturnType<typeof answer>>) {
  const { traceHeader } = rest.config.now();
  if (traceHeader === '') return answered;
  const value = wire.headers[traceHeader.toLowerCase()] ?? '';
  return { ...answered, headers: [[traceHeader, value] as const, ...answered.headers] };
}
