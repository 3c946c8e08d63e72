// In charge of: what the gateway itself refuses a request with, and such an answer where no service has a shape for it.
import { Fault } from '../base/errors.ts';
import type { Answer } from '../engine/service/http.ts';
import type { Passage } from './passage.ts';

export function timeoutFault(passage: Passage): Fault {
  const seconds = passage.timeoutSeconds;
  if (passage.line.bodyIsMissing()) {
    return new Fault({
      status: 408,
      code: 'request_timeout',
      message: `The body did not arrive within ${seconds} s.`,
      hint: 'Send less at once, or raise gateway.request_timeout.',
    });
  }
  return new Fault({
    status: 504,
    code: 'request_timeout',
    message: `The request took longer than ${seconds} s.`,
    hint: 'Ask for less at once, or raise gateway.request_timeout.',
  });
}

export function plainAnswer({ status, code, message, hint, headers }: Fault): Answer {
  return {
    status,
    headers: [['content-type', 'application/json'], ...Object.entries(headers)],
    body: JSON.stringify({ code, message, hint }),
  };
}

export function tooLarge(maxBytes: number): Fault {
  return new Fault({
    status: 413,
    code: 'payload_too_large',
    message: `The body is longer than ${maxBytes} bytes.`,
    hint: 'Send it in parts, or raise gateway.max_body_bytes.',
  });
}
