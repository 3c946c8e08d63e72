// In charge of: a request and an answer as plain values, the same for one that came over Node's socket and one that was handed over as a
// `fetch` Request. A Request and a Response for each call would cost more than the rest of the gateway.
import type { Cancellation } from '../../base/cancellation.ts';
import type { Caller } from '../identity/caller.ts';
import type { CredentialsRefused } from '../identity/refused.ts';

/** A header may be given several times, so they are pairs. */
export type Headers = readonly (readonly [name: string, value: string])[];

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string | Buffer | null;
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
  readonly requestId: string;
  /** Says when the client goes away or the request's time is over. */
  readonly cancellation: Cancellation;
  /** Milliseconds per phase, for `Server-Timing`; undefined when nobody wants them. */
  readonly timings: Map<string, number> | undefined;
  /** Whether a body came with it, be it empty. */
  readonly hasBody: boolean;
  /** The whole body. @throws Fault 413 when it is longer than allowed. */
  readBody(): Promise<Buffer>;
}

/** The answer for whoever called by `fetch`; `more` are headers that go before its own. */
export function toResponse({ status, headers, body }: Answer, more: Headers = []): Response {
  // Sound: a Buffer is a body; its type only differs from the one that fetch names.
  return new Response(body as string | null, {
    status,
    headers: [...more, ...headers].map(([name, value]) => [name, value]),
  });
}
