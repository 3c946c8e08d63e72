// In charge of: which web pages may ask a PostgREST: those of `server-cors-allowed-origins`, or all.
// Source: PostgREST 14.12, src/PostgREST/Cors.hs; docs/references/api/cors.rst.
import type { Headers } from '../engine/service/http.ts';
import { type Cors, isPreflight } from './cors.ts';

const none: Headers = [];
const exposed = [
  'access-control-expose-headers',
  'Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit',
] as const;
const preflightSeconds = 86_400;

/** @param allowedOrigins asked at each request; empty: every page may ask. A page that may not is answered as if it were none, and its browser keeps the answer from it. */
export function openPostgrestCors(allowedOrigins: () => readonly string[]): Cors {
  const origins = (origin: string): Headers => {
    const allowed = allowedOrigins();
    if (allowed.length === 0) return [['access-control-allow-origin', '*']];
    if (!allowed.includes(origin)) return none;
    return [
      ['access-control-allow-origin', origin],
      ['access-control-allow-credentials', 'true'],
    ];
  };
  return {
    headers(origin) {
      const found = origin === undefined ? none : origins(origin);
      return found.length === 0 ? none : [...found, exposed];
    },
    preflight(request) {
      const found = isPreflight(request) ? origins(request.header('origin') ?? '') : none;
      if (found.length === 0) return undefined;
      const asked = (request.header('access-control-request-headers') ?? '').split(',');
      const allowed = ['Authorization', ...asked.map((name) => name.trim()), ...simple].filter(Boolean);
      return {
        status: 200,
        headers: [
          ['content-length', '0'],
          ['access-control-allow-methods', 'GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD'],
          ['access-control-allow-headers', allowed.join(', ')],
          ['access-control-max-age', String(preflightSeconds)],
        ],
        body: null,
      };
    },
  };
}

/** What a page may always send. Source: WHATWG Fetch, "CORS-safelisted request-header". */
const simple = ['Accept', 'Accept-Language', 'Content-Language'];
