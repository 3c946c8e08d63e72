// In charge of: whose turn it is. The engine has one session, so a transaction holds it until its end, and the others wait in line.

/** Somebody who has or wants the engine. */
export interface Holder {
  /** Since when it holds the engine and asks nothing of it; undefined while it works. */
  readonly idleSinceMs: number | undefined;
  /** It holds the engine idly while others wait: it is ended. */
  expire(): void;
}

interface Waiter {
  readonly holder: Holder;
  readonly grant: () => void;
}

/** A transaction that does nothing may keep others waiting for so long. */
export const maxIdleHoldingMs = 10_000;
const lookEveryMs = 500;

export class Turns {
  #holder: Holder | undefined;
  readonly #waiting: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves when it is the holder's turn. As many wait as there are connections and logins, and both are bounded: `Front`. */
  take(holder: Holder): Promise<void> {
    if (this.#holder === undefined) {
      this.#holder = holder;
      return Promise.resolve();
    }
    this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref();
    return new Promise((grant) => this.#waiting.push({ holder, grant }));
  }

  has(holder: Holder): boolean {
    return this.#holder === holder;
  }

  /** Gives up a turn, or the place in the line. */
  leave(holder: Holder): void {
    const at = this.#waiting.findIndex((waiter) => waiter.holder === holder);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (this.#holder !== holder) return;
    const next = this.#waiting.shift();
    this.#holder = next?.holder;
    next?.grant();
  }

  /** The engine is another: nobody holds it, and those who wait have gone. */
  clear(): void {
    this.#holder = undefined;
    this.#waiting.length = 0;
  }

  #look(): void {
    if (this.#waiting.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const since = this.#holder?.idleSinceMs;
    if (since !== undefined && performance.now() - since > maxIdleHoldingMs) this.#holder?.expire();
  }
}
