// In charge of: what Postgres refused, as an answer: SQLSTATE → status, and the errors by which a function of the project's answers itself.
// Source: PostgREST 14.12, src/PostgREST/Error.hs (pgErrorStatus); docs/references/errors.rst.
import { Fault } from '../../base/errors.ts';

/** The fields of the driver's DatabaseError that an answer tells. */
export interface PostgresError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

export function isPostgresError(error: unknown): error is PostgresError & Error {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^[0-9A-Z]{5}$/.test(error.code)
  );
}

/** `authenticated`: whether the caller has another role than the anonymous one; then a missing right is 403, else 401. */
export function faultOfPostgres(error: PostgresError & Error, authenticated: boolean): Fault {
  if (error.code === 'PGRST') return raisedFault(error);
  const status = statusOf(error, authenticated);
  return new Fault(
    {
      status,
      code: error.code,
      message: error.message,
      details: error.detail ?? null,
      hint: error.hint ?? null,
      headers: status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {},
    },
    error,
  );
}

/** By whole code first, then by class. */
const statuses: Readonly<Record<string, number>> = {
  '08': 503, // connection exception
  '09': 500, // triggered action exception
  '0L': 403, // invalid grantor
  '0P': 403, // invalid role specification
  23503: 409, // foreign_key_violation
  23505: 409, // unique_violation
  25006: 405, // read_only_sql_transaction
  25: 500, // invalid transaction state
  28: 403, // invalid authorization specification
  '2D': 500, // invalid transaction termination
  38: 500, // external routine exception
  39: 500, // external routine invocation
  '3B': 500, // savepoint exception
  40: 500, // transaction rollback
  53400: 500, // configuration_limit_exceeded
  53: 503, // insufficient resources
  54: 500, // too complex
  55: 500, // object not in prerequisite state
  '57P01': 503, // admin_shutdown
  57: 500, // operator intervention
  58: 500, // system error
  F0: 500, // configuration file error
  HV: 500, // foreign data wrapper error
  P0001: 400, // raise
  P0: 500, // PL/pgSQL error
  XX: 500, // internal error
  42883: 404, // undefined_function
  '42P01': 404, // undefined_table
  '42P17': 500, // infinite recursion
};

function statusOf({ code, message }: PostgresError, authenticated: boolean): number {
  if (code === '42501') return authenticated ? 403 : 401;
  // pg-safeupdate says so of a write without conditions: the client's doing.
  if (code === '21000') return message.endsWith('requires a WHERE clause') ? 400 : 500;
  // A token may name a role that is not there. Source: PostgREST issue 3601.
  if (code === '22023') return message.startsWith('role') && message.endsWith('does not exist') ? 401 : 400;
  if (code === '42883' && message.startsWith('function xmlagg(')) return 406;
  if (code.startsWith('PT')) {
    const status = Number(code.slice(2));
    return Number.isInteger(status) && status >= 200 && status <= 599 ? status : 500;
  }
  return statuses[code] ?? statuses[code.slice(0, 2)] ?? 400;
}

/** `raise sqlstate 'PGRST'` answers with what its message and detail say, in JSON. Source: docs/references/errors.rst "RAISE". */
function raisedFault(error: PostgresError & Error): Fault {
  const message = parseObject(error.message);
  if (typeof message?.code !== 'string' || typeof message.message !== 'string') {
    return unreadable(
      `Invalid JSON value for MESSAGE: '${error.message}'`,
      "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.",
    );
  }
  const hint =
    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.";
  if (error.detail === undefined) return unreadable('DETAIL is missing in the RAISE statement', hint);
  const detail = parseObject(error.detail);
  const headers = detail?.headers;
  if (
    !isStatus(detail?.status) ||
    typeof headers !== 'object' ||
    headers === null ||
    Array.isArray(headers)
  ) {
    return unreadable(`Invalid JSON value for DETAIL: '${error.detail}'`, hint);
  }
  return new Fault(
    {
      status: detail.status,
      code: message.code,
      message: message.message,
      details: typeof message.details === 'string' ? message.details : null,
      hint: typeof message.hint === 'string' ? message.hint : null,
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    },
    error,
  );
}

function isStatus(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599;
}

function unreadable(details: string, hint: string): Fault {
  return new Fault({
    status: 500,
    code: 'PGRST121',
    message: `Could not parse JSON in the "RAISE SQLSTATE 'PGRST'" error`,
    details,
    hint,
  });
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
