// In charge of: several statements in one round trip. A `pg` Submittable that writes Parse, Bind and Execute for each and one Sync behind all.
import type { Connection, Submittable } from 'pg';
import { errorCode, errorMessage } from '../../base/errors.ts';
import type { Rows } from './db.ts';
import { Messages } from './messages.ts';
import type { StatementNames, UsedName } from './statement-names.ts';

/** One statement of an exchange. */
export interface Step {
  readonly text: string;
  readonly params: readonly (string | null)[];
  /** What keeps its prepared form apart from the same text for somebody else: the role, since row-level security re-plans per role. */
  readonly owner: string;
  /** Whether its rows are kept; those of `set_config` are not. */
  readonly keep: boolean;
}

// What `pg`'s Connection can do and @types/pg leaves out. Source: pg 8.23 lib/connection.js.
interface WireConnection {
  readonly stream: { readonly writable: boolean; write(bytes: Buffer): boolean };
  sync(): void;
  sendCopyFail(message: string): void;
}

/**
 * Runs `steps` in one implicit transaction (or in the one that is open); `resolve` gets the rows of the last step that keeps its rows.
 * `reject` gets the error of the first failing step; Postgres skips the rest up to the Sync.
 * Source: PostgreSQL manual, "Extended Query" and "Pipelining" of the frontend/backend protocol.
 */
export class Exchange implements Submittable {
  readonly #steps: readonly Step[];
  readonly #names: StatementNames | undefined;
  readonly #parsing: string[] = [];
  #parsedBefore = 0;
  readonly #resolve: (rows: Rows) => void;
  readonly #reject: (error: unknown) => void;
  #rows: (string | null)[][] = [];
  #affected = 0;
  #step = 0;
  #isWritten = false;
  #bytes: Buffer | undefined;

  /** `names` undefined: nothing is prepared by name (behind a transaction pooler). */
  constructor(
    steps: readonly Step[],
    names: StatementNames | undefined,
    resolve: (rows: Rows) => void,
    reject: (error: unknown) => void,
  ) {
    this.#steps = steps;
    this.#names = names;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Puts the messages of all steps, with the Sync behind them, to `messages`. */
  write(messages: Messages): void {
    const names = this.#names;
    names?.beginExchange();
    const used = names && this.#steps.map((step) => names.use(step.owner, step.text));
    // Closed before anything can fail: what is skipped after an error would stay on the server for good.
    for (const { dropped } of used ?? []) {
      for (const name of dropped) messages.close(name);
    }
    for (const [index, step] of this.#steps.entries()) this.#send(messages, step, used?.[index]);
    messages.sync();
    this.#isWritten = true;
  }

  /** These bytes go out when its turn comes; of one that was written and carries none, another has taken them along. */
  carry(bytes: Buffer): void {
    this.#bytes = bytes;
  }

  submit(connection: Connection): void {
    // Now, and not when it was made: those that went before it on the same trip have had theirs parsed since.
    this.#parsedBefore = this.#names?.parsed ?? 0;
    if (!this.#isWritten) {
      const messages = new Messages();
      this.write(messages);
      this.#bytes = messages.bytes();
    }
    if (this.#bytes === undefined) return;
    // Sound: `pg` hands its own Connection to submit(); the interface names the part of it that is used.
    const wire = connection as unknown as WireConnection;
    // A stream that is gone has said so already: the client's error ends this exchange.
    if (wire.stream.writable) wire.stream.write(this.#bytes);
    this.#bytes = undefined;
  }

  #send(messages: Messages, step: Step, known: UsedName | undefined): void {
    const statement = known?.name ?? '';
    if (known === undefined || known.isNew) {
      messages.parse(statement, step.text);
      if (known) this.#parsing.push(statement);
    }
    messages.bindAndExecute(statement, step.params);
  }

  handleDataRow(message: { fields: (string | null)[] }): void {
    if (this.#steps[this.#step]?.keep) this.#rows.push(message.fields);
  }

  handleCommandComplete(message: { text: string }): void {
    if (this.#steps[this.#step]?.keep) this.#affected = affectedRows(message.text);
    this.#step += 1;
  }

  handleEmptyQuery(): void {
    this.#step += 1;
  }

  handleError(error: unknown): void {
    // Of the statements sent to be parsed, the first so many were; the rest do not exist on the server.
    const parsed = (this.#names?.parsed ?? 0) - this.#parsedBefore;
    for (const name of this.#parsing.slice(parsed)) this.#names?.forget(name);
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve({ rows: this.#rows, affected: this.#affected });
  }

  handleRowDescription(): void {}

  handlePortalSuspended(): void {}

  handleCopyInResponse(connection: Connection): void {
    // Sound: see submit().
    const wire = connection as unknown as WireConnection;
    wire.sendCopyFail('COPY FROM STDIN is not possible here');
    // While it waits for data the server ignores a Sync, so the one of submit() is gone. Source: "COPY Operations" of the protocol.
    wire.sync();
  }

  handleCopyData(): void {}
}

/** 0A000 after DDL changed the columns of a prepared statement. Source: PostgreSQL src/backend/utils/cache/plancache.c. */
export function isStalePlan(error: unknown): boolean {
  return (
    errorCode(error) === '0A000' && errorMessage(error).includes('cached plan must not change result type')
  );
}

/** `INSERT 0 3` → 3, `SELECT 5` → 5, `BEGIN` → 0. */
function affectedRows(tag: string): number {
  const count = Number(tag.slice(tag.lastIndexOf(' ') + 1));
  return Number.isInteger(count) ? count : 0;
}
