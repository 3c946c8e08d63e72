// In charge of: what policies and triggers on storage's tables can read of the request.
// Source: supabase/storage src/internal/database/postgres/scope.ts; src/http/routes/operations.ts.
import type { ServiceRequest } from '../../engine/service/http.ts';
import type { Asking } from './context.ts';

export function askingOf(
  request: ServiceRequest,
  operation: string,
  caller: Asking['caller'] = request.caller,
): Asking {
  const { headers, method, path } = request;
  return {
    caller,
    scope: [
      ['request.jwt.claim.role', caller.role],
      ['request.jwt.claim.sub', caller.subject ?? ''],
      ['request.headers', JSON.stringify(headers)],
      ['request.method', method],
      ['request.path', path],
      ['storage.operation', operation],
      // Its own trigger refuses whoever deletes a row by hand, which would leave the bytes behind.
      ['storage.allow_delete_query', 'true'],
    ],
  };
}
