// In charge of: several requests on one connection at once. Each keeps a Sync of its own, and so a transaction of its own under its own role: what
// they share is one write, one wake-up of Postgres and one read, which together cost as much as a quick statement does. Only statements that
// have always been quick travel so, as each waits for those before it.
import type { PoolClient } from 'pg';
import type { Cancellation } from '../../base/cancellation.ts';
import { errorCode } from '../../base/errors.ts';
import { cancelQuery } from './cancel.ts';
import type { DatabaseUnavailable, Rows } from './db.ts';
import { Exchange, type Step } from './exchange.ts';
import { Messages } from './messages.ts';
import type { Paces } from './pace.ts';
import { type Taker, unavailable } from './pool.ts';
import type { StatementNames } from './statement-names.ts';

export interface TripOptions {
  readonly paces: Paces;
  readonly names: (client: PoolClient) => StatementNames;
  /** The connection is free again; `broken`: it is not to be used any more; `wasEager`: it was given to one who shares eagerly. */
  readonly giveBack: (client: PoolClient, broken: boolean, wasEager: boolean) => void;
}

/** One request that may share. */
export class Passenger implements Taker {
  readonly sharing: 'eager' | 'full';
  readonly steps: readonly Step[];
  readonly cancellation: Cancellation | undefined;
  readonly resolve: (rows: Rows) => void;
  readonly reject: (error: unknown) => void;
  /** Runs it alone, when what went wrong was another's doing. */
  readonly alone: () => void;
  readonly #options: TripOptions;

  constructor(
    options: TripOptions,
    sharing: 'eager' | 'full',
    steps: readonly Step[],
    cancellation: Cancellation | undefined,
    ends: {
      readonly resolve: (rows: Rows) => void;
      readonly reject: (error: unknown) => void;
      readonly alone: () => void;
    },
  ) {
    this.#options = options;
    this.sharing = sharing;
    this.steps = steps;
    this.cancellation = cancellation;
    this.resolve = ends.resolve;
    this.reject = ends.reject;
    this.alone = ends.alone;
  }

  give(client: PoolClient, others: readonly Taker[] = []): void {
    // Sound: the pool puts together only those that say that they share, and only these do.
    travel(this.#options, client, [this, ...(others as Passenger[])]);
  }

  refuse(error: DatabaseUnavailable): void {
    this.reject(error);
  }
}

function travel(options: TripOptions, client: PoolClient, waiting: readonly Passenger[]): void {
  const passengers = waiting.filter((passenger) => {
    const { cancellation } = passenger;
    if (cancellation?.reason) passenger.reject(cancellation.reason);
    return cancellation?.reason === undefined;
  });
  if (passengers.length === 0) {
    options.giveBack(client, false, waiting[0]?.sharing === 'eager');
    return;
  }
  new Trip(options, client, passengers, waiting[0]?.sharing === 'eager').start();
}

class Trip {
  readonly #options: TripOptions;
  readonly #client: PoolClient;
  readonly #passengers: readonly Passenger[];
  /** Whose statement runs now: answers come in the order of the requests. */
  #head = 0;
  #headSinceMs = 0;
  readonly #wasEager: boolean;
  #cancelled: Promise<boolean> | undefined;
  #broken = false;

  constructor(options: TripOptions, client: PoolClient, passengers: readonly Passenger[], wasEager: boolean) {
    this.#wasEager = wasEager;
    this.#options = options;
    this.#client = client;
    this.#passengers = passengers;
  }

  start(): void {
    const names = this.#options.names(this.#client);
    const messages = new Messages();
    const exchanges = this.#passengers.map((passenger) => {
      passenger.cancellation?.listen(() => this.#onCancel(passenger));
      return new Exchange(
        passenger.steps,
        names,
        (rows) => this.#arrived(passenger, rows),
        (error) => this.#failed(passenger, error),
      );
    });
    for (const exchange of exchanges) exchange.write(messages);
    this.#headSinceMs = performance.now();
    // The first takes the bytes of all with it; `pg` hears the others' answers in their turn.
    exchanges[0]!.carry(messages.bytes());
    for (const exchange of exchanges) this.#client.query(exchange);
  }

  #onCancel(passenger: Passenger): void {
    // One that has not begun is left to run: it is quick, and a cancel would hit the one before it.
    if (this.#passengers[this.#head] === passenger) this.#cancelled ??= cancelQuery(this.#client);
  }

  #arrived(passenger: Passenger, rows: Rows): void {
    const nowMs = performance.now();
    this.#options.paces.note(passenger.steps.at(-1)!.text, nowMs - this.#headSinceMs);
    this.#headSinceMs = nowMs;
    this.#next(passenger);
    passenger.resolve(rows);
  }

  #failed(passenger: Passenger, error: unknown): void {
    const lost = unavailable(error);
    if (lost) this.#broken = true;
    const isOthersDoing = this.#isOthersDoing(passenger, error);
    this.#headSinceMs = performance.now();
    this.#next(passenger);
    if (isOthersDoing) passenger.alone();
    else passenger.reject(lost ?? error);
  }

  /** Another's cancel has hit it, or a name that another was to make is missing. It has done nothing, so it can be done again. */
  #isOthersDoing({ cancellation }: Passenger, error: unknown): boolean {
    if (cancellation?.reason) return false;
    const code = errorCode(error);
    return (
      (code === '57014' && this.#cancelled !== undefined) ||
      code === '26000' ||
      code === '42P05' ||
      code === '0A000'
    );
  }

  #next(passenger: Passenger): void {
    passenger.cancellation?.listen(undefined);
    this.#head += 1;
    const next = this.#passengers[this.#head];
    if (next === undefined) this.#end();
    else if (next.cancellation?.reason) this.#onCancel(next);
  }

  #end(): void {
    const giveBack = (broken: boolean) => this.#options.giveBack(this.#client, broken, this.#wasEager);
    if (this.#cancelled === undefined) giveBack(this.#broken);
    // Until the cancel is through, it could hit whoever comes next.
    else
      this.#cancelled.then(
        (sure) => giveBack(this.#broken || !sure),
        () => giveBack(true),
      );
  }
}
