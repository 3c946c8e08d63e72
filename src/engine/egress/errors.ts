// In charge of: why an outgoing request did not come to its answer.

export type EgressReason =
  /** No URL, another scheme than http and https, or a user name in it. */
  | 'url'
  /** The name leads to an address that is not on the public Internet, and `egress.allow` does not hold it. */
  | 'address'
  /** More redirects than allowed, or one that leads from https to http. */
  | 'redirect'
  /** The answer is longer than its bound. */
  | 'size'
  | 'time'
  /** Too many are under way. */
  | 'busy'
  /** The name has no address, nobody listens, TLS fails, the answer is no HTTP, the caller gave up. */
  | 'network';

/**
 * Not a Fault: whoever asked for the request decides what its client may read. The message names a host and never an address
 * that was looked up, so that a client who may choose the URL learns nothing of the network behind it; `address` is for the log.
 */
export class EgressError extends Error {
  override readonly name = 'EgressError';
  readonly reason: EgressReason;
  readonly address: string | undefined;

  constructor(reason: EgressReason, message: string, more: { address?: string; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.reason = reason;
    this.address = more.address;
  }
}

/** The error itself, or the one that a library wrapped; undefined when there is none of ours in it. */
export function egressErrorIn(error: unknown): EgressError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < maxCauses; at = at.cause, depth++) {
    if (at instanceof EgressError) return at;
  }
  return undefined;
}

const maxCauses = 8;
