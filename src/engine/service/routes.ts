// In charge of: which function answers a request, by its method and its path. A table of plain functions over plain requests: a service with
// many routes needs no framework between the gateway and its own code, and no `Request` and `Response` for each call.

/** `/admin/users/:user_id`; a last `*` takes the rest of the path, slashes included. */
export interface Route<H> {
  readonly method: string;
  readonly pattern: string;
  readonly handle: H;
}

export type Found<H> =
  | { readonly kind: 'route'; readonly handle: H; readonly params: Readonly<Record<string, string>> }
  /** The path is known, with other methods. */
  | { readonly kind: 'wrong_method'; readonly allowed: readonly string[] }
  | { readonly kind: 'nothing' };

export type FindRoute<H> = (method: string, path: string) => Found<H>;

interface Segments<H> {
  readonly route: Route<H>;
  readonly segments: readonly string[];
}

/**
 * Makes the table. A path of fixed words is found by one look-up; one with names in it is compared piece by piece, in the order of the table.
 * A slash at the end of a path changes nothing. Parameters are unescaped; a path that cannot be unescaped is nothing.
 */
export function openRoutes<H>(routes: readonly Route<H>[]): FindRoute<H> {
  const fixed = new Map<string, Map<string, H>>();
  const named: Segments<H>[] = [];
  for (const route of routes) {
    if (/[:*]/.test(route.pattern)) {
      named.push({ route, segments: split(route.pattern) });
      continue;
    }
    const methods = fixed.get(route.pattern) ?? new Map<string, H>();
    methods.set(route.method, route.handle);
    fixed.set(route.pattern, methods);
  }

  return (method, path) => {
    const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
    const methods = fixed.get(plain);
    const handle = methods?.get(method);
    if (handle !== undefined) return { kind: 'route', handle, params: none };
    const allowed = methods === undefined ? [] : [...methods.keys()];
    const pieces = split(plain);
    for (const { route, segments } of named) {
      const params = match(segments, pieces);
      if (params === undefined) continue;
      if (route.method === method) return { kind: 'route', handle: route.handle, params };
      allowed.push(route.method);
    }
    return allowed.length === 0 ? { kind: 'nothing' } : { kind: 'wrong_method', allowed };
  };
}

const none: Readonly<Record<string, string>> = {};

function split(path: string): readonly string[] {
  return path.slice(1).split('/');
}

function match(
  segments: readonly string[],
  pieces: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const takesRest = segments.at(-1) === '*';
  if (takesRest ? pieces.length < segments.length : pieces.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, segment] of segments.entries()) {
    const piece = takesRest && at === segments.length - 1 ? pieces.slice(at).join('/') : (pieces[at] ?? '');
    if (!segment.startsWith(':') && segment !== '*') {
      if (segment !== piece) return undefined;
      continue;
    }
    const value = unescaped(piece);
    if (value === undefined || value === '') return undefined;
    params[segment === '*' ? 'rest' : segment.slice(1)] = value;
  }
  return params;
}

function unescaped(piece: string): string | undefined {
  if (!piece.includes('%')) return piece;
  try {
    return decodeURIComponent(piece);
  } catch {
    return undefined;
  }
}
