// In charge of: what requests to realtime are answered when nothing is broadcast, in upstream's words.
// Source: supabase/realtime lib/realtime_web/controllers/fallback_controller.ex, plugs/{auth_tenant,rate_limiter,validate_broadcast_content_type}.ex.
import { Fault } from '../../../base/errors.ts';
import { DatabaseUnavailable } from '../../../engine/db/db.ts';
import { CredentialsRefused } from '../../../engine/identity/refused.ts';
import type { Answer, Headers } from '../../../engine/service/http.ts';

export function json(status: number, value: unknown, headers: Headers = []): Answer {
  return {
    status,
    headers: [['content-type', 'application/json; charset=utf-8'], ...headers],
    body: JSON.stringify(value),
  };
}

export const says = (status: number, message: string, headers: Headers = []): Answer =>
  json(status, { message }, headers);

/** A refusal with its answer. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly answer: Answer;

  constructor(answer: Answer, cause?: unknown) {
    super(`refused with ${answer.status}`, cause === undefined ? undefined : { cause });
    this.answer = answer;
  }
}

export const unauthorized = () => says(401, 'Unauthorized');
export const forbidden = () => says(403, 'Unauthorized');
export const notFound = () => says(404, 'not found');
export const malformed = () => says(400, 'Bad Request');
/** By the names of what is wrong. Source: lib/realtime_web/views/changeset_view.ex. */
export const unprocessable = (errors: unknown) => json(422, { errors });

export const unsupportedMediaType = () =>
  json(415, { error: 'Unsupported Media Type. Use application/json or application/octet-stream' });

/** Any error: what the gateway refuses, credentials, a database that is away, a bug of ours. */
export function renderHttpError(error: unknown): Answer {
  if (error instanceof Refused) return error.answer;
  if (error instanceof CredentialsRefused) return unauthorized();
  if (error instanceof DatabaseUnavailable)
    return says(503, 'Realtime was unable to connect to the project database', [
      ['retry-after', String(error.retryAfterSeconds)],
    ]);
  if (error instanceof Fault) {
    const message = error.code === 'payload_too_large' ? 'Request Entity Too Large' : error.message;
    return says(error.status, message, Object.entries(error.headers));
  }
  return says(500, 'Internal Server Error');
}
