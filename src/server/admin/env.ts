// In charge of: who an operator is, what an operator may do, and the Hono environment of the routes behind the operator plane.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a token may do; the local socket may do everything. */
export const scopes = ['read', 'settings', 'keys', 'metrics', 'operators'] as const;
export type Scope = (typeof scopes)[number];

export interface Operator {
  /** `local:ada`, or the name of a token. */
  readonly name: string;
  /** `socket`, or `token:7`. */
  readonly via: string;
  readonly scopes: ReadonlySet<Scope>;
}

export interface AdminEnv {
  Bindings: {
    readonly incoming?: IncomingMessage;
    readonly outgoing?: ServerResponse;
    /** The one client address, behind trusted proxies too; without it the connection's own. */
    readonly address?: string;
    readonly requestId?: string;
  };
  Variables: {
    operator: Operator;
    /** Where the request came from; empty on the local socket. */
    address: string;
    requestId: string;
  };
}
