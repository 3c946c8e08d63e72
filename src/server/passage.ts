// In charge of: one request on its way through the gateway: who it is from, how long it may take, and that it is answered once.
import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { Cancellation } from '../base/cancellation.ts';
import type { Caller } from '../engine/identity/caller.ts';
import type { CredentialsRefused } from '../engine/identity/refused.ts';
import type { Running, Service } from '../engine/service/contract.ts';
import type { Answer, Headers, ServiceRequest } from '../engine/service/http.ts';
import type { Trace } from './guard/trace.ts';

/** A service behind the gateway. */
export interface Mounted {
  readonly service: Service;
  readonly running: Running;
}

/** What a request says of itself before anything is read of its body. */
export interface RequestHead {
  readonly method: string;
  /** Whole, still escaped. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly hasBody: boolean;
  /** The one client address; empty until it is known, and where there is none. */
  address: string;
  /** By which it is counted what somebody may do too often; empty: it is not. */
  countedAs: string;
  /** Whether the client came over https. */
  isSecure: boolean;
  /** Whether a proxy that is trusted passed it on. */
  isProxied: boolean;
}

/** Where the request came from, and where its answer goes. */
export interface Line {
  /** The whole body; undefined when it is longer than `maxBytes`, of which no more is kept then. */
  readBody(maxBytes: number): Promise<Buffer | undefined>;
  /** Whether the client still owes a part of the body. */
  bodyIsMissing(): boolean;
  /** Whether there is nobody any more who could read an answer. */
  isGone(): boolean;
  /** The body piece by piece; destroyed with an error when the client goes away. */
  openBody(): Readable;
  /** Bytes that came and went so far, in any unit that grows with them. */
  movedBytes(): number;
  /** Called once. `own` are the gateway's headers, which go before the answer's. A promise: it resolves when a streamed body is out, or given up. */
  reply(answer: Answer, own: Headers): Promise<void> | undefined;
}

/** What a request has that wants to go on in another protocol. */
export interface Upgrade {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the head already. */
  readonly first: Buffer;
  /** The connection is somebody else's from now on: HTTP lets go of it. */
  release(): void;
}

export class Passage implements ServiceRequest {
  readonly mounted: Mounted;
  readonly head: RequestHead;
  readonly line: Line;
  readonly requestId: string;
  readonly timings: Map<string, number> | undefined;
  readonly cancellation = new Cancellation();
  readonly startedMs = performance.now();
  readonly path: string;
  readonly headersOut: (readonly [string, string])[];
  /** Whether its time counts from the last byte that moved. */
  readonly isStreamed: boolean;
  /** From when on its time counts. */
  countedFromMs = this.startedMs;
  movedBytes = 0;
  /** How long it may take. */
  timeoutSeconds = Number.POSITIVE_INFINITY;
  maxBodyBytes = 0;
  timedOut = false;
  /** Whether it counts as one of those in flight. */
  isCounted = false;
  trace: Trace | undefined;
  upgrade: Upgrade | undefined;
  /** The rule that refused it, for the log. */
  refusedBy: string | undefined;
  isAnswered = false;
  refused: CredentialsRefused | undefined;
  #caller: Caller | undefined;
  readonly #tooLong: (maxBytes: number) => Error;

  constructor(
    mounted: Mounted,
    head: RequestHead,
    line: Line,
    facts: {
      readonly requestId: string;
      readonly timings: Map<string, number> | undefined;
      readonly tooLong: (maxBytes: number) => Error;
    },
  ) {
    this.mounted = mounted;
    this.head = head;
    this.line = line;
    this.requestId = facts.requestId;
    this.timings = facts.timings;
    this.#tooLong = facts.tooLong;
    this.headersOut = [['x-request-id', facts.requestId]];
    const { mount } = mounted.service;
    this.path = mount === '/' ? head.path : head.path.slice(mount.length) || '/';
    this.isStreamed = mounted.service.streams?.(head.method, this.path) ?? false;
  }

  get method(): string {
    return this.head.method;
  }

  get query(): string {
    return this.head.query;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.head.headers;
  }

  header(name: string): string | undefined {
    return this.head.headers[name];
  }

  get hasBody(): boolean {
    return this.head.hasBody;
  }

  get address(): string {
    return this.head.address;
  }

  get isProxied(): boolean {
    return this.head.isProxied;
  }

  get countedAs(): string {
    return this.head.countedAs;
  }

  /** Known from the moment that a service gets the request. */
  get caller(): Caller {
    return this.#caller!;
  }

  /** The caller's role for the log; empty for a request that was refused before it was known. */
  get role(): string {
    return this.#caller?.role ?? '';
  }

  identified(caller: Caller): void {
    this.#caller = caller;
  }

  async readBody(): Promise<Buffer> {
    const body = await this.line.readBody(this.maxBodyBytes);
    if (body === undefined) throw this.#tooLong(this.maxBodyBytes);
    return body;
  }

  openBody(): Readable {
    return this.line.openBody();
  }

  stillWorking(): void {
    this.countedFromMs = performance.now();
  }
}
