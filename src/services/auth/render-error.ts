// In charge of: any error in GoTrue's shape, of which there are two: the initial one, and that of API version 2024-01-01.
// Source: supabase/auth internal/api/errors.go, internal/api/apiversions.go, internal/utilities/postgres.go.
import { errorCode, Fault } from '../../base/errors.ts';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import { CredentialsRefused } from '../../engine/identity/refused.ts';
import type { Answer, Headers, ServiceRequest } from '../../engine/service/http.ts';
import { authFault, badRequest, OAuthRefused } from './errors.ts';
import { json } from './go-json.ts';
import { WeakPassword } from './passwords/strength.ts';
import { refusedFault } from './refused-fault.ts';

export const apiVersionHeader = 'x-supabase-api-version';
const version20240101 = '2024-01-01';

/** Whether a request asks for the shape of 2024-01-01; a date that is none counts as not given. */
export function isVersion20240101(request: Pick<ServiceRequest, 'headers'> | undefined): boolean {
  const given = request?.headers[apiVersionHeader] ?? '';
  // A day that a calendar has: 2024-02-31 is no date for Go either.
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(given) && dayOf(given) === given;
  return isDate && given >= version20240101;
}

function dayOf(text: string): string | undefined {
  const date = new Date(`${text}T00:00:00Z`);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().slice(0, 10);
}

export function renderError(error: unknown, request?: Pick<ServiceRequest, 'headers'>): Answer {
  const isNew = isVersion20240101(request);
  const version: Headers = isNew ? [[apiVersionHeader, version20240101]] : [];
  if (error instanceof WeakPassword) return weakPassword(error, isNew, version);
  if (error instanceof OAuthRefused)
    return json(400, { error: error.error, error_description: error.message || undefined });
  const fault = faultOf(error);
  const headers: Headers = [
    ['x-sb-error-code', fault.code],
    ...version,
    ...Object.entries(fault.headers).map(([name, value]) => [name.toLowerCase(), value] as const),
  ];
  if (isNew) return json(fault.status, { code: fault.code, message: fault.message }, headers);
  const raised = fault.status === 500 ? raisedByProject(fault.cause) : undefined;
  if (raised) return json(raised.status, raised.body, headers);
  return json(fault.status, { code: fault.status, error_code: fault.code, msg: fault.message }, headers);
}

/** Whether an error is nobody's to be told of but ours. */
export function isBug(error: unknown): boolean {
  return error instanceof WeakPassword || error instanceof OAuthRefused ? false : isOurs(faultOf(error));
}

/** Who has to come back in a moment is told so with a status of the server's, too. */
const isOurs = ({ status, code }: Fault) => status >= 500 && code !== 'request_timeout';

function weakPassword({ message, reasons }: WeakPassword, isNew: boolean, version: Headers): Answer {
  const weak = { reasons: reasons.length === 0 ? undefined : reasons };
  if (isNew) return json(422, { code: 'weak_password', message, weak_password: weak }, version);
  return json(422, { code: 422, error_code: 'weak_password', msg: message, weak_password: weak }, [
    ['x-sb-error-code', 'weak_password'],
  ]);
}

function faultOf(error: unknown): Fault {
  const cause = error instanceof Fault && error.status === 500 ? error.cause : error;
  if (unkeepable.has(errorCode(cause) ?? '')) {
    return badRequest('validation_failed', 'The request holds a character that no text may hold: NUL', cause);
  }
  if (error instanceof Fault) return ofGateway[error.code]?.(error) ?? error;
  if (error instanceof CredentialsRefused) return refusedFault(error);
  if (error instanceof DatabaseUnavailable) return unavailable(error);
  return authFault(
    500,
    'unexpected_failure',
    'Unexpected failure, please check server logs for more information',
    error,
  );
}

/**
 * character_not_in_repertoire, untranslatable_character (in JSON): what PostgreSQL says of NUL, wherever in a request it stood. GoTrue
 * answers 500, as for all that it did not foresee; here it is the client's mistake.
 */
const unkeepable: ReadonlySet<string> = new Set(['22021', '22P05']);

/** What the gateway refuses by itself, by its code: the same with GoTrue's. */
const ofGateway: Readonly<Record<string, (fault: Fault) => Fault>> = {
  payload_too_large: (fault) => recoded(fault, 'request_entity_too_large'),
  request_timeout: (fault) => recoded(fault, 'request_timeout'),
  rate_limited: (fault) => recoded(fault, 'over_request_rate_limit'),
};

function recoded({ status, message, headers }: Fault, code: string): Fault {
  return new Fault({ status, code, message, headers });
}

function unavailable(error: DatabaseUnavailable): Fault {
  const headers = { 'retry-after': String(error.retryAfterSeconds) };
  const message = 'The database does not answer now. Try again in a moment.';
  return new Fault({ status: 503, code: 'unexpected_failure', message, headers }, error);
}

/**
 * What a trigger of the project on auth's tables said, which clients of the initial version are shown: integrity violations and
 * `raise exception` with status 500, `PTnnn` with the status that it names.
 */
function raisedByProject(cause: unknown): { readonly status: number; readonly body: object } | undefined {
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') return undefined;
  const { code, message } = cause;
  const custom = /^PT(\d{3})$/.exec(code)?.[1];
  const status = custom === undefined ? (shownCodes.has(code) ? 500 : 0) : Number(custom);
  if (status < 100) return undefined;
  const { hint, detail } = cause as { readonly hint?: string; readonly detail?: string };
  return { status, body: { code, message, hint: hint || undefined, detail: detail || undefined } };
}

const shownCodes: ReadonlySet<string> = new Set([
  'P0001',
  '23000',
  '23001',
  '23502',
  '23503',
  '23505',
  '23514',
  '23P01',
]);
