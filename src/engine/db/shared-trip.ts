// In charge of: several requests on one connection at once. Each keeps a Sync of its own, and so a transaction of its own under its own role: what
// they share is one write, one wake-up of Postgres and one read, which together cost as much as a quick statement does. Only statements that
// have always been quick travel so, as each waits for those before it. Why, and what it costs: docs/decisions/0007-shared-trips.md.
import type { PoolClient } from 'pg';
import type { Cancellation } from '../../base/cancellation.ts';
import { errorCode } from '../../base/errors.ts';
import { cancelQuery } from './cancel.ts';
import type { DatabaseUnavailable, Rows } from './db.ts';
import { Exchange, isStalePlan, type Step } from './exchange.ts';
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

/** The trips of one pool, and who looks whether one of them is held up. */
export class Trips {
  readonly options: TripOptions;
  readonly #underWay = new Set<Trip>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TripOptions) {
    this.options = options;
  }

  /** Starts those of `waiting` whose callers are still there. */
  start(client: PoolClient, waiting: readonly Passenger[]): void {
    const wasEager = waiting[0]?.sharing === 'eager';
    const passengers = waiting.filter((passenger) => {
      const { cancellation } = passenger;
      if (cancellation?.reason) passenger.reject(cancellation.reason);
      return cancellation?.reason === undefined;
    });
    if (passengers.length === 0) {
      this.options.giveBack(client, false, wasEager);
      return;
    }
    new Trip(this, client, passengers, wasEager).start();
  }

  /** From now on somebody looks whether `trip` gets on. */
  watch(trip: Trip): void {
    this.#underWay.add(trip);
    this.#timer ??= setTimeout(this.#look, lookEveryMs).unref();
  }

  ended(trip: Trip): void {
    this.#underWay.delete(trip);
  }

  readonly #look = (): void => {
    for (const trip of this.#underWay) trip.look();
    this.#timer = this.#underWay.size > 0 ? setTimeout(this.#look, lookEveryMs).unref() : undefined;
  };
}

const lookEveryMs = 50;
/**
 * After so many looks at the same statement it is cancelled for those behind it, and runs again alone. Looks and not milliseconds: when this
 * process was busy, the answer may wait to be read.
 */
const maxLooks = 5;

/** One request that may share. */
export class Passenger implements Taker {
  readonly sharing: 'eager' | 'full';
  readonly steps: readonly Step[];
  readonly cancellation: Cancellation | undefined;
  readonly resolve: (rows: Rows) => void;
  readonly reject: (error: unknown) => void;
  /** Runs it alone, when what went wrong was another's doing. */
  readonly alone: () => void;
  readonly #trips: Trips;

  constructor(
    trips: Trips,
    sharing: 'eager' | 'full',
    steps: readonly Step[],
    cancellation: Cancellation | undefined,
    ends: {
      readonly resolve: (rows: Rows) => void;
      readonly reject: (error: unknown) => void;
      readonly alone: () => void;
    },
  ) {
    this.#trips = trips;
    this.sharing = sharing;
    this.steps = steps;
    this.cancellation = cancellation;
    this.resolve = ends.resolve;
    this.reject = ends.reject;
    this.alone = ends.alone;
  }

  give(client: PoolClient, others: readonly Taker[] = []): void {
    // Sound: the pool puts together only those that say that they share, and only these do.
    this.#trips.start(client, [this, ...(others as Passenger[])]);
  }

  refuse(error: DatabaseUnavailable): void {
    this.reject(error);
  }
}

class Trip {
  readonly #trips: Trips;
  readonly #client: PoolClient;
  readonly #passengers: readonly Passenger[];
  readonly #wasEager: boolean;
  #exchanges: readonly Exchange[] = [];
  /** Whose statement runs now: answers come in the order of the requests. */
  #head = 0;
  #headSinceMs = 0;
  /** How often somebody has looked while this one ran. */
  #looks = 0;
  /** All cancels that were sent; false when one of them may still hit. */
  #cancelled: Promise<boolean> | undefined;
  #broken = false;

