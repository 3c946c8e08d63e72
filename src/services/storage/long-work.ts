// In charge of: bytes that are written anew behind a request, which may take longer than a request may: while they are, its time does not run.
import type { ServiceRequest } from '../../engine/service/http.ts';

const sayEveryMs = 1_000;
/** What has not come to its end by then is stuck: the request's own time runs again. */
const maxWorkMs = 6 * 3600 * 1000;

/** What `work` gives. A store that has stopped answering ends it by its own bounds. */
export async function longWork<T>(
  request: Pick<ServiceRequest, 'stillWorking'>,
  work: () => Promise<T>,
): Promise<T> {
  const startedMs = performance.now();
  const timer = setInterval(() => {
    if (performance.now() - startedMs < maxWorkMs) request.stillWorking();
  }, sayEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    request.stillWorking();
  }
}
