// In charge of: the refusals of the Data API's wire, by code. Those of planning are in engine/query/errors.ts.
// Source: PostgREST 14.12, src/PostgREST/Error.hs; docs/references/errors.rst.
// Retired upstream and not used again: PGRST104, PGRST109, PGRST110, PGRST113, PGRST119.
import { Fault } from '../../base/errors.ts';

function fault(
  status: number,
  code: string,
  message: string,
  details: string | null = null,
  hint: string | null = null,
): Fault {
  return new Fault({ status, code, message, details, hint });
}

/** The catalog was never read: the database was not there yet, or refused. */
export function noCatalog(retryAfterSeconds: number): Fault {
  return new Fault({
    status: 503,
    code: 'PGRST002',
    message: 'Could not query the database for the schema cache. Retrying.',
    headers: { 'Retry-After': String(retryAfterSeconds) },
  });
}

/** A query parameter does not parse: the place in the message, what was expected there in the details. */
export function parseFailed(
  what: string,
  problem: { readonly position: string; readonly expectation: string },
): Fault {
  return fault(400, 'PGRST100', `"failed to parse ${what}" ${problem.position}`, problem.expectation);
}

export function tooDeep(parameter: string, limit: number): Fault {
  return fault(400, 'PGRST100', `"failed to parse ${parameter}"`, `nested deeper than ${limit} parentheses`);
}

export function rpcMethod(method: string): Fault {
  return fault(405, 'PGRST101', `Cannot use the ${method} method on RPC`);
}

export function invalidBody(message: string): Fault {
  return fault(400, 'PGRST102', message);
}

export function negativeLimit(): Fault {
  return fault(
    416,
    'PGRST103',
    'Requested range not satisfiable',
    'Limit should be greater than or equal to zero.',
  );
}

export function rangeUpsideDown(): Fault {
  return fault(
    416,
    'PGRST103',
    'Requested range not satisfiable',
    'The lower boundary must be lower than or equal to the upper boundary in the Range header.',
  );
}

export function offsetBeyondRows(offset: string, total: string): Fault {
  return fault(
    416,
    'PGRST103',
    'Requested range not satisfiable',
    `An offset of ${offset} was requested, but there are only ${total} rows.`,
  );
}

export function schemaNotExposed(schema: string, exposed: readonly string[]): Fault {
  return fault(
    406,
    'PGRST106',
    `Invalid schema: ${schema}`,
    null,
    `Only the following schemas are exposed: ${exposed.join(', ')}`,
  );
}

export function noMediaType(accepted: readonly string[]): Fault {
  return fault(406, 'PGRST107', `None of these media types are available: ${accepted.join(', ')}`);
}

export function badResponseHeaders(): Fault {
  return fault(
    500,
    'PGRST111',
    'response.headers guc must be a JSON array composed of objects with a single key and a string value',
  );
}

export function badResponseStatus(): Fault {
  return fault(500, 'PGRST112', 'response.status guc must be a valid status code');
}

export function limitOnPut(): Fault {
  return fault(400, 'PGRST114', 'limit/offset querystring parameters are not allowed for PUT');
}

export function keyMismatchOnPut(): Fault {
  return fault(400, 'PGRST115', 'Payload values do not match URL in primary key column(s)');
}

export function notSingular(rows: number): Fault {
  return fault(
    406,
    'PGRST116',
    'Cannot coerce the result to a single JSON object',
    `The result contains ${rows} rows`,
  );
}

export function unsupportedMethod(method: string): Fault {
  return fault(405, 'PGRST117', `Unsupported HTTP method: ${method}`);
}

export function invalidPreferences(preferences: readonly string[]): Fault {
  return fault(
    400,
    'PGRST122',
    'Invalid preferences given with handling=strict',
    `Invalid preferences: ${preferences.join(', ')}`,
  );
}

export function tooManyAffected(rows: number): Fault {
  return fault(
    400,
    'PGRST124',
    'Query result exceeds max-affected preference constraint',
    `The query affects ${rows} rows`,
  );
}

export function invalidPath(): Fault {
  return fault(404, 'PGRST125', 'Invalid path specified in request URL');
}

export function openApiDisabled(): Fault {
  return fault(404, 'PGRST126', 'Root endpoint metadata is disabled');
}

export function maxAffectedNeedsSet(): Fault {
  return fault(
    400,
    'PGRST128',
    'Function must return SETOF or TABLE when max-affected preference is used with handling=strict',
  );
}

/** A key of our own that is narrowed to names. Upstream has no such keys, so the code is ours. */
export function keyNotForName(
  key: string,
  prefixes: readonly string[],
  { kind, schema, name }: { readonly kind: string; readonly schema: string; readonly name: string },
): Fault {
  const what = kind === 'field' ? 'computed field' : kind === 'function' ? 'function' : 'table';
  return fault(
    403,
    'key_not_for_table',
    `The API key is not for the ${what} "${schema === '' ? name : `${schema}.${name}`}"`,
    `The key "${key}" is for names that begin with: ${prefixes.join(', ')}`,
    kind === 'field'
      ? 'What is no column of a table may be a function, also among the columns of a function’s result: select all of them.'
      : 'Every table and function that a request names has to be one of them, embedded ones included.',
  );
}
