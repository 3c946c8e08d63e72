// In charge of: changes that are decided one batch after the other: those of one table for one role, or for one group of its callers.
// What waits meanwhile is asked about together.
import type { Item } from './item.ts';
import type { Subscriber } from './subscriber.ts';

export interface LaneParts {
  /** How many of the waiting items one batch takes, at least one. */
  take(waiting: readonly Item[]): number;
  /** Gives each of them its verdicts. Never throws. */
  decide(items: readonly Item[]): Promise<void> | undefined;
  settle(item: Item): void;
  /** Nothing waits any more. */
  idle(): void;
}

export class Lane {
  /** Those who hold back something until this lane has got on. */
  readonly blocked = new Set<Subscriber>();
  /** The list of those who followed last. */
  followers: object | undefined;
  #waiting: Item[] = [];
  #deciding: readonly Item[] = [];
  /** So many of these are settled. */
  #settled = 0;
  #isRunning = false;
  readonly #parts: LaneParts;

  constructor(parts: LaneParts) {
    this.#parts = parts;
  }

  /** The first that is not settled; infinite: there is none. */
  get lowest(): number {
    return (this.#deciding[this.#settled] ?? this.#waiting[0])?.seq ?? Number.POSITIVE_INFINITY;
  }

  push(item: Item): void {
    this.#waiting.push(item);
  }

  /** Begins with what was pushed, unless it is at it. */
  start(): void {
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      this.#deciding = this.#waiting.splice(0, this.#parts.take(this.#waiting));
      const decided = this.#parts.decide(this.#deciding);
      // Where nothing has to be asked, nobody waits.
      if (decided !== undefined) await decided;
      // One by one: whoever is told of the first must not be told of what is behind the second yet.
      while (this.#settled < this.#deciding.length) this.#parts.settle(this.#deciding[this.#settled++]!);
      this.#deciding = [];
      this.#settled = 0;
      const blocked = [...this.blocked];
      this.blocked.clear();
      for (const subscriber of blocked) subscriber.flush();
    }
    this.#isRunning = false;
    this.#parts.idle();
  }
}
