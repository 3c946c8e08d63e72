// In charge of: many statements in one message. A `pg` Submittable that keeps no rows and knows how far it came.
import type { Connection, Submittable } from 'pg';

// What `pg`'s Connection can do and @types/pg leaves out. Source: pg 8.23 lib/connection.js.
interface WireConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

/** COPY data goes out in pieces of this size, so that no second copy of a large file is made. */
const copyChunkCharacters = 1 << 20;

/**
 * Runs a script by the simple query protocol: Postgres cuts it, and answers each statement. `copies` holds the lines for each
 * `copy … from stdin` in order. Rejects with the first error as Postgres sent it; `completed` counts the statements before it.
 * Source: PostgreSQL manual, "Simple Query" of the frontend/backend protocol.
 */
export class Batch implements Submittable {
  readonly done: Promise<void>;
  completed = 0;
  readonly #text: string;
  readonly #copies: string[];
  /** Sent along with this one, without waiting for its answer. */
  readonly #next: Batch | undefined;
  #isSent = false;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  /** `next` is given to the client right behind this one. */
  constructor(text: string, copies: readonly string[] = [], next?: Batch) {
    this.#text = text;
    this.#next = next;
    this.#copies = [...copies];
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: Connection): void {
    if (this.#isSent) return;
    this.#isSent = true;
    wire(connection).query(this.#text);
    this.#next?.submit(connection);
  }

  handleRowDescription(): void {}

  handleDataRow(): void {}

  handleEmptyQuery(): void {}

  handlePortalSuspended(): void {}

  handleCopyData(): void {}

  handleCommandComplete(): void {
    this.completed += 1;
  }

  handleCopyInResponse(connection: Connection): void {
    const data = this.#copies.shift();
    if (data === undefined) {
      wire(connection).sendCopyFail('there is no data for it');
      return;
    }
    for (let at = 0; at < data.length; ) {
      // A chunk must not end between the two halves of a character.
      const half = isHighSurrogate(data.charCodeAt(at + copyChunkCharacters - 1)) ? 1 : 0;
      const end = at + copyChunkCharacters + half;
      wire(connection).sendCopyFromChunk(Buffer.from(data.slice(at, end)));
      at = end;
    }
    wire(connection).endCopyFrom();
  }

  handleError(error: unknown): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve();
  }
}

function wire(connection: Connection): WireConnection {
  // Sound: `pg` hands its own Connection over; the interface names the part of it that is used.
  return connection as unknown as WireConnection;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
