// In charge of: the Data API for the gateway: one request in, one answer out, and every error in the protocol's shape.
import type { Observe } from '../../base/observe.ts';
import type { Answer, ServiceRequest } from '../../engine/service/http.ts';
import { answer, type Rest } from './answer.ts';
import { answerBatch, isBatch } from './batch.ts';
import { isBug, renderError } from './render-error.ts';
import { withoutForeignNames } from './scope.ts';
import { withoutDetails } from './verbosity.ts';
import type { WireRequest } from './wire.ts';

export function serveRest(rest: Rest, observe: Observe): (request: ServiceRequest) => Promise<Answer> {
  return async (request) => {
    try {
      const wire = await readRequest(request);
      const answered = await (isBatch(wire) ? answerBatch : answer)(rest, wire, request);
      return traced(rest, wire, worded(rest, answered));
    } catch (error) {
      // Whoever went away is why: the request ended where it was.
      const isGone = request.cancellation.reason !== undefined;
      if (isBug(error) && !isGone)
        observe({ kind: 'rest.error', level: 'error', requestId: request.requestId, error });
      return worded(
        rest,
        renderError(
          withoutForeignNames(request.caller, error),
          request.caller.role !== rest.config.now().anonRole,
        ),
      );
    }
  };
}

const noBody = Buffer.alloc(0);

function readRequest(request: ServiceRequest): WireRequest | Promise<WireRequest> {
  const { method, path, query, headers } = request;
  if (!request.hasBody || method === 'GET' || method === 'HEAD')
    return { method, path, query, headers, body: noBody };
  return request.readBody().then((body) => ({ method, path, query, headers, body }));
}

function worded(rest: Rest, answered: Answer): Answer {
  return rest.config.now().errorVerbosity === 'minimal' ? withoutDetails(answered) : answered;
}

/** Gives the trace header back. */
function traced(rest: Rest, wire: WireRequest, answered: Answer): Answer {
  const { traceHeader } = rest.config.now();
  if (traceHeader === '') return answered;
  const value = wire.headers[traceHeader.toLowerCase()] ?? '';
  return { ...answered, headers: [[traceHeader, value] as const, ...answered.headers] };
}
