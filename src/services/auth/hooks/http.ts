// In charge of: hooks by HTTP: signed, asked up to three times within five seconds, their answers bounded.
// Source: supabase/auth internal/hooks/hookshttp/hookshttp.go.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../base/time.ts';
import type { Egress, EgressResponse } from '../../../engine/egress/egress.ts';
import { EgressError } from '../../../engine/egress/errors.ts';
import { badRequest, failed, unprocessable } from '../errors.ts';
import { signaturesOf } from './sign.ts';

/** For all attempts together. */
const timeoutMs = 5_000;
const maxAttempts = 3;
const waitMs = 2_000;
const maxAnswerBytes = 200 * 1024;

export interface HttpHook {
  readonly url: string;
  readonly secrets: readonly string[];
  readonly body: string;
}

export interface Sender {
  readonly egress: Pick<Egress, 'fetch'>;
  readonly now: Clock;
  readonly signal: AbortSignal;
}

/**
 * What the hook answers, as text; undefined for 204.
 * @throws Fault 422 hook_timeout, hook_timeout_after_retry, hook_payload_over_size_limit, 400 hook_payload_invalid_content_type, 500
 */
export async function callHttp(sender: Sender, hook: HttpHook): Promise<string | undefined> {
  const deadline = performance.now() + timeoutMs;
  const leftMs = () => Math.floor(deadline - performance.now());
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    if (leftMs() <= 0) throw timedOut();
    let answer: EgressResponse;
    try {
      answer = await ask(sender, hook, leftMs());
    } catch (error) {
      await afterFailure(error, attempt === maxAttempts, leftMs(), sender.signal);
      continue;
    }
    const verdict = readStatus(answer);
    if (verdict !== 'again') return verdict.text;
  }
  throw failed('Service currently unavailable due to hook');
}

function ask({ egress, now, signal }: Sender, { url, secrets, body }: HttpHook, leftMs: number) {
  const id = randomUUID();
  const timestamp = Math.floor(now() / 1000);
  return egress.fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signaturesOf(secrets, id, timestamp, body),
    },
    body,
    timeoutMs: leftMs,
    maxResponseBytes: maxAnswerBytes,
    signal,
  });
}

/** Returns when it is worth another attempt. */
async function afterFailure(error: unknown, isLast: boolean, leftMs: number, signal: AbortSignal) {
  const reason = error instanceof EgressError ? error.reason : 'network';
  if (reason === 'size')
    throw unprocessable(
      'hook_payload_over_size_limit',
      `Payload size exceeded size limit of ${maxAnswerBytes} bytes`,
    );
  if (reason === 'time' || leftMs <= 0) throw timedOut();
  const isForGood = reason === 'address' || reason === 'url' || reason === 'redirect';
  if (isLast || isForGood)
    throw unprocessable('hook_timeout_after_retry', 'Failed to reach hook after maximum retries');
  await sleep(Math.min(waitMs, leftMs), undefined, { signal });
}

function readStatus({ status, headers, body }: EgressResponse): 'again' | { readonly text?: string } {
  switch (status) {
    case 204:
      return {};
    case 200:
    case 202:
      refuseOtherThanJson(headers['content-type'] ?? '');
      return { text: body.toString('utf8') };
    case 429:
    case 503:
      if (headers['retry-after']) return 'again';
      throw failed('Service currently unavailable due to hook');
    case 400:
      throw failed('Invalid payload sent to hook');
    case 401:
      throw failed('Hook requires authorization token');
    default:
      throw failed(`Unexpected status code returned from hook: ${status}`);
  }
}

function refuseOtherThanJson(given: string): void {
  if (given === '')
    throw badRequest(
      'hook_payload_invalid_content_type',
      'Invalid Content-Type: Missing Content-Type header',
    );
  const [type = ''] = given.split(';');
  if (type.trim().toLowerCase() !== 'application/json')
    throw badRequest(
      'hook_payload_invalid_content_type',
      `Invalid JSON response. Received content-type: ${given}`,
    );
}

const timedOut = () =>
  unprocessable('hook_timeout', 'Failed to reach hook within maximum time of 5.000000 seconds');
