// In charge of: a path that leads nowhere.
// Source: Fastify lib/fourOhFour.js, which upstream's handler repeats in its own shape: supabase/storage src/http/not-found-handler.ts.
import type { Answer, ServiceRequest } from '../../engine/service/http.ts';

export function nothing({ method, path }: Pick<ServiceRequest, 'method' | 'path'>): Answer {
  const message = `Route ${method}:${path} not found`;
  return {
    status: 404,
    headers: [['content-type', 'application/json; charset=utf-8']],
    body: JSON.stringify({ statusCode: '404', code: 'InvalidRequest', error: 'Not Found', message }),
  };
}