  constructor(trips: Trips, client: PoolClient, passengers: readonly Passenger[], wasEager: boolean) {
    this.#wasEager = wasEager;
    this.#trips = trips;
    this.#client = client;
    this.#passengers = passengers;
  }

  start(): void {
    try {
      this.#write();
    } catch (error) {
      // Nothing has gone out, and what this connection has prepared is not known any more.
      for (const { cancellation, reject } of this.#passengers) {
        cancellation?.listen(undefined);
        reject(error);
      }
      this.#trips.options.giveBack(this.#client, true, this.#wasEager);
      return;
    }
    this.#headSinceMs = performance.now();
    if (this.#exchanges.length > 1) this.#trips.watch(this);
    this.#client.query(this.#exchanges[0]!);
  }

  #write(): void {
    const names = this.#trips.options.names(this.#client);
    const messages = new Messages();
    this.#exchanges = this.#passengers.map((passenger) => {
      passenger.cancellation?.listen(() => this.#onCancel(passenger));
      return new Exchange(
        passenger.steps,
        names,
        (rows) => this.#arrived(passenger, rows),
        (error) => this.#failed(passenger, error),
      );
    });
    for (const exchange of this.#exchanges) exchange.write(messages);
    // The first takes the bytes of all with it.
    this.#exchanges[0]!.carry(messages.bytes());
  }

  /** Those behind cannot be called back: they are on their way. So the one before them is, when it takes too long; it has done nothing then. */
  look(): void {
    if (this.#head >= this.#passengers.length - 1) return;
    this.#looks += 1;
    if (this.#looks === maxLooks) this.#cancel();
  }

  #onCancel(passenger: Passenger): void {
    // One that has not begun is left until it does: a cancel would hit the one before it.
    if (this.#passengers[this.#head] === passenger) this.#cancel();
  }

  #cancel(): void {
    const before = this.#cancelled;
    const now = cancelQuery(this.#client);
    this.#cancelled = before === undefined ? now : Promise.all([before, now]).then(([a, b]) => a && b);
  }

  #arrived(passenger: Passenger, rows: Rows): void {
    const nowMs = performance.now();
    this.#trips.options.paces.note(passenger.steps.at(-1)!.text, nowMs - this.#headSinceMs);
    this.#headSinceMs = nowMs;
    this.#next(passenger);
    passenger.resolve(rows);
  }

  #failed(passenger: Passenger, error: unknown): void {
    const nowMs = performance.now();
    this.#trips.options.paces.noteFailure(passenger.steps.at(-1)!.text, nowMs - this.#headSinceMs);
    this.#headSinceMs = nowMs;
    const lost = unavailable(error);
    if (lost) this.#broken = true;
    const isOthersDoing = this.#isOthersDoing(passenger, error);
    // It may run on another connection next; this one would meet the old plan again.
    if (isStalePlan(error)) {
      this.#trips.options.names(this.#client).forgetText(passenger.steps.map((step) => step.text));
    }
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
      isStalePlan(error)
    );
  }

  #next(passenger: Passenger): void {
    passenger.cancellation?.listen(undefined);
    this.#head += 1;
    this.#looks = 0;
    const next = this.#passengers[this.#head];
    if (next === undefined) {
      this.#end();
      return;
    }
    // `pg` hears of each in its turn, so that its own queue stays empty: what it does with a full one ends with its next major version.
    this.#client.query(this.#exchanges[this.#head]!);
    if (next.cancellation?.reason) this.#cancel();
  }

  #end(): void {
    this.#trips.ended(this);
    const giveBack = (broken: boolean) => this.#trips.options.giveBack(this.#client, broken, this.#wasEager);
    if (this.#cancelled === undefined) giveBack(this.#broken);
    // Until the cancel is through, it could hit whoever comes next.
    else
      this.#cancelled.then(
        (sure) => giveBack(this.#broken || !sure),
        () => giveBack(true),
      );
  }
}
