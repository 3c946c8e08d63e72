// In charge of: how long statements take as a rule. What has always been quick may share a connection with others that are.

/** More distinct statements than this, and learning begins anew. */
const maxStatements = 4_096;
/** A statement that is known less well than this may be anything. */
const minSeen = 3;
const quickMs = 10;
/** One run that took longer than this, and the statement counts as slow for a while. */
const slowMs = 50;
const quickAgainAfter = 50;
const weight = 0.1;

interface Pace {
  meanMs: number;
  seen: number;
  /** Runs since the last slow one. */
  sinceSlow: number;
}

export class Paces {
  readonly #byText = new Map<string, Pace>();

  isQuick(text: string): boolean {
    const pace = this.#byText.get(text);
    return (
      pace !== undefined && pace.seen >= minSeen && pace.meanMs < quickMs && pace.sinceSlow >= quickAgainAfter
    );
  }

  note(text: string, tookMs: number): void {
    const pace = this.#byText.get(text);
    if (pace === undefined) {
      if (this.#byText.size >= maxStatements) this.#byText.clear();
      // A first run that planned and read from disk says little: nothing counts as slow before it was seen to be.
      this.#byText.set(text, { meanMs: Math.min(tookMs, quickMs), seen: 1, sinceSlow: quickAgainAfter });
      return;
    }
    pace.seen += 1;
    pace.meanMs += (tookMs - pace.meanMs) * weight;
    pace.sinceSlow = tookMs > slowMs ? 0 : pace.sinceSlow + 1;
  }

  /** A failure teaches only when it took long: one that runs into its time limit again and again never ends well. */
  noteFailure(text: string, tookMs: number): void {
    if (tookMs > slowMs && this.#byText.has(text)) this.note(text, tookMs);
  }
}
