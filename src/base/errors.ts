// In charge of: the two kinds of error that are somebody's to read. Everything else that is thrown is a bug of ours.

/** What a fault says on the wire, before a service gives it the shape of its protocol. */
export interface FaultFacts {
  /** HTTP status. */
  readonly status: number;
  /** Stable API: the protocol's own code (`PGRST116`, `23505`, `user_not_found`). */
  readonly code: string;
  readonly message: string;
  readonly details?: string | null;
  readonly hint?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A refusal that a client may read: bad input, a broken constraint, a missing right, a server that is busy.
 * The service that answers renders it in its protocol's shape; `cause` goes to the log only.
 */
export class Fault extends Error implements FaultFacts {
  override readonly name = 'Fault';
  readonly status: number;
  readonly code: string;
  readonly details: string | null;
  readonly hint: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(facts: FaultFacts, cause?: unknown) {
    super(facts.message, cause === undefined ? undefined : { cause });
    this.status = facts.status;
    this.code = facts.code;
    this.details = facts.details ?? null;
    this.hint = facts.hint ?? null;
    this.headers = facts.headers ?? {};
  }
}

/**
 * A sentence for the person who runs the program: what is wrong, with the offending value, and the next move.
 * The command line prints it without a stack and exits with 1.
 */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
  /** The next move, a sentence of its own. */
  readonly hint: string | null;

  constructor(message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint ?? null;
  }
}

/** The `code` of a Node system error (`ENOENT`, `EADDRINUSE`) or of a Postgres error (its SQLSTATE); undefined otherwise. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
