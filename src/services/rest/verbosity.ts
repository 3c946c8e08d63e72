// In charge of: errors that say no more than their code and message, for those who would not have clients read details and hints.
// Source: PostgREST 16, docs/references/errors.rst "Client Error Verbosity".
import type { Answer } from '../../engine/service/http.ts';

/** The same answer; when it is an error, without its details and hint. */
export function withoutDetails(answer: Answer): Answer {
  const { status, headers, body } = answer;
  if (status < 300 || typeof body !== 'string' || !isFault(answer)) return answer;
  const { code, message, index } = JSON.parse(body);
  return { status, headers, body: JSON.stringify({ code, message, index }) };
}

/** A function of the project's may set any status, over rows. A range beyond the rows is answered without the header that names a fault. */
function isFault({ status, headers, body }: Answer): boolean {
  return (
    headers.some(([name, value]) => name === 'Proxy-Status' && value.startsWith('PostgREST; error=')) ||
    (status === 416 && String(body).startsWith('{"code":"PGRST103",'))
  );
}
