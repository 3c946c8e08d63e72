// In charge of: a request and an answer as plain values, the same for one that came over Node's socket and one that was handed over as a
// `fetch` Request. A Request and a Response for each call would cost more than the rest of the gateway.
import { Readable } from 'node:stream';
import type { Cancellation } from '../../base/cancellation.ts';
import type { Caller } from '../identity/caller.ts';
import type { CredentialsRefused } from '../identity/refused.ts';

/** A header may be given several times, so they are pairs. */
export type Headers = readonly (readonly [name: string, value: string])[];

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string | Buffer | BodyStream | null;
}

/** A body that comes piece by piece. Whoever gets it reads it to its end, or destroys it. */
export interface BodyStream {
  readonly stream: Readable;
  /** Undefined: it is not known before the end. */
  readonly sizeBytes: number | undefined;
}

export function isStream(body: Answer['body']): body is BodyStream {
  return body !== null && typeof body === 'object' && 'stream' in body;
}

/** A request as a service gets it: who asks is known, and the bounds of size and time hold. */
export interface ServiceRequest {
  readonly method: string;
  /** Below the service's mount, still escaped: `/films`. */
  readonly path: string;
  /** Without the question mark, still escaped. */
  readonly query: string;
  /** By lower-case name; one that came several times is joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  readonly caller: Caller;
  /** Why the credentials did not hold, for a service that lets such requests in; `caller` is then whoever the API key says, or nobody. */
  readonly refused: CredentialsRefused | undefined;
  /** The one client address; empty where there is none. */
  readonly address: string;
  /** By which address is counted what somebody may do too often; empty: it is not. */
  readonly countedAs: string;
  /** Whether a proxy that is trusted passed it on: what that writes into headers may be believed. */
  readonly isProxied: boolean;
  readonly requestId: string;
  /** Says when the client goes away or the request's time is over. */
  readonly cancellation: Cancellation;
  /** Milliseconds per phase, for `Server-Timing`; undefined when nobody wants them. */
  readonly timings: Map<string, number> | undefined;
  /** Whether a body came with it, be it empty. */
  readonly hasBody: boolean;
  /** The whole body. @throws Fault 413 when it is longer than allowed. */
  readBody(): Promise<Buffer>;
  /**
   * The body piece by piece, for requests that the service says it streams: it bounds the bytes itself. Called at most once, and not beside `readBody`.
   * Fails when the client goes away before all of it is here.
   */
  openBody(): Readable;
  /** Work that takes its time is getting on: the request's time counts from now. Whoever says so bounds the work. */
  stillWorking(): void;
}

/** The answer for whoever called by `fetch`; `more` are headers that go before its own. */
export function toResponse({ status, headers, body }: Answer, more: Headers = []): Response {
  // Sound: each is a body; their types only differ from the ones that fetch names.
  const given = isStream(body) ? Readable.toWeb(body.stream) : body;
  return new Response(given as string | null, {
    status,
    headers: [...more, ...headers].map(([name, value]) => [name, value]),
  });
}
