// In charge of: a text of one or more statements on a session, as a person's `psql -c` sends it: rows are counted and not kept.
import type { Connection, DatabaseError, Submittable } from 'pg';

/** What one statement of the text came to. */
export interface StatementResult {
  /** `INSERT 0 3`, `VACUUM`; of an empty statement the empty text. */
  readonly tag: string;
  /** How many rows it gave; undefined where it gives none. */
  readonly rows: number | undefined;
}

// What `pg`'s Connection can do and @types/pg leaves out. Source: pg 8.23 lib/connection.js.
interface WireConnection {
  sendCopyFail(message: string): void;
}

/**
 * Runs `text` by the simple protocol, so that several statements are one implicit transaction unless they say otherwise. `resolve` gets what
 * each came to; `reject` the first error. A COPY from or to the client is an error.
 * Source: PostgreSQL manual, "Simple Query" of the frontend/backend protocol.
 */
export class ScriptRun implements Submittable {
  readonly #text: string;
  readonly #resolve: (results: readonly StatementResult[]) => void;
  readonly #reject: (error: unknown) => void;
  readonly #results: StatementResult[] = [];
  #rows: number | undefined;
  #copies = false;

  constructor(
    text: string,
    resolve: (results: readonly StatementResult[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#text = text;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: Connection): void {
    connection.once('copyOutResponse', () => {
      this.#copies = true;
    });
    connection.query(this.#text);
  }

  handleRowDescription(): void {
    this.#rows = 0;
  }

  handleDataRow(): void {
    this.#rows = (this.#rows ?? 0) + 1;
  }

  handleCommandComplete(message: { readonly text: string }): void {
    // Bounded: a text of a megabyte of semicolons has as many statements.
    if (this.#results.length < maxResults) this.#results.push({ tag: message.text, rows: this.#rows });
    this.#rows = undefined;
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: '' });
  }

  handleCopyInResponse(connection: Connection): void {
    // Sound: `pg` hands its own Connection on; the interface names the part of it that is used.
    (connection as unknown as WireConnection).sendCopyFail(noCopy);
  }

  handleCopyData(): void {}

  handlePortalSuspended(): void {}

  handleError(error: DatabaseError): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    if (this.#copies) this.#reject(new Error(noCopy));
    else this.#resolve(this.#results);
  }
}

const maxResults = 10_000;
/** Source: citusdata/pg_cron src/pg_cron.c GetTaskFeedback. */
const noCopy = 'COPY not supported';
