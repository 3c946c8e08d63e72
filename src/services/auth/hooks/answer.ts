// In charge of: what a hook's answer says: its own refusal, or the object that it gives.
// Source: supabase/auth internal/hooks/hookserrors/hookserrors.go, internal/api/errors.go.
import type { Fault } from '../../../base/errors.ts';
import { authFault, failed } from '../errors.ts';
import type { JsonObject } from '../go-json.ts';

/** @throws Fault what the answer's `error` says; 500 unexpected_failure when it is no object */
export function readAnswer(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw failed('Error unmarshaling JSON output.', error);
  }
  // What Go makes of null: nothing is said.
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw failed('Error unmarshaling JSON output.');
  // Sound: JSON.parse gave an object that is no array.
  const answer = value as JsonObject;
  const refusal = refusalIn(answer.error);
  if (refusal) throw refusal;
  return answer;
}

/** An `error` without a message counts as none, as upstream; one that upstream cannot read counts as one here, so that no typing error lets people in. */
function refusalIn(error: unknown): Fault | undefined {
  if (error === undefined || error === null) return undefined;
  if (typeof error !== 'object' || Array.isArray(error)) return failed('Error unmarshaling JSON output.');
  const { message, http_code: code } = error as JsonObject;
  if (message === undefined || message === null || message === '') return undefined;
  // Nothing but a refusal has a message, so that its status is one of those.
  const status = typeof code === 'number' && Number.isInteger(code) && code >= 400 && code < 600 ? code : 500;
  const words = typeof message === 'string' ? message : 'Error unmarshaling JSON output.';
  return authFault(status, status === 500 ? 'unexpected_failure' : 'unknown', words);
}
