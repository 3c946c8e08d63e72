// In charge of: which web pages may ask. All of them: what a caller may do is decided by key, token and policies, never by origin.

export interface Cors {
  /** The headers of an answer to a page; none for a request that does not come from one. */
  headers(origin: string | undefined): readonly (readonly [name: string, value: string])[];
  /** The answer to a preflight; undefined for anything else. */
  preflight(request: AskedByPage): Response | undefined;
}

export interface AskedByPage {
  readonly method: string;
  header(name: string): string | undefined;
}

// A page can read only the headers that are named here. Source: PostgREST 14 src/PostgREST/Cors.hs, and what our gateway adds.
const exposedHeaders = [
  'Content-Encoding',
  'Content-Location',
  'Content-Range',
  'Content-Type',
  'Date',
  'Location',
  'Server',
  'Transfer-Encoding',
  'Range-Unit',
  'Preference-Applied',
  'Proxy-Status',
  'Retry-After',
  'Server-Timing',
  'X-Request-Id',
  'Sb-Error-Code',
  'X-Sb-Error-Code',
].join(', ');

const allowed: readonly (readonly [string, string])[] = [
  ['access-control-allow-origin', '*'],
  ['access-control-expose-headers', exposedHeaders],
];
const none: readonly (readonly [string, string])[] = [];

const preflightSeconds = 3600;

/** Whatever headers the page asks for are allowed. With `*` as origin a browser sends no cookies, and none are wanted. Source: WHATWG Fetch, "CORS protocol". */
export const everyOrigin: Cors = {
  headers: (origin) => (origin === undefined ? none : allowed),
  preflight: (request) =>
    isPreflight(request)
      ? new Response(null, {
          status: 200,
          headers: {
            'content-length': '0',
            'access-control-allow-methods': 'GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS',
            'access-control-allow-headers': request.header('access-control-request-headers') ?? '*',
            'access-control-max-age': String(preflightSeconds),
            vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
          },
        })
      : undefined,
};

export function isPreflight(request: AskedByPage): boolean {
  return (
    request.method === 'OPTIONS' &&
    request.header('origin') !== undefined &&
    request.header('access-control-request-method') !== undefined
  );
}
