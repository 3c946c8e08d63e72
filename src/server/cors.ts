// In charge of: which web pages may ask. By default all: what a caller may do is decided by key, token and policies, never by origin.
import type { Answer, Headers } from '../engine/service/http.ts';
import { whenChanged } from './guard/when-changed.ts';

export interface Cors {
  /** The headers of an answer to a page; without its list of origins none for a request that does not come from one. */
  headers(origin: string | undefined): Headers;
  /** The answer to a preflight; undefined for anything else. */
  preflight(request: AskedByPage): Answer | undefined;
}

export interface AskedByPage {
  readonly method: string;
  header(name: string): string | undefined;
}

export interface CorsSettings {
  /** `*`, origins, or `https://*.example.com`. */
  readonly corsOrigins: readonly string[];
  /** Whether pages of listed origins may send cookies; never those of `*`. */
  readonly corsCredentials: boolean;
  readonly corsMaxAgeSeconds: number;
}

// A page can read only the headers that are named here. Source: PostgREST 14 src/PostgREST/Cors.hs; supabase/auth internal/api/api.go
// `ExposedHeaders`; and what our gateway adds.
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
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'Server-Timing',
  'X-Request-Id',
  'X-Total-Count',
  'Link',
  'X-Supabase-Api-Version',
  'Sb-Error-Code',
  'X-Sb-Error-Code',
].join(', ');

const exposed = ['access-control-expose-headers', exposedHeaders] as const;
const withCredentials = ['access-control-allow-credentials', 'true'] as const;
const variesByOrigin = ['vary', 'Origin'] as const;
const toAll: Headers = [['access-control-allow-origin', '*'], exposed];
const none: Headers = [];

/**
 * Whatever headers a page of an allowed origin asks for are allowed: `apikey`, `x-client-info`, `x-retry-count` and whatever a later
 * supabase-js sends; upstream's gateway reflects them likewise. An origin is given back only when it is listed by name, and only then with
 * credentials: with `*` the answer is `*`, with which a browser sends none, whatever the settings say. `Origin: null`, which any
 * sandboxed page has, is no origin that can be listed.
 * Source: WHATWG Fetch, "CORS protocol and credentials"; Kong's cors plugin, which upstream's gateway uses with its defaults (supabase/cli apps/cli-go/internal/start/templates/kong.yml).
 */
export function openCors(settings: () => CorsSettings): Cors {
  const state = whenChanged(settings, ({ corsOrigins, corsCredentials, corsMaxAgeSeconds }) => ({
    isOpen: corsOrigins.includes('*'),
    exact: new Set(corsOrigins.filter((origin) => !origin.includes('*'))),
    below: corsOrigins.filter((origin) => origin.length > 1 && origin.includes('*')).map(readWildcard),
    credentials: corsCredentials ? [withCredentials] : none,
    maxAge: String(corsMaxAgeSeconds),
    remembered: new Map<string, Headers>(),
  }));

  function headers(origin: string | undefined): Headers {
    const { isOpen, exact, below, credentials, remembered } = state();
    if (isOpen) return origin === undefined ? none : toAll;
    if (origin === undefined) return refused;
    const known = remembered.get(origin);
    if (known) return known;
    const isListed = exact.has(origin) || below.some((fits) => fits(origin));
    if (!isListed) return refused;
    const made: Headers = [['access-control-allow-origin', origin], ...credentials, exposed, variesByOrigin];
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(origin, made);
    return made;
  }

  return {
    headers,
    preflight(request) {
      if (!isPreflight(request)) return undefined;
      const isAllowed = headers(request.header('origin')) !== refused;
      if (!isAllowed) return { status: 403, headers: [['content-length', '0'], varies], body: null };
      return {
        status: 200,
        headers: [
          ['content-length', '0'],
          ['access-control-allow-methods', 'GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS'],
          ['access-control-allow-headers', request.header('access-control-request-headers') ?? '*'],
          ['access-control-max-age', state().maxAge],
          varies,
        ],
        body: null,
      };
    },
  };
}

/** A cache must not give the answer for one page to another. */
const refused: Headers = [variesByOrigin];
const varies = ['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'] as const;
const maxRemembered = 256;

const openSettings: CorsSettings = { corsOrigins: ['*'], corsCredentials: false, corsMaxAgeSeconds: 3600 };

/** Every page may ask. */
export const everyOrigin: Cors = openCors(() => openSettings);

/** Whether a text is an origin as browsers send it, lower case and without a slash, or one with `*.` before its host. */
export function isOriginPattern(text: string): boolean {
  const plain = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)\*\./, '$1');
  if (plain.includes('*') || !/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s\\]+$/.test(plain) || !URL.canParse(plain))
    return false;
  const url = new URL(plain);
  // Other schemes (an app's own, `capacitor://localhost`) have no origin that `URL` would write.
  return url.origin === plain || url.origin === 'null';
}

/** `https://*.example.com` is every name below example.com, with the same scheme and port, and not example.com itself. */
function readWildcard(pattern: string): (origin: string) => boolean {
  const [scheme = '', rest = ''] = pattern.split('*', 2);
  return (origin) =>
    origin.startsWith(scheme) &&
    origin.endsWith(rest) &&
    /^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(origin.slice(scheme.length, origin.length - rest.length));
}

export function isPreflight(request: AskedByPage): boolean {
  return (
    request.method === 'OPTIONS' &&
    request.header('origin') !== undefined &&
    request.header('access-control-request-method') !== undefined
  );
}
