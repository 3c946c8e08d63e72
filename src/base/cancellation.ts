// In charge of: how work that nobody waits for any more hears of it. One listener at a time, and no event machinery: every request has
// one of these, and an AbortSignal for each cost more than the parsing of its query.

export class Cancellation {
  #reason: Error | undefined;
  #listener: (() => void) | undefined;

  /** Why nobody waits any more; undefined as long as somebody does. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  /** Says it. Only the first time counts. */
  cancel(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#listener?.();
  }

  /** @throws the reason */
  throwIfCancelled(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** Who hears of it, at most one at a time; undefined ends that. Whoever comes too late asks for the reason first. */
  listen(listener: (() => void) | undefined): void {
    this.#listener = listener;
  }
}
