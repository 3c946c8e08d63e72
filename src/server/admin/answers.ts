// In charge of: what the operator plane says when it refuses, and what it takes for a body.
import type { Context } from 'hono';
import { errorCode, Fault } from '../../base/errors.ts';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import type { AdminEnv } from './env.ts';

/** Longer bodies are refused: the longest thing that an operator sends is a list of addresses. */
export const maxBodyBytes = 64 * 1024;

/** The fault that an error stands for; undefined when it is a bug of ours. */
export function faultOf(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error;
  if (error instanceof DatabaseUnavailable) {
    return new Fault(
      {
        status: 503,
        code: 'database_unavailable',
        message: 'The database does not answer, and this needs it.',
        hint: 'GET /admin/v1/metrics on the local socket answers without it; the log says what is wrong.',
        headers: { 'retry-after': String(error.retryAfterSeconds) },
      },
      error,
    );
  }
  // query_canceled: what was to be changed is locked by somebody else.
  if (errorCode(error) === '57014') {
    return new Fault(
      {
        status: 503,
        code: 'database_busy',
        message: 'The database did not do this in time, and nothing was changed.',
        hint: 'Somebody holds a lock on it; try again in a moment.',
        headers: { 'retry-after': '5' },
      },
      error,
    );
  }
  // undefined_table: a reset has taken the tables and not made them anew yet.
  if (errorCode(error) === '42P01') {
    return new Fault(
      {
        status: 503,
        code: 'database_unavailable',
        message: 'The tables of the operator plane are not in the database.',
        hint: 'A reset may be under way: try again in a moment.',
        headers: { 'retry-after': '5' },
      },
      error,
    );
  }
  return undefined;
}

export function renderFault({ status, code, message, hint, headers }: Fault): Response {
  return Response.json({ code, message, hint }, { status, headers });
}

/** The body as an object. @throws Fault 422 when it is anything else. */
export async function readObject(c: Context<AdminEnv>): Promise<Readonly<Record<string, unknown>>> {
  let value: unknown;
  try {
    value = JSON.parse(await c.req.text());
  } catch (error) {
    throw new Fault(
      {
        status: 422,
        code: 'invalid_body',
        message: 'The body is not JSON.',
        hint: 'Send an object: {"value": 100}.',
      },
      error,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('The body must be a JSON object.', 'Send an object: {"value": 100}.');
  // Sound: it is an object that JSON made.
  return value as Readonly<Record<string, unknown>>;
}

/** What was asked cannot be done as it was said. */
export function invalid(message: string, hint: string): Fault {
  return new Fault({ status: 422, code: 'invalid_request', message, hint });
}

/** The same where nothing need be said. */
export async function readOptionalObject(c: Context<AdminEnv>): Promise<Readonly<Record<string, unknown>>> {
  return (await c.req.text()) === '' ? {} : readObject(c);
}

/** A misspelt field would otherwise be left out without a word. @throws Fault 422 */
export function refuseStray(body: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const stray = Object.keys(body).find((name) => !known.includes(name));
  if (stray !== undefined)
    throw invalid(`"${stray}" is nothing that this takes.`, `It takes ${known.join(', ')}.`);
}
