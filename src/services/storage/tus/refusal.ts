// In charge of: refusals in the words of the tus protocol, as @tus/server throws them: plain text, not JSON.
export interface TusRefusal extends Error {
  readonly status_code: number;
  readonly body: string;
}

export function tusRefusal(status: number, body: string): TusRefusal {
  return Object.assign(new Error(body.trim()), { status_code: status, body });
}

export function isTusRefusal(error: unknown): error is TusRefusal {
  return typeof error === 'object' && error !== null && 'status_code' in error && 'body' in error;
}

/** Source: @tus/utils src/constants.ts `ERRORS`. */
export const fileNotFound = () => tusRefusal(404, 'The file for this url was not found\n');
export const aborted = () => tusRefusal(400, 'Request aborted due to lock acquired');
