// In charge of: a body in the form that browsers send from a page: providers, organisations' sign-ons and OAuth clients post one.
// Source: Go net/http `Request.ParseForm`.
import type { ServiceRequest } from '../../engine/service/http.ts';
import { authFault } from './errors.ts';

/** Source: supabase/auth internal/api/api.go: 1 MiB. */
const maxFormBytes = 1 << 20;

/**
 * Empty when the body is none. What no text of Postgres may hold is taken out, as no value that means something has it.
 * @throws Fault 413 request_entity_too_large
 */
export async function readForm(
  request: Pick<ServiceRequest, 'headers' | 'readBody'>,
): Promise<URLSearchParams> {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') return new URLSearchParams();
  const body = await request.readBody();
  if (body.length > maxFormBytes)
    throw authFault(413, 'request_entity_too_large', `Request body too large (max ${maxFormBytes} bytes)`);
  return new URLSearchParams(body.toString('utf8').replaceAll('%00', ''));
}
